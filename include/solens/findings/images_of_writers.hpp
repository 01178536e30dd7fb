#pragma once

#include <algorithm>  // std::fill, std::upper_bound
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
  bool empty() const { return block_.pieces().empty(); }

  /// Reads writers [begin, end); afterwards `measure` has to be called. The two are apart since
  /// reading waits for a disk, on a thread that does little else.
  void read(const coefficient_store<T>& store, index_t begin, index_t end) {
    store.read(begin, end, block_);
  }

  /// Takes the mean over all images.
  void measure() {
    const index_t n = block_.n_writers(), width = block_.width();
    first_.assign(1, 0);
    for (const auto& piece : block_.pieces()) first_.push_back(first_.back() + piece.extent(1));
    mean_ = host_tensor<T>({n, width});
    thread_team().split(n, 1, [&](index_t begin, index_t end) {
      std::vector<double> sum(static_cast<std::size_t>(width));
      std::vector<T> of_piece(static_cast<std::size_t>(width));
      for (index_t w = begin; w < end; ++w) {
        std::fill(sum.begin(), sum.end(), 0.0);
        for (const auto& piece : block_.pieces()) {
          std::fill(of_piece.begin(), of_piece.end(), T{0});
          for (index_t i = 0; i < piece.extent(1); ++i) add(&piece(w, i, 0), of_piece);
          add(of_piece.data(), sum);
        }
        for (index_t j = 0; j < width; ++j) {
          mean_(w, j) =
              static_cast<T>(sum[static_cast<std::size_t>(j)] / static_cast<double>(first_.back()));
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
        std::size_t p = piece_of(image);
        T* row = out.data() + w * out.extent(1) * out.extent(2);
        for (index_t i = image; i < image + out.extent(1); ++i, row += out.extent(2)) {
          if (i == first_[p + 1]) ++p;
          subtract_mean(writer + w, p, i, row);
        }
      }
    });
  }

  /// The images that each writer chose, less the mean.
  /// @param chosen  [n, count], of as many writers as there are rows, or of any number of readers
  ///                of a single row
  /// @param out     overwritten, [n, count, width], contiguous
  void centered(host_view<const index_t> chosen, host_view<T> out) const {
    const bool single = block_.n_writers() == 1;
    thread_team().split(out.extent(0), 1, [&](index_t from, index_t to) {
      for (index_t w = from; w < to; ++w) {
        for (index_t i = 0; i < chosen.extent(1); ++i) {
          const index_t image = chosen(w, i);
          subtract_mean(single ? 0 : w, piece_of(image), image, &out(w, i, 0));
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

  std::size_t piece_of(index_t image) const {
    return static_cast<std::size_t>(std::upper_bound(first_.begin(), first_.end(), image) -
                                    first_.begin()) -
           1;
  }

  void subtract_mean(index_t writer, std::size_t piece, index_t image, T* out) const {
    const T* x = &block_.pieces()[piece](writer, image - first_[piece], 0);
    const T* mean = mean_.data() + writer * block_.width();
    const index_t width = block_.width();
    SOLENS_SIMD()
    for (index_t j = 0; j < width; ++j) out[j] = x[j] - mean[j];
  }

  typename coefficient_store<T>::block block_;
  std::vector<index_t> first_;  ///< image of every piece, and their number
  host_tensor<T> mean_;
};

}  // namespace solens
