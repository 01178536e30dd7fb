#pragma once

#include <algorithm>  // std::find_if, std::upper_bound
#include <condition_variable>
#include <cstddef>  // std::byte, std::size_t
#include <cstdint>
#include <filesystem>
#include <future>  // std::async
#include <memory>  // std::make_shared: what std::function holds is copyable
#include <mutex>
#include <numeric>  // std::accumulate
#include <span>
#include <string>
#include <utility>  // std::move, std::pair
#include <vector>

#include <solens/core/background.hpp>
#include <solens/core/direct_file.hpp>
#include <solens/core/error.hpp>
#include <solens/core/tensor_view.hpp>

namespace solens {

/// Writes the records of any number of stores on one thread, in memory that is used again.
class record_writer {
 public:
  /// @param most_bytes  memory for records under way; one record is let through whatever its size
  explicit record_writer(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  /// Memory for a record, after waiting until there is some.
  page_buffer take(std::size_t bytes) {
    const std::size_t size = whole_pages(bytes);
    std::unique_lock lock(mutex_);
    // Of this very size, as records of a store are: a larger one would be missed by its own.
    const auto fits = [size](const page_buffer& b) { return b.size() == size; };
    for (;;) {
      if (auto at = std::find_if(free_.begin(), free_.end(), fits); at != free_.end()) {
        page_buffer buffer = std::move(*at);
        free_.erase(at);
        return buffer;
      }
      while (!free_.empty() && held_ + size > most_bytes_) {
        held_ -= free_.back().size();
        free_.pop_back();
      }
      if (held_ == 0 || held_ + size <= most_bytes_) break;
      freed_.wait(lock);
    }
    page_buffer buffer(bytes);
    held_ += buffer.size();
    return buffer;
  }

  /// Returns a buffer that `take` gave.
  void give_back(page_buffer buffer) {
    {
      const std::lock_guard lock(mutex_);
      free_.push_back(std::move(buffer));
    }
    freed_.notify_all();
  }

  /// Writes the first `bytes` of a buffer that `take` gave.
  void write(direct_file& file, std::uint64_t at, page_buffer buffer, std::size_t bytes) {
    const std::shared_ptr<page_buffer> record(new page_buffer(std::move(buffer)),
                                              [this](page_buffer* b) {
                                                give_back(std::move(*b));
                                                delete b;
                                              });
    thread_.post([&file, at, record, bytes] { file.write(at, record->bytes().first(bytes)); });
  }

  /// Returns when everything is written.
  /// @throws io_error, from then on always, when something could not be
  void wait() { thread_.wait(); }

 private:
  std::size_t most_bytes_, held_ = 0;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<page_buffer> free_;
  background thread_;  // last: what it has under way goes back to the others
};

/// Rows of numbers for [images, writers], on disk: appended image batch after image batch, read
/// writer block after writer block.
///
/// That is the transposition that lets one forward pass over any number of images be followed by
/// exact findings per writer, in bounded memory. The file holds a record for each batch,
/// [n_writers, batch, width], filled up to whole pages, so that a block of writers is one
/// contiguous piece of every record. The file has no header: whoever owns the store remembers the
/// batch sizes and reopens it with them. The file stays when the store goes; `remove` it by its
/// path.
template <class T>
class coefficient_store {
 public:
  /// Opens or creates the file and cuts it to what `batches` accounts for.
  /// @param writer   must outlive the store
  /// @param batches  images in each record that is already there
  /// @throws io_error naming the file, also when it holds less than `batches` says
  coefficient_store(record_writer& writer, std::filesystem::path path, index_t n_writers,
                    index_t width, std::vector<index_t> batches = {})
      : writer_(&writer),
        file_(std::move(path)),
        n_writers_(n_writers),
        width_(width),
        batches_(std::move(batches)) {
    const std::uint64_t size = file_.size(), known = offset_of(batches_.size());
    if (size < known) {
      throw io_error("coefficient_store", std::to_string(known) + " bytes", std::to_string(size),
                     file_.path().string());
    }
    if (size > known) file_.cut(known);
  }

  /// Waits for records under way, which need the file.
  ~coefficient_store() {
    try {
      writer_->wait();
    } catch (...) {
      // said to whoever synchronised
    }
  }
  coefficient_store(const coefficient_store&) = delete;
  coefficient_store& operator=(const coefficient_store&) = delete;

  index_t n_writers() const { return n_writers_; }
  index_t width() const { return width_; }
  const std::vector<index_t>& batches() const { return batches_; }
  index_t n_images() const { return std::accumulate(batches_.begin(), batches_.end(), index_t{0}); }

  /// Memory for the next record: [n_writers, batch, width], to be filled and then appended.
  host_view<T> next(index_t batch) {
    if (next_.data() != nullptr) writer_->give_back(std::move(next_));  // one that was not appended
    next_ = writer_->take(bytes_of(batch));
    next_batch_ = batch;
    return {reinterpret_cast<T*>(next_.data()), shape{n_writers_, batch, width_}};
  }

