#pragma once

#include <cerrno>
#include <cstddef>  // std::byte
#include <cstdint>  // std::uintptr_t
#include <cstring>  // std::strerror
#include <filesystem>
#include <span>
#include <string>
#include <utility>  // std::exchange

#include <fcntl.h>     // open
#include <sys/mman.h>  // mmap
#include <sys/stat.h>  // fstat
#include <unistd.h>    // close, sysconf

#include <solens/core/error.hpp>

namespace solens {

/// A whole file as read-only memory, read from disk page by page when touched.
///
/// The file must not be cut while it is mapped: the operating system then ends the process.
class mapped_file {
 public:
  mapped_file() = default;

  /// @throws io_error naming the file when it can't be opened or mapped, or is no regular file
  explicit mapped_file(const std::filesystem::path& path) {
    // A named pipe, which is refused below, would block until somebody writes to it.
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) fail("a readable file", path);
    struct ::stat status {};
    if (::fstat(file, &status) != 0) {
      const int reason = errno;
      ::close(file);
      errno = reason;
      fail("a readable file", path);
    }
    if (!S_ISREG(status.st_mode)) {
      ::close(file);
      throw io_error("map", "a regular file", S_ISDIR(status.st_mode) ? "a folder" : "another kind",
                     path.string());
    }
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ > 0) {  // an empty mapping is an error to mmap, an empty file is none
      void* memory = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
      if (memory == MAP_FAILED) {
        const int reason = errno;
        ::close(file);
        errno = reason;
        fail("a file that can be mapped", path);
      }
      data_ = static_cast<const std::byte*>(memory);
    }
    ::close(file);  // the mapping stays
  }

  mapped_file(mapped_file&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  mapped_file& operator=(mapped_file&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~mapped_file() {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  }

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::size_t size() const { return size_; }

  /// Says that a part of `bytes()` has been read: its pages leave memory, and come back from disk
  /// when they are touched again.
  void drop(std::span<const std::byte> part) const {
    if (part.empty()) return;
    // Whole pages only: the rest of a page may belong to something still in use.
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<std::uintptr_t>(part.data());
    const std::uintptr_t first = (begin + page - 1) / page * page;
    const std::uintptr_t last = (begin + part.size()) / page * page;
    if (first < last) {
      ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);  // advice: may fail
    }
  }

 private:
  [[noreturn]] static void fail(const char* expected, const std::filesystem::path& path) {
    throw io_error("map", expected, std::strerror(errno), path.string());
  }

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace solens
