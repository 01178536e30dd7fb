#pragma once

#include <cstddef>  // std::size_t
#include <cstdint>  // std::uint64_t
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
  index_t start = 0;    ///< before every text
  index_t end = 0;      ///< after every text, kept when the text is cut
  index_t padding = 0;  ///< fills up to the context length
  std::optional<index_t> unknown;  ///< for bytes without a token
  text_normalizer normalizer;
  std::string name;  ///< of the file, for messages
};

/// The 256 printable letters, as UTF-8, in which BPE vocabularies write the bytes 0 to 255: printable
/// Latin-1 for itself, the others from U+0100 on.
std::vector<std::string> byte_alphabet();

/// CLIP's byte-pair encoding: text to token ids. Const use is safe from many threads.
///
/// Words are split as CLIP does: 's 't 're 've 'm 'll 'd, runs of letters, single digits, runs of
/// other signs; blanks separate. Each word's bytes are merged pair by pair, the pair that comes
/// first in the list of merges first.
class bpe_tokenizer {
 public:
  /// @throws format_error when a merge or a special token does not fit the vocabulary, or a byte
  ///         has no token and there is no `unknown`
  explicit bpe_tokenizer(bpe_vocabulary vocabulary);

  /// The ids of a text, without start and end. Empty for a text without words.
  /// @throws format_error when the text is not valid UTF-8, with the position
  std::vector<index_t> encode(std::string_view text) const;

  /// The ids of many texts: start, the text, end, padding. Texts that are too long are cut, with
  /// the end token last.
  /// @param out  overwritten, [n_texts, context_length]
  /// @return for each text how many ids it encodes to before start, end and cut: 0 says that the
  ///         text holds nothing, more than context_length - 2 that it was cut
  /// @throws shape_error when `out` has other than n_texts rows or a context shorter than 2
  std::vector<index_t> tokenize(std::span<const std::string> texts, host_view<index_t> out) const;

  /// Text of ids, for people: words joined by blanks, bytes that are no UTF-8 replaced.
  std::string decode(std::span<const index_t> ids) const;

  /// One more than the largest id: the rows that a token embedding needs.
  index_t vocab_size() const;
  index_t start_token() const;
  index_t end_token() const;
  index_t padding_token() const;
};

}  // namespace solens
