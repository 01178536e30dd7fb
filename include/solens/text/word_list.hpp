#pragma once

#include <algorithm>  // std::min
#include <cstddef>    // std::size_t
#include <filesystem>
#include <fstream>
#include <iterator>  // std::istreambuf_iterator
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_set>
#include <utility>  // std::move
#include <vector>

#include <solens/core/error.hpp>
#include <solens/text/bpe_tokenizer.hpp>
#include <solens/text/unicode.hpp>

namespace solens::detail {

/// One line of a text file, blanks at its ends removed.
struct text_line {
  std::string text;
  std::size_t number;  ///< from 1
};

/// The lines of a UTF-8 file that are not blank. A byte-order mark and Windows line ends are no
/// part of them.
/// @throws io_error when the file cannot be read, format_error naming the line that is not UTF-8
inline std::vector<text_line> read_lines(const std::filesystem::path& path) {
  std::error_code ignored;
  std::ifstream in;
  // A pipe would block whoever opens it until somebody writes to it.
  if (std::filesystem::is_regular_file(path, ignored)) in.open(path, std::ios::binary);
  if (!in.is_open()) throw io_error("read lines", "a readable text file", "none", path.string());
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::string_view rest = bytes;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  std::vector<text_line> lines;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    std::u32string text =
        unicode::from_utf8(line, path.string() + ", line " + std::to_string(number));
    std::size_t begin = 0, end = text.size();
    while (begin < end && unicode::is_space(text[begin])) ++begin;
    while (end > begin && unicode::is_space(text[end - 1])) --end;
    if (begin < end) lines.push_back({unicode::to_utf8(text.substr(begin, end - begin)), number});
  }
  return lines;
}

}  // namespace solens::detail

namespace solens {

/// Words or phrases, each once, in the order of the file.
struct word_list {
  std::vector<std::string> words;       ///< UTF-8
  std::vector<std::size_t> positions;   ///< of each among the lines that hold a word, ascending
  std::vector<std::string> duplicates;  ///< what was dropped because an earlier line has it too
};

/// Reads a list of words or phrases, one a line. Blanks and tabs at the ends of a line are dropped,
/// and so are blank lines; lines that say the same are kept once.
/// @param tokenizer  that has to know something of every word; null where none reads them
/// @throws io_error when the file cannot be read; format_error when a line is not UTF-8 or holds
///         nothing that the tokenizer knows, naming it, or when there is no word in the file
inline word_list read_word_list(const std::filesystem::path& path,
                                const bpe_tokenizer* tokenizer = nullptr) {
  word_list list;
  std::unordered_set<std::string> seen;
  for (detail::text_line& line : detail::read_lines(path)) {
    if (tokenizer != nullptr && tokenizer->encode(line.text).empty()) {
      throw format_error("read words", "words of which the tokenizer knows something",
                         "one that it maps to nothing",
                         path.string() + ", line " + std::to_string(line.number));
    }
    const bool is_new = seen.insert(line.text).second;
    if (is_new) list.positions.push_back(list.words.size() + list.duplicates.size());
    (is_new ? list.words : list.duplicates).push_back(std::move(line.text));
  }
  if (list.words.empty()) {
    throw format_error("read words", "a word a line", "no words", path.string());
  }
  return list;
}

}  // namespace solens
