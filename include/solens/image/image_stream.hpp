#pragma once

#include <algorithm>  // std::max, std::min
#include <condition_variable>
#include <cstddef>    // std::size_t
#include <exception>  // std::exception_ptr
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>  // std::exchange, std::move
#include <vector>

#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>
#include <solens/core/tensor_view.hpp>
#include <solens/core/threads.hpp>
#include <solens/image/image.hpp>
#include <solens/image/preprocess.hpp>

namespace solens {

struct image_stream_options {
  int threads = 0;      ///< that read and decode; 0: half the CPUs, at least one
  index_t ahead = 64;   ///< images held ready at most, 8-bit crops: 150 kB each at 224 x 224
  bool strict = false;  ///< an image that cannot be read ends the stream
  index_t first = 0;    ///< the position to begin with
};

/// An image that could not be read, and why.
struct skipped_image {
  index_t position = 0;
  std::string reason;  ///< names the image
};

/// Reads, decodes and crops images on threads of its own, ahead of who asks for them.
///
/// The order is that of their positions, whatever the number of threads. Images that cannot be read
/// are left out and kept in `skipped()`, or, with `strict`, thrown.
///
///     image_stream images(n, options, [&](index_t i) { return read_image(paths[i]); });
///     while (!(positions = images.next(pixels)).empty()) encode(pixels, positions);
///
/// One thread at a time may call it.
class image_stream {
 public:
  /// Reads the image at a position; called from several threads at once.
  using reader = std::function<rgb_image(index_t)>;

  /// @param n  images, at the positions 0 to n - 1
  /// @throws argument_error when the preprocessing leaves images of several extents
  image_stream(index_t n, const preprocess_options& preprocess, reader read,
               const image_stream_options& options = {})
      : n_(static_cast<std::size_t>(std::max(index_t{0}, n))),
        preprocess_(preprocess),
        extent_(output_extent(preprocess)),
        read_(std::move(read)),
        strict_(options.strict),
        slots_(static_cast<std::size_t>(std::max(index_t{1}, options.ahead))),
        begun_(std::min(n_, static_cast<std::size_t>(options.first))),
        taken_(begun_) {
    const int wanted = options.threads > 0 ? options.threads : std::max(1, usable_cpus() / 2);
    const auto n_threads =
        std::min({static_cast<std::size_t>(wanted), slots_.size(), std::max<std::size_t>(1, n_)});
    try {
      while (workers_.size() < n_threads) workers_.emplace_back([this] { work(); });
    } catch (...) {
      stop();
      throw;
    }
  }
  ~image_stream() { stop(); }
  image_stream(const image_stream&) = delete;
  image_stream& operator=(const image_stream&) = delete;

  /// The next images' pixels, as many as there is room for.
  /// @param out  [batch, 3, height, width]; as many of the first as are returned are overwritten
  /// @returns their positions, in order; empty at the end
  /// @throws shape_error when `out` does not fit the preprocessing; with `strict`, what the
  ///         reader threw; and in any case what it threw if that is not an `error`
  std::vector<index_t> next(host_view<float> out) {
    if (out.rank() != 4 || out.extent(0) < 1 ||
        out.extents().without(0) != shape{3, extent_.height, extent_.width}) {
      throw shape_error("image_stream",
                        "[batch, 3, " + std::to_string(extent_.height) + ", " +
                            std::to_string(extent_.width) + "]",
                        to_string(out.extents()), "out");
    }
    std::vector<index_t> positions;
    while (static_cast<index_t>(positions.size()) < out.extent(0) && taken_ < n_) {
      const slot result = take();
      const auto position = static_cast<index_t>(taken_ - 1);
      if (result.failure) {
        skip_or_throw(position, result.failure);
        continue;
      }
      normalize(result.pixels, preprocess_, out[static_cast<index_t>(positions.size())]);
      positions.push_back(position);
    }
    return positions;
  }

  /// How many images there are, and how many of them are done with, those before `first` included.
  index_t size() const { return static_cast<index_t>(n_); }
  index_t done() const { return static_cast<index_t>(taken_); }

  const std::vector<skipped_image>& skipped() const { return skipped_; }

 private:
  struct slot {
    rgb_image pixels;
    std::exception_ptr failure;
    bool ready = false;
  };

  /// What a worker does: the next image that is not begun, as soon as there is room for it.
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock,
                    [&] { return stopping_ || begun_ == n_ || begun_ < taken_ + slots_.size(); });
      if (stopping_ || begun_ == n_) return;
      const std::size_t position = begun_++;
      lock.unlock();
      slot result;
      try {
        result.pixels = resize_and_crop(read_(static_cast<index_t>(position)), preprocess_);
      } catch (...) {
        result.failure = std::current_exception();
      }
      result.ready = true;
      lock.lock();
      slots_[position % slots_.size()] = std::move(result);
      changed_.notify_all();
    }
  }

  /// The next image in order, and room for another one.
  slot take() {
    std::unique_lock lock(mutex_);
    slot& next = slots_[taken_ % slots_.size()];
    changed_.wait(lock, [&] { return next.ready; });
    slot result = std::exchange(next, {});
    ++taken_;
    changed_.notify_all();
    return result;
  }

  void skip_or_throw(index_t position, const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const error& reason) {
      if (strict_) throw;
      skipped_.push_back({position, reason.what()});
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  const std::size_t n_;
  const preprocess_options preprocess_;
  const image_extent extent_;
  const reader read_;
  const bool strict_;
  std::vector<skipped_image> skipped_;

  std::mutex mutex_;  // guards all that follows but the threads themselves
  std::condition_variable changed_;
  std::vector<slot> slots_;  // image i in slot i % size
  std::size_t begun_;        // images that a worker has taken up, or that were passed over
  std::size_t taken_;        // images that left their slot, or likewise
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace solens
