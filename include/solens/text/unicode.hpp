#pragma once

#include <algorithm>  // std::upper_bound, std::stable_sort
#include <cstddef>    // std::size_t
#include <cstdint>    // std::uint64_t
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>  // std::pair
#include <vector>

#include <solens/core/error.hpp>
#include <solens/text/unicode_tables.hpp>

/// The little of Unicode that CLIP's tokenizer needs. Text is code points, `std::u32string`.
namespace solens::unicode {

/// Appends a code point to UTF-8 text.
inline void append_utf8(std::string& text, char32_t c) {
  const auto tail = [&](int shift) {
    text += static_cast<char>(0x80u | ((static_cast<unsigned>(c) >> shift) & 0x3Fu));
  };
  const auto head = [&](unsigned mark, int shift) {
    text += static_cast<char>(mark | (static_cast<unsigned>(c) >> shift));
  };
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    head(0xC0, 6), tail(0);
  } else if (c < 0x10000) {
    head(0xE0, 12), tail(6), tail(0);
  } else {
    head(0xF0, 18), tail(12), tail(6), tail(0);
  }
}

inline std::string to_utf8(std::u32string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (char32_t c : text) append_utf8(bytes, c);
  return bytes;
}

/// The code points of UTF-8 text.
/// @throws format_error at the first byte that is not valid UTF-8 (overlong forms, surrogates and
///         numbers above 10FFFF included), naming its position and `name`
inline std::u32string from_utf8(std::string_view bytes, std::string_view name = {}) {
  std::u32string text;
  text.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size();) {
    const unsigned first = static_cast<unsigned char>(bytes[i]);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xC2 ? 0
                               : first < 0xE0 ? 2
                               : first < 0xF0 ? 3
                               : first < 0xF5 ? 4
                                              : 0;
    bool valid = length > 0 && length <= bytes.size() - i;
    unsigned c = length == 1 ? first : first & (0x7Fu >> length);
    for (std::size_t k = 1; valid && k < length; ++k) {
      const unsigned next = static_cast<unsigned char>(bytes[i + k]);
      valid = (next & 0xC0u) == 0x80u;
      c = c << 6 | (next & 0x3Fu);
    }
    constexpr unsigned smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    valid = valid && c >= smallest[length] && c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF);
    if (!valid) {
      throw format_error("read text", "UTF-8",
                         "byte " + std::to_string(first) + " at position " + std::to_string(i),
                         name);
    }
    text += static_cast<char32_t>(c);
    i += length;
  }
  return text;
}

}  // namespace solens::unicode

namespace solens::unicode::detail {

/// Reads the numbers of unicode_tables.hpp one after the other.
class table_reader {
 public:
  explicit table_reader(std::string_view digits) : digits_(digits) {}

  bool done() const { return position_ == digits_.size(); }

  char32_t number() {
    char32_t n = 0;
    for (int shift = 0;; shift += 5) {
      const char32_t digit = value(digits_[position_++]);
      n |= (digit & 31u) << shift;
      if (digit < 32) return n;
    }
  }

  /// `from` moved by a signed number.
  char32_t moved(char32_t from) {
    const char32_t n = number();
    return n % 2 == 0 ? from + n / 2 : from - (n + 1) / 2;
  }

 private:
  static char32_t value(char digit) {
    if (digit <= '9') return digit == '-' ? 62 : static_cast<char32_t>(digit - '0');
    if (digit <= 'Z') return static_cast<char32_t>(digit - 'A' + 10);
    return digit == '_' ? 63 : static_cast<char32_t>(digit - 'a' + 36);
  }

  std::string_view digits_;
  std::size_t position_ = 0;
};

struct range {
  char32_t first, last;
  char32_t value = 0;
};

/// A class of code points, as sorted ranges.
class range_table {
 public:
  range_table(std::string_view digits, bool with_values) {
    char32_t last = 0;
    for (table_reader read(digits); !read.done();) {
      const char32_t first = last + read.number();
      last = first + read.number();
      ranges_.push_back({first, last, with_values ? read.number() : 1});
    }
  }

  /// The value at c, 0 outside of every range.
  char32_t operator()(char32_t c) const {
    auto after = std::upper_bound(ranges_.begin(), ranges_.end(), c,
                                  [](char32_t x, const range& r) { return x < r.first; });
    return after != ranges_.begin() && c <= std::prev(after)->last ? std::prev(after)->value : 0;
  }

 private:
  std::vector<range> ranges_;
};

using pair_table = std::unordered_map<char32_t, char32_t>;

inline pair_table read_pairs(std::string_view digits) {
  pair_table pairs;
  char32_t key = 0;
  for (table_reader read(digits); !read.done();) {
    key += read.number();
    pairs[key] = read.moved(key);
  }
  return pairs;
}

/// Canonical decompositions, and the pairs that compose again.
struct composition_table {
  std::unordered_map<char32_t, std::pair<char32_t, char32_t>> parts;
  std::unordered_map<std::uint64_t, char32_t> whole;

  composition_table() {
    char32_t c = 0;
    for (table_reader read(solens::detail::unicode_tables::decompositions); !read.done();) {
      c += read.number();
      const char32_t a = read.moved(c);
      const char32_t coded = read.number();
      parts[c] = {a, coded / 2};
      if (coded % 2 == 1) whole[key(a, coded / 2)] = c;
    }
  }