  /// Appends what `next` gave memory for. It is written in the background: `sync` says whether it
  /// could be.
  void append() {
    const std::size_t bytes = bytes_of(next_batch_);
    writer_->write(file_, offset_of(batches_.size()), std::move(next_), bytes);
    batches_.push_back(next_batch_);
  }

  /// Forgets the last batches until `images` are left.
  /// @throws argument_error when no whole number of batches holds that many
  void cut(index_t images) {
    while (n_images() > images) batches_.pop_back();
    if (n_images() != images) {
      throw argument_error("coefficient_store", "a number of images at which a batch ends",
                           std::to_string(images), file_.path().string());
    }
  }

  /// Removes the file.
  void remove() { file_.remove(); }

  /// Waits until everything appended is on the disk itself.
  /// @throws io_error when it could not be written: a full disk, say
  void sync() {
    writer_->wait();
    file_.sync();
  }

  /// The rows of some writers for all images, in pieces as they lie on the disk.
  class block {
   public:
    bool empty() const { return pieces_.empty(); }
    index_t n_writers() const { return empty() ? 0 : pieces_.front().extent(0); }
    index_t n_images() const { return first_.back(); }
    index_t width() const { return empty() ? 0 : pieces_.front().extent(2); }
    /// A piece for each batch, in order: [n_writers, batch, width].
    const std::vector<host_view<const T>>& pieces() const { return pieces_; }
    /// The first image of a piece.
    index_t first(std::size_t piece) const { return first_[piece]; }
    /// The piece that an image is in.
    std::size_t piece_of(index_t image) const {
      return static_cast<std::size_t>(std::upper_bound(first_.begin(), first_.end(), image) -
                                      first_.begin()) -
             1;
    }
    /// The row of a writer for an image: [width].
    const T* row(index_t writer, index_t image) const {
      const std::size_t piece = piece_of(image);
      return &pieces_[piece](writer, image - first_[piece], 0);
    }

   private:
    friend class coefficient_store;
    page_buffer memory_;
    std::vector<host_view<const T>> pieces_;
    std::vector<index_t> first_{0};  ///< image of every piece, and their number
  };

  /// Reads the rows of writers [begin, end).
  /// @param out  overwritten; its memory is used again where it is large enough
  /// @throws io_error when the file is shorter than it was
  /// @note everything appended must have been synchronised
  void read(index_t begin, index_t end, block& out) const {
    if (begin < 0 || begin > end || end > n_writers_) {
      throw shape_error("coefficient_store", "writers up to " + std::to_string(n_writers_),
                        std::to_string(begin) + " to " + std::to_string(end),
                        file_.path().string());
    }
    out.pieces_.clear();
    out.first_.assign(1, 0);
    if (const std::size_t needed = memory_of_block(end - begin); out.memory_.size() < needed) {
      out.memory_ = {};  // first, so that the two never stand side by side
      out.memory_ = page_buffer(needed + needed / 8);  // what is not used is not resident
    }
    std::vector<std::pair<std::uint64_t, std::span<std::byte>>> parts;  // of the file, and where to
    std::uint64_t record = 0;
    std::size_t used = 0;
    for (const index_t batch : batches_) {
      const std::size_t row = static_cast<std::size_t>(batch * width_) * sizeof(T);
      const std::size_t from = static_cast<std::size_t>(begin) * row, skipped = from % page_size;
      const std::size_t bytes = whole_pages(skipped + static_cast<std::size_t>(end - begin) * row);
      parts.emplace_back(record + from - skipped, out.memory_.bytes().subspan(used, bytes));
      out.pieces_.push_back({reinterpret_cast<const T*>(out.memory_.data() + used + skipped),
                             shape{end - begin, batch, width_}});
      out.first_.push_back(out.first_.back() + batch);
      record += bytes_of(batch);
      used += bytes;
    }
    // Several at a time, so that the disk has some to do while others are handed over.
    constexpr std::size_t at_once = 4;
    std::vector<std::future<void>> readers;
    for (std::size_t first = 0; first < at_once; ++first) {
      readers.push_back(std::async(std::launch::async, [&, first] {
        for (std::size_t i = first; i < parts.size(); i += at_once) {
          file_.read(parts[i].first, parts[i].second);
        }
      }));
    }
    for (auto& reader : readers) reader.get();
  }

  /// Bytes of memory that a block of so many writers takes.
  std::size_t memory_of_block(index_t writers) const {
    return static_cast<std::size_t>(writers * n_images() * width_) * sizeof(T) +
           2 * page_size * batches_.size();
  }

 private:
  std::size_t bytes_of(index_t batch) const {
    return whole_pages(static_cast<std::size_t>(n_writers_ * batch * width_) * sizeof(T));
  }
  std::uint64_t offset_of(std::size_t record) const {
    std::uint64_t offset = 0;
    for (std::size_t b = 0; b < record; ++b) offset += bytes_of(batches_[b]);
    return offset;
  }

  record_writer* writer_;
  direct_file file_;
  index_t n_writers_, width_;
  std::vector<index_t> batches_;
  page_buffer next_;
  index_t next_batch_ = 0;
};

}  // namespace solens
