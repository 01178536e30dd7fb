#pragma once

#include <algorithm>  // std::fill
#include <cstddef>    // std::size_t
#include <vector>

#include <solens/backend/parallel.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/findings/coefficient_store.hpp>

namespace solens {

/// The rows of a block of writers as they were read from a store, seen image by image, about their
/// mean.
template <class T>
class images_of_writers {
 public:
  static constexpr index_t together = 1;  ///< writers that are best looked at at once
  using block_type = typename coefficient_store<T>::block;

  /// @param block  must outlive this; `measure` has to be called before anything else
  explicit images_of_writers(const block_type& block)
      : block_(&block), mean_({block.n_writers(), block.width()}) {}

  bool empty() const { return block_->empty(); }

  /// Takes the mean over all images, of writers [begin, end) of the block; threads may do so at the
  /// same time for different writers.
  void measure(index_t begin, index_t end) {
    const index_t width = block_->width();
    thread_team().split(end - begin, 1, [&](index_t from, index_t to) {
      std::vector<double> sum(static_cast<std::size_t>(width));
      std::vector<T> of_piece(static_cast<std::size_t>(width));
      for (index_t w = begin + from; w < begin + to; ++w) {
        std::fill(sum.begin(), sum.end(), 0.0);
        for (const auto& piece : block_->pieces()) {
          std::fill(of_piece.begin(), of_piece.end(), T{0});
          for (index_t i = 0; i < piece.extent(1); ++i) add(&piece(w, i, 0), of_piece);
          add(of_piece.data(), sum);
        }
        for (index_t j = 0; j < width; ++j) {
          mean_(w, j) = static_cast<T>(sum[static_cast<std::size_t>(j)] /
                                       static_cast<double>(block_->n_images()));
        }
      }
    });
  }

  const host_tensor<T>& mean() const { return mean_; }  ///< [n_writers, width]

  /// Images of some writers, from `writer` and `image` on, less the mean.
  /// @param out  overwritten, [n, m, width], contiguous
  void centered(index_t writer, index_t image, host_view<T> out) const {
    thread_team().split(out.extent(0), 1, [&](index_t from, index_t to) {
      for (index_t w = from; w < to; ++w) {
        std::size_t p = block_->piece_of(image);
        T* row = out.data() + w * out.extent(1) * out.extent(2);
        for (index_t i = image; i < image + out.extent(1); ++i, row += out.extent(2)) {
          if (i == block_->first(p + 1)) ++p;
          subtract_mean(writer + w, &block_->pieces()[p](writer + w, i - block_->first(p), 0), row);
        }
      }
    });
  }

  /// The images that each writer chose, less the mean.
  /// @param chosen  [n, count], of as many writers as there are rows, or of any number of readers
  ///                of a single row
  /// @param out     overwritten, [n, count, width], contiguous
  void centered(host_view<const index_t> chosen, host_view<T> out) const {
    const bool single = block_->n_writers() == 1;
    thread_team().split(out.extent(0), 1, [&](index_t from, index_t to) {
      for (index_t w = from; w < to; ++w) {
        for (index_t i = 0; i < chosen.extent(1); ++i) {
          const index_t writer = single ? 0 : w;
          subtract_mean(writer, block_->row(writer, chosen(w, i)), &out(w, i, 0));
        }
      }
    });
  }

 private:
  template <class U>
  static void add(const T* x, std::vector<U>& sum) {
    U* to = sum.data();
    const auto n = static_cast<index_t>(sum.size());
    SOLENS_SIMD()
    for (index_t j = 0; j < n; ++j) to[j] += static_cast<U>(x[j]);
  }

  void subtract_mean(index_t writer, const T* x, T* out) const {
    const T* mean = mean_.data() + writer * block_->width();
    const index_t width = block_->width();
    SOLENS_SIMD()
    for (index_t j = 0; j < width; ++j) out[j] = x[j] - mean[j];
  }

  const block_type* block_;
  host_tensor<T> mean_;
};

}  // namespace solens
