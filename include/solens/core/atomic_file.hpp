#pragma once

#include <algorithm>  // std::min
#include <atomic>
#include <cerrno>
#include <cstddef>  // std::byte
#include <cstdint>
#include <cstdio>   // std::rename
#include <cstring>  // std::strerror
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>  // std::exchange, std::move

#include <fcntl.h>      // open
#include <sys/types.h>  // off_t
#include <unistd.h>     // pread, pwrite, ftruncate, fsync, close, getpid

#include <solens/core/error.hpp>

namespace solens {

/// A file that appears under its name whole or not at all.
///
/// Everything goes to a temporary beside it, which `commit` renames into place; without a commit,
/// after an exception say, the temporary is removed and what was there before stays untouched.
class atomic_file {
 public:
  /// @throws io_error naming the file when its folder can't be written or the name belongs to
  ///         something other than a regular file
  explicit atomic_file(std::filesystem::path path) : path_(std::move(path)) {
    std::error_code ignored;
    const auto there = std::filesystem::status(path_, ignored);
    if (std::filesystem::exists(there) && !std::filesystem::is_regular_file(there)) {
      throw io_error("write", "the name of a file",
                     std::filesystem::is_directory(there) ? "a folder" : "another kind of entry",
                     path_.string());
    }
    static std::atomic<unsigned> count{0};
    do {
      temporary_ = path_;
      temporary_ += ".part-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
      file_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (file_ < 0 && errno == EEXIST);
    if (file_ < 0) fail("a file that can be created");
  }

  atomic_file(atomic_file&& other) noexcept
      : path_(std::move(other.path_)),
        temporary_(std::move(other.temporary_)),
        file_(std::exchange(other.file_, -1)),
        size_(other.size_) {}
  atomic_file& operator=(atomic_file&&) = delete;
  ~atomic_file() { discard(); }

  const std::filesystem::path& path() const { return path_; }

  /// Bytes written so far by `write`: where the next ones go.
  std::uint64_t size() const { return size_; }

  /// Appends.
  /// @throws io_error naming the file, when the disk is full say
  void write(std::span<const std::byte> bytes) {
    write_at(size_, bytes);
    size_ += bytes.size();
  }
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Writes at an offset, for who knows the layout beforehand. Does not move `size()`.
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto written =
          ::pwrite(file_, bytes.data(), std::min(bytes.size(), std::size_t{1} << 30),
                   static_cast<::off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail("room for " + std::to_string(bytes.size()) + " more bytes");
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    }
  }

  /// Reads back what was written at an offset.
  /// @throws io_error naming the file, also when less than that was written
  void read_at(std::uint64_t offset, std::span<std::byte> bytes) const {
    while (!bytes.empty()) {
      const auto got = ::pread(file_, bytes.data(), std::min(bytes.size(), std::size_t{1} << 30),
                               static_cast<::off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got == 0) errno = EIO;
      if (got <= 0) fail(std::to_string(bytes.size()) + " bytes written before");
      bytes = bytes.subspan(static_cast<std::size_t>(got));
      offset += static_cast<std::uint64_t>(got);
    }
  }

  /// Cuts or extends the file to a number of bytes, for who writes at offsets.
  /// @throws io_error naming the file
  void resize(std::uint64_t bytes) {
    if (::ftruncate(file_, static_cast<::off_t>(bytes)) != 0) {
      fail("a file of " + std::to_string(bytes) + " bytes");
    }
  }

  /// Puts the file in its place. Nothing can be written afterwards.
  /// @param durable  wait until the content is on the disk, so that it survives a power cut
  /// @throws io_error naming the file; what was there before then stays
  void commit(bool durable = false) {
    if (durable && ::fsync(file_) != 0) fail("content that reaches the disk");
    if (::close(std::exchange(file_, -1)) != 0) fail_and_remove("content that reaches the disk");
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail_and_remove("a name to rename to");
  }

 private:
  void discard() noexcept {
    if (file_ < 0) return;
    ::close(std::exchange(file_, -1));
    ::unlink(temporary_.c_str());
  }

  [[noreturn]] void fail(const std::string& expected) const {
    throw io_error("write", expected, std::strerror(errno), path_.string());
  }
  [[noreturn]] void fail_and_remove(const std::string& expected) const {
    const int reason = errno;
    ::unlink(temporary_.c_str());
    errno = reason;
    fail(expected);
  }

  std::filesystem::path path_, temporary_;
  int file_ = -1;
  std::uint64_t size_ = 0;
};

/// Writes a whole file at once, or not at all.
/// @throws io_error naming the file
inline void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  atomic_file file(path);
  file.write(content);
  file.commit();
}

}  // namespace solens