  static std::uint64_t key(char32_t a, char32_t b) { return std::uint64_t{a} << 32 | b; }
};

inline const composition_table& compositions() {
  static const composition_table table;
  return table;
}

inline char32_t combining_class(char32_t c) {
  static const range_table classes(solens::detail::unicode_tables::combining_classes, true);
  return c < 0x300 ? 0 : classes(c);
}

// Hangul syllables are composed by arithmetic (The Unicode Standard, section 3.12).
inline constexpr char32_t hangul_syllables = 0xAC00, hangul_leading = 0x1100,
                          hangul_vowels = 0x1161, hangul_trailing = 0x11A7;
inline constexpr char32_t n_leading = 19, n_vowels = 21, n_trailing = 28;
inline constexpr char32_t n_syllables = n_leading * n_vowels * n_trailing;

inline void append_decomposed(std::u32string& out, char32_t c) {
  if (c - hangul_syllables < n_syllables) {
    const char32_t s = c - hangul_syllables;
    out += hangul_leading + s / (n_vowels * n_trailing);
    out += hangul_vowels + s / n_trailing % n_vowels;
    if (s % n_trailing != 0) out += hangul_trailing + s % n_trailing;
    return;
  }
  const auto found = compositions().parts.find(c);
  if (found == compositions().parts.end()) {
    out += c;
  } else {
    append_decomposed(out, found->second.first);
    if (found->second.second != 0) out += found->second.second;
  }
}

/// What two code points compose to, 0 for nothing.
inline char32_t composed(char32_t a, char32_t b) {
  if (a - hangul_leading < n_leading && b - hangul_vowels < n_vowels) {
    return hangul_syllables + ((a - hangul_leading) * n_vowels + b - hangul_vowels) * n_trailing;
  }
  if (a - hangul_syllables < n_syllables && (a - hangul_syllables) % n_trailing == 0 &&
      b > hangul_trailing && b < hangul_trailing + n_trailing) {
    return a + b - hangul_trailing;
  }
  const auto& whole = compositions().whole;
  const auto found = whole.find(composition_table::key(a, b));
  return found == whole.end() ? 0 : found->second;
}

}  // namespace solens::unicode::detail

namespace solens::unicode {

/// \p{L}
inline bool is_letter(char32_t c) {
  if (c < 0x80) return (c | 0x20u) - U'a' < 26;
  static const detail::range_table table(solens::detail::unicode_tables::letters, false);
  return table(c) != 0;
}

/// \p{N}
inline bool is_number(char32_t c) {
  if (c < 0x80) return c - U'0' < 10;
  static const detail::range_table table(solens::detail::unicode_tables::numbers, false);
  return table(c) != 0;
}

/// \s
inline bool is_space(char32_t c) {
  return c == ' ' || (c >= 9 && c <= 13) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

inline bool is_cased(char32_t c) {
  static const detail::range_table table(solens::detail::unicode_tables::cased, false);
  return table(c) != 0;
}

inline bool is_case_ignorable(char32_t c) {
  static const detail::range_table table(solens::detail::unicode_tables::case_ignorable, false);
  return table(c) != 0;
}

/// The usual form of a half or full width one (U+FF01 to U+FFEF, U+3000); others are kept.
/// U+FFE3, which stands for two code points, is kept too.
inline char32_t standard_width(char32_t c) {
  if (c < 0x3000) return c;
  static const auto table = detail::read_pairs(solens::detail::unicode_tables::standard_width);
  const auto found = table.find(c);
  return found == table.end() ? c : found->second;
}

/// Whether a capital sigma at `position` ends a word, and so becomes a final one.
inline bool ends_word(std::u32string_view text, std::size_t position) {
  std::size_t before = position;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  std::size_t after = position + 1;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  return after == text.size() || !is_cased(text[after]);
}

/// Lower case.
/// @param final_sigma  whether a capital sigma at the end of a word becomes a final one (Python's
///                     str.lower does that; Hugging Face's tokenizers do not)
inline std::u32string lower_case(std::u32string_view text, bool final_sigma) {
  static const auto table = detail::read_pairs(solens::detail::unicode_tables::lower_case);
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c < 0x80) {
      out += c - U'A' < 26 ? c + 32 : c;
    } else if (c == 0x130) {
      out += U"i\u0307";
    } else if (c == 0x3A3 && final_sigma && ends_word(text, i)) {
      out += char32_t{0x3C2};
    } else {
      const auto found = table.find(c);
      out += found == table.end() ? c : found->second;
    }
  }
  return out;
}

/// Normalization form C: letters and their accents composed where one code point stands for both.
inline std::u32string nfc(std::u32string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0x300; })) {
    return std::u32string(text);
  }
  std::u32string parts;
  for (char32_t c : text) detail::append_decomposed(parts, c);
  for (auto begin = parts.begin(); begin != parts.end();) {
    const auto accented = [](char32_t c) { return detail::combining_class(c) != 0; };
    begin = std::find_if(begin, parts.end(), accented);
    const auto end = std::find_if_not(begin, parts.end(), accented);
    std::stable_sort(begin, end, [](char32_t a, char32_t b) {
      return detail::combining_class(a) < detail::combining_class(b);
    });
    begin = end;
  }
  std::u32string out;
  std::size_t starter = std::u32string::npos;  // where in `out` the accents go
  char32_t last_class = 0;                     // of the last code point kept after it
  for (char32_t c : parts) {
    const char32_t c_class = detail::combining_class(c);
    const bool adjacent = starter + 1 == out.size();
    if (starter != std::u32string::npos && (adjacent || last_class < c_class)) {
      if (const char32_t whole = detail::composed(out[starter], c)) {
        out[starter] = whole;
        continue;
      }
    }
    if (c_class == 0) starter = out.size();
    last_class = c_class;
    out += c;
  }
  return out;
}

}  // namespace solens::unicode
