#pragma once

#include <algorithm>  // std::min
#include <charconv>   // std::from_chars
#include <cstddef>    // std::size_t
#include <string>
#include <string_view>
#include <unordered_map>

#include <solens/text/html_entities.hpp>
#include <solens/text/unicode.hpp>

namespace solens::detail {

/// A named character reference of HTML.
struct html_entity {
  std::u32string text;
  char kind;  ///< see html_entities
};

inline const html_entity* find_html_entity(std::string_view name) {
  static const auto table = [] {
    std::unordered_map<std::string_view, html_entity> result;
    std::string_view rest = html_entities;
    while (!rest.empty()) {
      std::string_view entry = rest.substr(0, rest.find(' '));
      rest.remove_prefix(entry.size() + 1);
      const std::size_t split = entry.find_first_of("=!^");
      html_entity entity{{}, entry[split]};
      for (std::size_t at = split; at < entry.size();
           at = std::min(entry.find('.', at), entry.size())) {
        unsigned c = 0;
        ++at;
        std::from_chars(entry.data() + at, entry.data() + entry.size(), c, 16);
        entity.text += static_cast<char32_t>(c);
      }
      result.emplace(entry.substr(0, split), std::move(entity));
    }
    return result;
  }();
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

/// What Windows-1252 has at 80 to 9F, where Unicode has control characters; 0 where nothing.
inline char32_t windows_1252(char32_t c) {
  constexpr char32_t table[] = {0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017D, 0,
                                0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};
  return table[c - 0x80];
}

/// The text of a numeric character reference, as HTML5 says: nothing for what it forbids.
inline std::u32string html_number(char32_t c) {
  if (c == 0 || (c >= 0xD800 && c < 0xE000) || c > 0x10FFFF) return U"\uFFFD";
  if (c == '\r') return U"\r";
  if (c >= 0x80 && c < 0xA0) {
    const char32_t known = windows_1252(c);
    return std::u32string(1, known != 0 ? known : c);
  }
  const bool control = c < 9 || c == 0xB || (c > 0xD && c < 0x20) || c == 0x7F;
  const bool no_character = (c >= 0xFDD0 && c < 0xFDF0) || (c & 0xFFFE) == 0xFFFE;
  return control || no_character ? std::u32string() : std::u32string(1, c);
}

/// One character reference at the start of a text: how long it is, 0 for none, and what it means.
struct html_reference {
  std::size_t length = 0;
  std::u32string text;
};

/// `&#65;`, `&#x41` at the start of `text`.
inline html_reference read_html_number(std::u32string_view text) {
  const bool hexadecimal = text.size() > 2 && (text[2] | 0x20u) == 'x';
  const std::size_t first = hexadecimal ? 3 : 2;
  const char32_t base = hexadecimal ? 16 : 10;
  char32_t value = 0;
  std::size_t end = first;
  for (; end < text.size(); ++end) {
    const char32_t c = text[end];
    const char32_t digit = c - '0' < 10            ? c - '0'
                           : (c | 0x20u) - 'a' < 6 ? (c | 0x20u) - 'a' + 10
                                                   : 16;
    if (digit >= base) break;
    value = std::min<char32_t>(value * base + digit, 0x110000);
  }
  if (end == first) return {};
  if (end < text.size() && text[end] == ';') ++end;
  return {end, html_number(value)};
}

/// The reference that begins `text` (at its `&`), as HTML5 reads it: the longest known name, with
/// or without a semicolon.
inline html_reference read_html_reference(std::u32string_view text) {
  if (text.size() > 1 && text[1] == '#') return read_html_number(text);
  std::string name;
  constexpr std::u32string_view never = U"\t\n\f <&#;";
  for (std::size_t i = 1; i < text.size() && name.size() < 32; ++i) {
    if (text[i] >= 0x80 || never.find(text[i]) != never.npos) break;
    name += static_cast<char>(text[i]);
  }
  const bool closed = name.size() + 1 < text.size() && text[name.size() + 1] == ';';
  const html_entity* entity = find_html_entity(name);
  if (entity != nullptr && closed && entity->kind != '^') return {name.size() + 2, entity->text};
  for (; name.size() > 1; name.pop_back()) {
    entity = find_html_entity(name);
    if (entity != nullptr && entity->kind == '!') return {name.size() + 1, entity->text};
  }
  return {};
}

/// The reference that begins `text` as ftfy reads it: only with a semicolon, but in capitals too.
inline html_reference read_certain_reference(std::u32string_view text) {
  std::string name;
  const auto letter_or_digit = [](char32_t c) {
    return c < 0x80 && (unicode::is_letter(c) || unicode::is_number(c));
  };
  const std::size_t first = text.size() > 1 && text[1] == '#' ? 2 : 1;
  std::size_t end = first;
  while (end < text.size() && end - first < 24 && letter_or_digit(text[end])) {
    name += static_cast<char>(text[end++]);
  }
  if (end == first || end == text.size() || text[end] != ';') return {};
  if (first == 2) {
    const html_reference number = read_html_number(text);
    const bool whole = number.length == end + 1 && number.text != U";";
    return whole ? number : html_reference{};
  }
  if (const html_entity* entity = find_html_entity(name)) return {end + 1, entity->text};
  std::string small = name;
  for (char& c : small) {
    if (c >= 'a' && c <= 'z') return {};
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  const html_entity* entity = find_html_entity(small);
  const bool known = entity != nullptr && entity->kind != '^';
  return known && read_html_reference(text).length == 0 ? html_reference{end + 1, entity->text}
                                                        : html_reference{};
}

/// Replaces every reference that `read` finds, from left to right, once.
template <class Read>
std::u32string unescape_html(std::u32string_view text, Read read) {
  std::u32string out;
  for (std::size_t i = 0; i < text.size();) {
    const html_reference found = text[i] == '&' ? read(text.substr(i)) : html_reference{};
    if (found.length == 0) {
      out += text[i++];
    } else {
      out += found.text;
      i += found.length;
    }
  }
  return out;
}

/// The letters of a Latin ligature or digraph, empty for anything else.
inline std::u32string_view ligature_letters(char32_t c) {
  constexpr std::u32string_view digraphs[] = {U"D\u017D", U"D\u017E", U"d\u017E", U"LJ", U"Lj",
                                              U"lj",      U"NJ",      U"Nj",      U"nj"};
  constexpr std::u32string_view typographical[] = {U"ff",  U"fi",      U"fl", U"ffi",
                                                   U"ffl", U"\u017Ft", U"st"};
  constexpr std::u32string_view dz[] = {U"DZ", U"Dz", U"dz"};
  if (c >= 0x1C4 && c <= 0x1CC) return digraphs[c - 0x1C4];
  if (c >= 0x1F1 && c <= 0x1F3) return dz[c - 0x1F1];
  if (c >= 0xFB00 && c <= 0xFB06) return typographical[c - 0xFB00];
  return c == 0x132 ? U"IJ" : c == 0x133 ? U"ij" : c == 0x149 ? U"\u02BCn" : U"";
}

/// The usual width of one code point, straight quotes, and `\n` for every line end.
inline void append_plain(std::u32string& out, char32_t c) {
  if (c == 0xFFE3) {
    out += U" \u0304";
    return;
  }
  c = unicode::standard_width(c);
  if (c == 0x2BC || (c >= 0x2018 && c <= 0x201B)) c = '\'';
  if (c >= 0x201C && c <= 0x201F) c = '"';
  if (c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029) c = '\n';
  out += c;
}

/// Without terminal colours (`ESC [ 31 m`) and without control characters that show nothing.
inline std::u32string without_controls(std::u32string_view text) {
  std::u32string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c == 0x1B && i + 1 < text.size() && text[i + 1] == '[') {
      std::size_t end = i + 2;
      while (end < text.size() && (text[end] == ';' || text[end] - U'0' < 10)) ++end;
      if (end < text.size() && (text[end] | 0x20u) - 'a' < 26) {
        i = end;
        continue;
      }
    }
    const bool removed = c < 9 || c == 0xB || (c >= 0xE && c < 0x20) || c == 0x7F ||
                         (c >= 0x206A && c <= 0x206F) || c == 0xFEFF ||
                         (c >= 0xFFF9 && c <= 0xFFFC);
    if (!removed) out += c;
  }
  return out;
}

/// One line through ftfy's deterministic steps, until nothing changes.
inline std::u32string fix_line(std::u32string text, bool unescape) {
  for (;;) {
    std::u32string before = text;
    if (unescape) text = unescape_html(text, read_certain_reference);
    std::u32string plain;
    for (char32_t c : text) {
      if (c >= 0x80 && c < 0xA0 && windows_1252(c) != 0) c = windows_1252(c);
      const std::u32string_view letters = ligature_letters(c);
      if (letters.empty()) append_plain(plain, c);
      for (char32_t letter : letters) append_plain(plain, letter);
    }
    text = unicode::nfc(without_controls(plain));
    if (text == before) return text;
  }
}

/// A text without blanks at its ends and with one for each run of them. Blanks are what Python's
/// str.split takes for them: \s and U+001C to U+001F.
inline std::u32string collapse_blanks(std::u32string_view text) {
  std::u32string out;
  bool pending = false;
  for (char32_t c : text) {
    if (unicode::is_space(c) || (c >= 0x1C && c <= 0x1F)) {
      pending = !out.empty();
    } else {
      if (pending) out += U' ';
      pending = false;
      out += c;
    }
  }
  return out;
}

}  // namespace solens::detail

