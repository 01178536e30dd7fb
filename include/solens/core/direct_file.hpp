#pragma once

#include <algorithm>  // std::min
#include <cerrno>
#include <cstddef>  // std::byte, std::size_t
#include <cstdint>
#include <cstdlib>  // std::aligned_alloc, std::free
#include <cstring>  // std::strerror
#include <filesystem>
#include <memory>
#include <new>  // std::bad_alloc
#include <span>
#include <string>
#include <system_error>  // std::error_code
#include <utility>       // std::exchange, std::move

#include <fcntl.h>      // open, O_DIRECT
#include <sys/mman.h>   // madvise
#include <sys/types.h>  // off_t
#include <unistd.h>     // pread, pwrite, ftruncate, fdatasync

#include <solens/core/error.hpp>

namespace solens {

/// The unit in which a `direct_file` counts offsets, sizes and addresses, in bytes.
inline constexpr std::size_t page_size = 4096;

/// `bytes`, rounded up to whole pages.
constexpr std::size_t whole_pages(std::size_t bytes) {
  return (bytes + page_size - 1) / page_size * page_size;
}

/// Uninitialised memory of whole pages, which a disk can read and write itself.
class page_buffer {
 public:
  page_buffer() = default;
  explicit page_buffer(std::size_t bytes) : size_(whole_pages(bytes)) {
    if (size_ == 0) return;
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(page_size, size_)));
    if (!memory_) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    // Only a hint: without huge pages first use costs a page fault for every 4 kB.
    if (size_ >= std::size_t{4} << 20) ::madvise(memory_.get(), size_, MADV_HUGEPAGE);
#endif
  }

  std::byte* data() const { return memory_.get(); }
  std::size_t size() const { return size_; }
  std::span<std::byte> bytes() const { return {data(), size_}; }

 private:
  struct free_memory {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, free_memory> memory_;
  std::size_t size_ = 0;
};

/// A file for what is written once, larger than memory, and read back once: past the system's
/// cache, where the file system allows it.
///
/// Copying into the cache costs a processor more than the disk takes to write; a direct transfer
/// costs it next to nothing. Offsets, sizes and addresses are whole pages. The file stays when the
/// object goes; `remove` it by its path.
class direct_file {
 public:
  /// Opens the file, or creates it.
  /// @throws io_error naming it
  explicit direct_file(std::filesystem::path path) : path_(std::move(path)) {
    constexpr int flags = O_RDWR | O_CREAT | O_CLOEXEC;
#if defined(O_DIRECT)
    file_ = ::open(path_.c_str(), flags | O_DIRECT, 0644);
    if (file_ < 0 && errno == EINVAL) file_ = ::open(path_.c_str(), flags, 0644);
#else
    file_ = ::open(path_.c_str(), flags, 0644);
#endif
    if (file_ < 0) fail("a file that can be written");
  }

  direct_file(direct_file&& other) noexcept
      : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)) {}
  direct_file& operator=(direct_file&&) = delete;
  ~direct_file() { close(); }

  const std::filesystem::path& path() const { return path_; }

  std::uint64_t size() const {
    const off_t size = ::lseek(file_, 0, SEEK_END);
    if (size < 0) fail("a file whose size is known");
    return static_cast<std::uint64_t>(size);
  }

  void cut(std::uint64_t size) {
    if (::ftruncate(file_, static_cast<off_t>(size)) != 0) fail("a file that can be cut");
  }

  /// @throws io_error naming the file, when the disk is full say
  void write(std::uint64_t at, std::span<const std::byte> bytes) {
    transfer("room", bytes, [&](const std::byte* from, std::size_t n, std::size_t done) {
      return ::pwrite(file_, from, n, static_cast<off_t>(at + done));
    });
  }

  /// @throws io_error naming the file, also when it is shorter
  void read(std::uint64_t at, std::span<std::byte> bytes) const {
    transfer("a disk that can be read", bytes, [&](std::byte* to, std::size_t n, std::size_t done) {
      return ::pread(file_, to, n, static_cast<off_t>(at + done));
    });
  }

  /// Waits until everything written is on the disk itself.
  void sync() {
    if (::fdatasync(file_) != 0) fail("a disk that keeps what is written");
  }

  void remove() {
    close();
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

 private:
  /// Calls `some(address, bytes, done)` until all bytes have passed; `needed` is what an error says
  /// was expected.
  template <class Byte, class F>
  void transfer(const std::string& needed, std::span<Byte> bytes, F&& some) const {
    constexpr std::size_t most = std::size_t{1} << 30;
    for (std::size_t done = 0; done < bytes.size();) {
      const std::size_t left = bytes.size() - done;
      const auto n = some(bytes.data() + done, std::min(left, most), done);
      if (n > 0) {
        done += static_cast<std::size_t>(n);
      } else if (n == 0) {
        throw io_error("direct_file", std::to_string(left) + " more bytes", "the end of the file",
                       path_.string());
      } else if (errno != EINTR && !(errno == EINVAL && go_through_the_cache())) {
        fail(needed + " for " + std::to_string(left) + " more bytes");
      }
    }
  }

  /// Whether the file was direct until now: some file systems refuse it only at a transfer, and
  /// every one after a transfer that ended within a page.
  bool go_through_the_cache() const {
#if defined(O_DIRECT)
    const int flags = ::fcntl(file_, F_GETFL);
    return flags >= 0 && (flags & O_DIRECT) != 0 && ::fcntl(file_, F_SETFL, flags & ~O_DIRECT) == 0;
#else
    return false;
#endif
  }

  [[noreturn]] void fail(const std::string& expected) const {
    throw io_error("direct_file", expected, std::strerror(errno), path_.string());
  }

  void close() {
    if (file_ >= 0) ::close(std::exchange(file_, -1));
  }

  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace solens
