#pragma once

#include <cerrno>
#include <cstring>  // std::strerror
#include <fstream>
#include <iostream>
#include <string>

#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>
#include <solens/text/unicode.hpp>

namespace solens::program {

/// The lines of a text file, or of standard input for "-". An empty line is a text like any
/// other, so that line i is row i; line ends may be those of Windows.
class text_lines {
 public:
  /// @throws io_error when the file cannot be opened
  explicit text_lines(const std::string& path) : path_(path == "-" ? "standard input" : path) {
    if (path == "-") return;
    errno = 0;
    file_.open(path, std::ios::binary);
    if (!file_) fail();
  }

  /// @returns whether there was another line
  /// @throws io_error when reading fails (of a folder, say), format_error for a line that is not
  ///         UTF-8; both name the file, the second also the line
  bool next(std::string& line) {
    std::istream& in = file_.is_open() ? file_ : std::cin;
    errno = 0;
    const bool found = static_cast<bool>(std::getline(in, line));
    if (in.bad() || (!found && errno != 0)) fail();
    if (!found) return false;
    if (number_ == 0 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);  // a byte order mark
    if (line.ends_with('\r')) line.pop_back();
    unicode::from_utf8(line, path_ + ", line " + std::to_string(++number_));
    return true;
  }

 private:
  [[noreturn]] void fail() const {
    throw io_error("read texts", "a readable text file", std::strerror(errno), path_);
  }

  std::string path_;
  std::ifstream file_;
  index_t number_ = 0;  ///< of lines read
};

}  // namespace solens::program
