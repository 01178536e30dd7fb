#pragma once

#include <algorithm>  // std::min
#include <cerrno>
#include <cstddef>  // std::byte
#include <cstring>  // std::strerror
#include <filesystem>
#include <numeric>  // std::accumulate
#include <span>
#include <string>
#include <system_error>  // std::error_code
#include <utility>       // std::exchange
#include <vector>

#include <fcntl.h>      // open
#include <sys/types.h>  // off_t
#include <sys/uio.h>    // preadv
#include <unistd.h>     // pwrite, ftruncate

#include <solens/core/error.hpp>
#include <solens/core/tensor_view.hpp>

namespace solens {

/// Rows of numbers for [images, writers], on disk: appended image batch after image batch, read
/// writer block after writer block.
///
/// That is the transposition that lets one forward pass over any number of images be followed by
/// exact findings per writer, in bounded memory. The file holds a record for each batch,
/// [n_writers, batch, width], so that a block of writers is one contiguous piece of every record.
/// The file has no header: whoever owns the store remembers the batch sizes and reopens it with
/// them. The file stays when the store goes; `remove` it by its path.
template <class T>
class coefficient_store {
 public:
  /// Opens or creates the file and cuts it to what `batches` accounts for.
  /// @param batches  images in each record that is already there
  /// @throws io_error naming the file, also when it holds less than `batches` says
  coefficient_store(std::filesystem::path path, index_t n_writers, index_t width,
                    std::vector<index_t> batches = {})
      : path_(std::move(path)), n_writers_(n_writers), width_(width), batches_(std::move(batches)) {
    file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file_ < 0) fail("a file that can be written");
    const off_t size = ::lseek(file_, 0, SEEK_END);
    if (size < offset_of(batches_.size())) {
      close();
      throw io_error("coefficient_store", std::to_string(offset_of(batches_.size())) + " bytes",
                     std::to_string(size), path_.string());
    }
    if (size > offset_of(batches_.size()) && ::ftruncate(file_, offset_of(batches_.size())) != 0) {
      fail("a file that can be cut");
    }
  }

  coefficient_store(coefficient_store&& other) noexcept
      : path_(std::move(other.path_)),
        n_writers_(other.n_writers_),
        width_(other.width_),
        batches_(std::move(other.batches_)),
        file_(std::exchange(other.file_, -1)) {}
  coefficient_store& operator=(coefficient_store&&) = delete;
  ~coefficient_store() { close(); }

  index_t n_writers() const { return n_writers_; }
  index_t width() const { return width_; }
  const std::vector<index_t>& batches() const { return batches_; }
  index_t n_images() const { return std::accumulate(batches_.begin(), batches_.end(), index_t{0}); }

  /// Appends one batch.
  /// @param record  [n_writers, batch, width], contiguous
  /// @throws io_error when the disk is full or fails; the store is then as before the call
  void append(host_view<const T> record) {
    if (record.rank() != 3 || !record.contiguous() || record.extent(0) != n_writers_ ||
        record.extent(2) != width_) {
      throw shape_error("coefficient_store",
                        to_string(shape{n_writers_, -1, width_}) + ", contiguous",
                        to_string(record.extents()), path_.string());
    }
    if (record.empty()) return;
    const char* from = reinterpret_cast<const char*>(record.data());
    std::size_t left = static_cast<std::size_t>(record.size()) * sizeof(T);
    off_t at = offset_of(batches_.size());
    while (left > 0) {
      const ssize_t n = ::pwrite(file_, from, left, at);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) fail("room for " + std::to_string(left) + " more bytes");
      from += n;
      at += n;
      left -= static_cast<std::size_t>(n);
    }
    batches_.push_back(record.extent(1));
  }

  /// Forgets the last batches until `images` are left.
  /// @throws argument_error when no whole number of batches holds that many
  void cut(index_t images) {
    while (n_images() > images) batches_.pop_back();
    if (n_images() != images) {
      throw argument_error("coefficient_store", "a number of images at which a batch ends",
                           std::to_string(images), path_.string());
    }
  }

  /// Removes the file.
  void remove() {
    close();
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

  /// Waits until everything appended is on the disk itself.
  void sync() {
    if (::fdatasync(file_) != 0) fail("a disk that keeps what is written");
  }

  /// Reads the rows of writers [first, first + out.extent(0)) for all images, in order.
  /// @param out  [n_block, n_images, width], contiguous
  /// @throws io_error when the file is shorter than it was
  void read(index_t first, host_view<T> out) const {
    const index_t n_block = out.extent(0);
    if (out.rank() != 3 || !out.contiguous() || first < 0 || first + n_block > n_writers_ ||
        out.extent(1) != n_images() || out.extent(2) != width_) {
      throw shape_error("coefficient_store",
                        "a block of " + to_string(shape{n_writers_, n_images(), width_}),
                        to_string(out.extents()), path_.string());
    }
    index_t image = 0;
    for (std::size_t b = 0; b < batches_.size(); ++b) {
      const std::size_t row = static_cast<std::size_t>(batches_[b] * width_) * sizeof(T);
      off_t at = offset_of(b) + static_cast<off_t>(first) * static_cast<off_t>(row);
      for (index_t w = 0; w < n_block; w += max_pieces) {
        std::vector<iovec> pieces;
        for (index_t i = w; i < std::min(n_block, w + max_pieces); ++i) {
          pieces.push_back({out.data() + (i * n_images() + image) * width_, row});
        }
        read_pieces(at, pieces);
        at += static_cast<off_t>(row * pieces.size());
      }
      image += batches_[b];
    }
  }

 private:
  static constexpr index_t max_pieces = 512;  // below every system's IOV_MAX

  off_t offset_of(std::size_t record) const {
    const index_t images = std::accumulate(
        batches_.begin(), batches_.begin() + static_cast<std::ptrdiff_t>(record), index_t{0});
    return static_cast<off_t>(images * n_writers_ * width_) * static_cast<off_t>(sizeof(T));
  }

  void read_pieces(off_t at, std::span<iovec> pieces) const {
    while (!pieces.empty()) {
      ssize_t n = ::preadv(file_, pieces.data(), static_cast<int>(pieces.size()), at);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("a file that can be read");
      if (n == 0) {
        throw io_error("coefficient_store", "more bytes", "the end of the file", path_.string());
      }
      at += n;
      while (!pieces.empty() && static_cast<std::size_t>(n) >= pieces.front().iov_len) {
        n -= static_cast<ssize_t>(pieces.front().iov_len);
        pieces = pieces.subspan(1);
      }
      if (n > 0) {
        pieces.front().iov_base = static_cast<std::byte*>(pieces.front().iov_base) + n;
        pieces.front().iov_len -= static_cast<std::size_t>(n);
      }
    }
  }

  [[noreturn]] void fail(const std::string& expected) const {
    throw io_error("coefficient_store", expected, std::strerror(errno), path_.string());
  }

  void close() {
    if (file_ >= 0) ::close(std::exchange(file_, -1));
  }

  std::filesystem::path path_;
  index_t n_writers_;
  index_t width_;
  std::vector<index_t> batches_;
  int file_ = -1;
};

}  // namespace solens
