#pragma once

#include <algorithm>  // std::min, std::max
#include <array>
#include <cstddef>     // std::size_t
#include <cstdint>     // std::uint64_t
#include <functional>  // std::greater
#include <optional>
#include <queue>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>  // std::pair
#include <vector>

#include <solens/core/error.hpp>
#include <solens/core/tensor_view.hpp>
#include <solens/text/clean_text.hpp>
#include <solens/text/unicode.hpp>

namespace solens {

/// How a text is prepared before it is split into words.
struct text_normalizer {
  bool clip_cleaning = false;  ///< all of `clean_text`; the others are then of no effect
  bool compose = false;        ///< to normalization form C
  bool lower_case = false;     ///< letter by letter, without final sigmas
};

/// Where in a text a special token is looked for.
enum class special_match {
  before_normalizing,  ///< anywhere in the text as it was given
  after_normalizing,   ///< anywhere in the normalized text
  at_word_start        ///< where a word begins in the normalized text, as OpenAI's pattern does
};

struct special_token {
  std::string text;  ///< UTF-8
  index_t id = 0;
  special_match match = special_match::before_normalizing;
};

/// Everything that a file says about a tokenizer. Read by `load_tokenizer`, or made by hand.
struct bpe_vocabulary {
  /// Ids by token. Tokens are written in the byte alphabet (see `byte_alphabet`), the last of a
  /// word with `end_of_word` at its end.
  std::unordered_map<std::string, index_t> ids;
  /// Pairs of tokens, first come first merged.
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<special_token> specials;
  std::string end_of_word = "</w>";
  index_t start = 0;               ///< before every text
  index_t end = 0;                 ///< after every text, kept when the text is cut
  index_t padding = 0;             ///< fills up to the context length
  std::optional<index_t> unknown;  ///< for bytes without a token
  text_normalizer normalizer;
  std::string name;  ///< of the file, for messages
};

/// The 256 letters, as UTF-8, in which BPE vocabularies write the bytes 0 to 255: printable Latin-1
/// for itself, the other bytes from U+0100 on.
inline std::array<std::string, 256> byte_alphabet() {
  std::array<std::string, 256> letters;
  char32_t next = 0x100;
  for (char32_t b = 0; b < 256; ++b) {
    const bool printable = (b > 0x20 && b < 0x7F) || (b > 0xA0 && b != 0xAD);
    unicode::append_utf8(letters[b], printable ? b : next++);
  }
  return letters;
}

/// CLIP's byte-pair encoding: text to token ids. Const use is safe from many threads.
///
/// Words are split as CLIP does: 's 't 're 've 'm 'll 'd, runs of letters, single digits, runs of
/// other signs; blanks separate. Each word's bytes are merged pair by pair, the pair that comes
/// first in the list of merges first.
class bpe_tokenizer {
 public:
  /// @throws format_error when a merge or a special token does not fit the vocabulary, or a byte
  ///         has no token and there is no `unknown`
  explicit bpe_tokenizer(bpe_vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {
    read_bytes();
    read_merges();
    for (const auto& [token, id] : vocabulary_.ids) {
      check_id(id, token);
      tokens_[id] = token;
    }
    for (const special_token& token : vocabulary_.specials) {
      check_id(token.id, token.text);
      std::u32string text = unicode::from_utf8(token.text, vocabulary_.name);
      if (token.match != special_match::before_normalizing) text = normalized(text);
      if (text.empty()) {
        throw format_error("tokenizer", "special tokens that are not empty",
                           "\"" + token.text + "\"", vocabulary_.name);
      }
      specials_.push_back({std::move(text), token.id, token.match});
      special_texts_[token.id] = token.text;
    }
    vocabulary_.ids = {};  // read: kept by id from here on
    vocabulary_.merges = {};
  }

  /// The ids of a text, without start and end. Empty for a text without words.
  /// @throws format_error when the text is not valid UTF-8, with the position
  std::vector<index_t> encode(std::string_view text) const {
    std::vector<index_t> ids;
    split_specials(unicode::from_utf8(text), special_match::before_normalizing, ids,
                   [&](std::u32string_view raw) {
                     split_specials(normalized(raw), special_match::after_normalizing, ids,
                                    [&](std::u32string_view part) { encode_words(part, ids); });
                   });
    return ids;
  }

  /// The ids of many texts: start, the text, end, padding. Texts that are too long are cut, with
  /// the end token last.
  /// @param out  overwritten, [n_texts, context_length]
  /// @return for each text how many ids it encodes to before start, end and cut: 0 says that the
  ///         text holds nothing, more than context_length - 2 that it was cut
  /// @throws shape_error when `out` has other than n_texts rows or a context shorter than 2
  std::vector<index_t> tokenize(std::span<const std::string> texts, host_view<index_t> out) const {
    const auto n_texts = static_cast<index_t>(texts.size());
    if (out.rank() != 2 || out.extent(0) != n_texts || out.extent(1) < 2) {
      throw shape_error("tokenize", "[" + std::to_string(n_texts) + ", 2 or more]",
                        to_string(out.extents()), "out");
    }
    std::vector<index_t> lengths;
    for (index_t row = 0; row < n_texts; ++row) {
      const std::vector<index_t> ids = encode(texts[static_cast<std::size_t>(row)]);
      lengths.push_back(static_cast<index_t>(ids.size()));
      const index_t kept = std::min(lengths.back(), out.extent(1) - 2);
      out(row, 0) = start_token();
      for (index_t i = 0; i < kept; ++i) out(row, 1 + i) = ids[static_cast<std::size_t>(i)];
      out(row, 1 + kept) = end_token();
      for (index_t i = kept + 2; i < out.extent(1); ++i) out(row, i) = padding_token();
    }
    return lengths;
  }

  /// Text of ids, for people: words joined by blanks.
  /// @throws argument_error for an id that is not in the vocabulary
  std::string decode(std::span<const index_t> ids) const {
    std::string text;
    for (index_t id : ids) {
      if (const auto known = special_texts_.find(id); known != special_texts_.end()) {
        text += known->second + " ";
        continue;
      }
      const auto token = tokens_.find(id);
      if (token == tokens_.end()) {
        throw argument_error("decode", "ids of the vocabulary", std::to_string(id),
                             vocabulary_.name);
      }
      append_token(text, token->second);
    }
    while (text.ends_with(' ')) text.pop_back();
    return text;
  }

  /// One more than the largest id: the rows that a token embedding needs.
  index_t vocab_size() const { return vocab_size_; }
  index_t start_token() const { return vocabulary_.start; }
  index_t end_token() const { return vocabulary_.end; }
  index_t padding_token() const { return vocabulary_.padding; }

 private:
  struct merge {
    index_t rank, id;
  };
  struct known_special {
    std::u32string text;
    index_t id;
    special_match match;
  };

  static std::uint64_t pair_key(index_t left, index_t right) {
    return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint64_t>(right);
  }

  void check_id(index_t id, const std::string& token) {
    constexpr index_t limit = index_t{1} << 31;
    if (id < 0 || id >= limit) {
      throw format_error("tokenizer", "ids from 0 to 2^31 - 1",
                         std::to_string(id) + " for \"" + token + "\"", vocabulary_.name);
    }
    vocab_size_ = std::max(vocab_size_, id + 1);
  }

  void read_bytes() {
    const auto letters = byte_alphabet();
    const auto find = [&](const std::string& token) {
      const auto found = vocabulary_.ids.find(token);
      if (found != vocabulary_.ids.end()) return found->second;
      if (!vocabulary_.unknown) {
        throw format_error("tokenizer", "a token for every byte", "none for \"" + token + "\"",
                           vocabulary_.name);
      }
      return *vocabulary_.unknown;
    };
    for (std::size_t b = 0; b < 256; ++b) {
      inner_bytes_[b] = find(letters[b]);
      last_bytes_[b] = find(letters[b] + vocabulary_.end_of_word);
      bytes_.emplace(letters[b], static_cast<char>(b));
    }
  }

  void read_merges() {
    index_t rank = 0;
    for (const auto& [left, right] : vocabulary_.merges) {
      const auto find = [&, l = &left, r = &right](const std::string& token) {
        const auto found = vocabulary_.ids.find(token);
        if (found != vocabulary_.ids.end()) return found->second;
        throw format_error("tokenizer", "tokens of the vocabulary in every merge",
                           "\"" + token + "\" in merge " + std::to_string(rank + 1) + ", \"" + *l +
                               " " + *r + "\"",
                           vocabulary_.name);
      };
      merges_.try_emplace(pair_key(find(left), find(right)), merge{rank, find(left + right)});
      ++rank;
    }
  }

  std::u32string normalized(std::u32string_view text) const {
    const text_normalizer& how = vocabulary_.normalizer;
    if (how.clip_cleaning) return clean_text(text);
    std::u32string result = how.compose ? unicode::nfc(text) : std::u32string(text);
    return how.lower_case ? unicode::lower_case(result, false) : result;
  }

  /// Takes the special tokens out of a text, the leftmost and of those the longest first, and
  /// gives what is between them to `encode_part`.
  template <class EncodePart>
  void split_specials(std::u32string_view text, special_match match, std::vector<index_t>& ids,
                      EncodePart encode_part) const {
    for (;;) {
      std::size_t first = text.npos;
      const known_special* found = nullptr;
      for (const known_special& candidate : specials_) {
        if (candidate.match != match) continue;
        const std::size_t at = text.find(candidate.text);
        const bool longer = found != nullptr && candidate.text.size() > found->text.size();
        if (at < first || (at == first && at != text.npos && longer)) {
          first = at;
          found = &candidate;
        }
      }
      if (const auto part = text.substr(0, first); !part.empty()) encode_part(part);
      if (found == nullptr) return;
      ids.push_back(found->id);
      text.remove_prefix(first + found->text.size());
    }
  }

  void encode_words(std::u32string_view text, std::vector<index_t>& ids) const {
    while (!text.empty()) {
      if (separates(text.front())) {
        text.remove_prefix(1);
      } else if (const known_special* found = special_at(text)) {
        ids.push_back(found->id);
        text.remove_prefix(found->text.size());
      } else {
        const std::size_t length = word_length(text);
        encode_word(unicode::to_utf8(text.substr(0, length)), ids);
        text.remove_prefix(length);
      }
    }
  }

  const known_special* special_at(std::u32string_view text) const {
    for (const known_special& candidate : specials_) {
      if (candidate.match == special_match::at_word_start && text.starts_with(candidate.text)) {
        return &candidate;
      }
    }
    return nullptr;
  }

  /// Blanks, and U+0345 in OpenAI's pattern: it is no letter, but a case of one, and the pattern,
  /// which ignores case, takes it for neither.
  bool separates(char32_t c) const {
    return unicode::is_space(c) || (c == 0x345 && vocabulary_.normalizer.clip_cleaning);
  }

  /// How many code points the word at the start of `text`, which is no blank, has.
  std::size_t word_length(std::u32string_view text) const {
    for (std::u32string_view ending : {U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"}) {
      if (text.starts_with(ending)) return ending.size();
    }
    // OpenAI's pattern ignores case, and the long s is a case of s.
    if (vocabulary_.normalizer.clip_cleaning && text.starts_with(U"'\u017F")) return 2;
    enum class sign { letter, number, blank, other };
    const auto kind = [this](char32_t c) {
      if (unicode::is_letter(c)) return sign::letter;
      if (unicode::is_number(c)) return sign::number;
      return separates(c) ? sign::blank : sign::other;
    };
    const sign first = kind(text.front());
    if (first == sign::number) return 1;
    std::size_t length = 1;
    while (length < text.size() && kind(text[length]) == first) ++length;
    return length;
  }

  /// A token in a word that is being merged: a list with holes. `next` of the last one is the size.
  struct link {
    index_t id;
    std::size_t previous, next;
  };
  struct pending_merge {
    index_t rank;
    std::size_t left;
    index_t left_id, right_id;  // as they were when this was found: since merged away otherwise
    index_t merged;
    bool operator>(const pending_merge& other) const {
      return std::pair(rank, left) > std::pair(other.rank, other.left);
    }
  };

  void encode_word(std::string_view bytes, std::vector<index_t>& ids) const {
    const std::size_t size = bytes.size();
    std::vector<link> links(size);
    for (std::size_t i = 0; i < size; ++i) {
      const auto& table = i + 1 == size ? last_bytes_ : inner_bytes_;
      links[i] = {table[static_cast<unsigned char>(bytes[i])], i - 1, i + 1};
    }
    std::priority_queue<pending_merge, std::vector<pending_merge>, std::greater<>> queue;
    const auto consider = [&](std::size_t left) {
      const std::size_t right = links[left].next;
      if (right >= size) return;
      const auto found = merges_.find(pair_key(links[left].id, links[right].id));
      if (found == merges_.end()) return;
      queue.push({found->second.rank, left, links[left].id, links[right].id, found->second.id});
    };
    for (std::size_t i = 0; i < size; ++i) consider(i);
    while (!queue.empty()) {
      const pending_merge best = queue.top();
      queue.pop();
      link& left = links[best.left];
      if (left.id != best.left_id || left.next >= size) continue;
      link& right = links[left.next];
      if (right.id != best.right_id) continue;
      left.id = best.merged;
      left.next = right.next;
      right.id = merged_away;
      if (left.next < size) links[left.next].previous = best.left;
      if (best.left > 0) consider(left.previous);
      consider(best.left);
    }
    for (std::size_t i = 0; i < size; i = links[i].next) ids.push_back(links[i].id);
  }

  /// Appends the bytes that a token stands for, and a blank after the last one of a word.
  void append_token(std::string& text, std::string_view token) const {
    const std::string_view end = vocabulary_.end_of_word;
    const bool last = !end.empty() && token.ends_with(end);
    if (last) token.remove_suffix(end.size());
    for (std::size_t i = 0; i < token.size();) {
      const std::size_t length = static_cast<unsigned char>(token[i]) < 0x80 ? 1 : 2;
      const auto byte = bytes_.find(std::string(token.substr(i, length)));
      text += byte == bytes_.end() ? '?' : byte->second;
      i += length;
    }
    if (last) text += ' ';
  }

  static constexpr index_t merged_away = -1;

  bpe_vocabulary vocabulary_;
  std::array<index_t, 256> inner_bytes_{}, last_bytes_{};  // ids of bytes within and at the end
  std::unordered_map<std::uint64_t, merge> merges_;        // by pair_key
  std::vector<known_special> specials_;
  std::unordered_map<index_t, std::string> tokens_, special_texts_;  // by id
  std::unordered_map<std::string, char> bytes_;                      // by their letters
  index_t vocab_size_ = 0;
};

}  // namespace solens