namespace solens {

/// Text as CLIP's own tokenizer cleans it, before it is split into words.
///
/// In this order: the deterministic steps of ftfy 6 (HTML entities in lines that hold no `<`,
/// Windows-1252 in the place of C1 controls, Latin ligatures, full and half width, straight quotes,
/// line ends, terminal escapes, control characters, NFC; repeated until nothing changes), HTML
/// entities twice, one blank for each run of them, lower case.
///
/// @note mojibake (text once decoded with the wrong encoding, such as "schÃ¶n") is not repaired,
///       which ftfy would do by trial: such text gives other tokens than the original.
inline std::u32string clean_text(std::u32string_view text) {
  std::u32string fixed;
  bool unescape = true;  // a `<` says that this and all that follows is markup
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(U'\n', begin), text.size() - 1) + 1;
    const std::u32string_view line = text.substr(begin, end - begin);
    unescape = unescape && line.find(U'<') == line.npos;
    fixed += detail::fix_line(std::u32string(line), unescape);
    begin = end;
  }
  for (int pass = 0; pass < 2; ++pass) {
    fixed = detail::unescape_html(fixed, detail::read_html_reference);
  }
  return unicode::lower_case(detail::collapse_blanks(fixed), true);
}

/// The same for UTF-8.
/// @throws format_error when the text is not valid UTF-8, with the position
inline std::string clean_text(std::string_view text) {
  const auto simple = [](char c) {
    return (c >= ' ' && c < 0x7F && c != '&') || c == '\t' || c == '\n';
  };
  if (!std::all_of(text.begin(), text.end(), simple)) {
    return unicode::to_utf8(clean_text(unicode::from_utf8(text)));
  }
  return unicode::to_utf8(
      unicode::lower_case(detail::collapse_blanks(unicode::from_utf8(text)), false));
}

}  // namespace solens
