#pragma once

#include <algorithm>  // std::min
#include <cstddef>    // std::size_t
#include <filesystem>
#include <memory>  // std::unique_ptr
#include <string>
#include <string_view>
#include <utility>  // std::move, std::pair
#include <vector>

#include <zlib.h>

#include <solens/core/error.hpp>
#include <solens/text/bpe_tokenizer.hpp>

namespace solens::detail {

/// The text of a file, unpacked where it is gzip.
/// @throws io_error when it cannot be read, format_error when the packing is broken or the text is
///         larger than any vocabulary
inline std::string read_text(const std::filesystem::path& path) {
  constexpr std::size_t limit = std::size_t{1} << 28;
  const std::string name = path.string();
  if (!std::filesystem::is_regular_file(path)) {
    throw io_error("read tokenizer", "a file", "none", name);
  }
  struct close {
    void operator()(gzFile file) const { gzclose(file); }
  };
  const std::unique_ptr<gzFile_s, close> file(gzopen(name.c_str(), "rb"));
  if (!file) throw io_error("read tokenizer", "a readable file", "no access", name);
  std::string text;
  std::vector<char> block(std::size_t{1} << 18);
  for (;;) {
    const int n = gzread(file.get(), block.data(), static_cast<unsigned>(block.size()));
    int status = Z_OK;
    const char* message = gzerror(file.get(), &status);
    if (n < 0 || (status != Z_OK && status != Z_STREAM_END)) {
      throw format_error("read tokenizer", "a whole gzip or text file", message, name);
    }
    if (n == 0) return text;
    text.append(block.data(), static_cast<std::size_t>(n));
    if (text.size() > limit) {
      throw format_error("read tokenizer", "at most 256 MB of text", "more", name);
    }
  }
}

/// Reads merges, two tokens a line.
class merge_lines {
 public:
  merge_lines(std::string text, std::string name)
      : text_(std::move(text)), name_(std::move(name)) {}

  /// The next line without its end, `false` after the last one.
  bool next(std::string_view& line) {
    if (position_ >= text_.size()) return false;
    const std::size_t end = std::min(text_.find('\n', position_), text_.size());
    line = std::string_view(text_).substr(position_, end - position_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    position_ = end + 1;
    ++number_;
    return true;
  }

  std::pair<std::string, std::string> merge(std::string_view line) const {
    const std::size_t blank = line.find(' ');
    const bool two = blank != line.npos && blank > 0 && blank + 1 < line.size() &&
                     line.find(' ', blank + 1) == line.npos;
    if (!two) fail("two tokens with a blank between them", line);
    return {std::string(line.substr(0, blank)), std::string(line.substr(blank + 1))};
  }

  [[noreturn]] void fail(const std::string& expected, std::string_view got) const {
    std::string shown;
    for (char c : got.substr(0, 40)) shown += c >= ' ' && c <= '~' ? c : '?';
    throw format_error("read tokenizer", expected, "\"" + shown + "\"",
                       name_ + ", line " + std::to_string(number_));
  }

 private:
  std::string text_, name_;
  std::size_t position_ = 0, number_ = 0;
};

}  // namespace solens::detail

namespace solens {

/// A vocabulary from a BPE table alone, as OpenAI publishes it (bpe_simple_vocab_16e6.txt.gz, or
/// the same unpacked): a line with the version, then a merge a line, of which the first 48,894
/// count.
///
/// Ids: the 256 bytes, the 256 bytes at the end of a word, the merges, start, end. As in open_clip
/// the special tokens are written `<start_of_text>` and `<end_of_text>` in a text; padding is 0.
/// @throws io_error, format_error naming file and line
inline bpe_vocabulary read_bpe_table(const std::filesystem::path& path) {
  constexpr std::size_t n_merges = 49152 - 256 - 2;
  bpe_vocabulary vocabulary;
  vocabulary.name = path.string();
  vocabulary.normalizer.clip_cleaning = true;
  index_t id = 0;
  // In the order of OpenAI's table: bytes that are printable for themselves come first.
  const auto letters = byte_alphabet();
  for (const bool at_end : {false, true}) {
    for (const bool printable : {true, false}) {
      for (std::size_t b = 0; b < 256; ++b) {
        const std::string own = unicode::to_utf8(std::u32string(1, static_cast<char32_t>(b)));
        if ((letters[b] == own) == printable) {
          vocabulary.ids[letters[b] + (at_end ? vocabulary.end_of_word : "")] = id++;
        }
      }
    }
  }
  detail::merge_lines lines(detail::read_text(path), vocabulary.name);
  std::string_view line;
  if (!lines.next(line) || line.find("#version") == line.npos) {
    lines.fail("a BPE table, which begins with its #version", line);
  }
  while (vocabulary.merges.size() < n_merges && lines.next(line)) {
    if (line.empty()) continue;
    auto merge = lines.merge(line);
    if (!vocabulary.ids.contains(merge.first) || !vocabulary.ids.contains(merge.second)) {
      lines.fail("tokens that earlier lines make", line);
    }
    vocabulary.ids[merge.first + merge.second] = id++;
    vocabulary.merges.push_back(std::move(merge));
  }
  vocabulary.start = id++;
  vocabulary.end = id++;
  vocabulary.padding = 0;
  vocabulary.specials = {{"<start_of_text>", vocabulary.start, special_match::at_word_start},
                         {"<end_of_text>", vocabulary.end, special_match::at_word_start}};
  return vocabulary;
}

}  // namespace solens
