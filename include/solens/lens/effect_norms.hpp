#pragma once

#include <algorithm>  // std::clamp, std::max, std::min, std::none_of
#include <cmath>      // std::isnan

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/lens/scratch.hpp>
#include <solens/lens/second_order.hpp>

namespace solens {

/// Norms and inner products of effects from their coefficients, the effects never formed.
///
/// Each writer has a frame, a matrix F such that the effects D^T s are as long as F^T s: F F^T =
/// D D^T. That is the Cholesky factor of the Gram matrix, with as many columns as there are
/// sources, or, in the joint space, D itself: where that is no wider, where rounding leaves a Gram
/// matrix without a factor, and in the reference convention, whose effects hold a rest besides.
/// Centered norms are those of centered coefficients (and of a centered rest).
/// Source: arXiv 2406.04341, section 3.3.
template <tensor_backend B>
class effect_norms {
 public:
  /// @param map      of which nothing is kept
  /// @param vectors  [n_vectors, n_writers, d_joint], for inner products with the effects; empty
  ///                 for none
  /// @note keeps n_writers * n_sources * (width() + n_vectors) numbers; costs the directions and
  ///       2 * n_sources * (n_sources + n_vectors) * d_joint flops a writer
  effect_norms(const B& be, second_order_map<B>& map, const_view_of<B> vectors = {})
      : n_writers_(map.n_writers()),
        n_sources_(map.n_sources()),
        n_vectors_(vectors.empty() ? 0 : vectors.extent(0)),
        width_(n_sources_) {
    if (n_vectors_ > 0) {
      checks::same("effect_norms", shape{n_vectors_, n_writers_, map.d_joint()}, vectors.extents(),
                   "vectors");
    }
    const bool factors =
        map.how() == convention::centered && n_sources_ < map.d_joint() && fill(be, map, vectors);
    if (factors) return;
    width_ = map.d_joint();
    fill(be, map, vectors);
  }

  index_t n_vectors() const { return n_vectors_; }
  index_t width() const { return width_; }  ///< columns of a frame
  /// F: [n_writers, n_sources, width()]
  const_view_of<B> frames() const { return columns_.view().slice(2, 0, width_); }

  /// Norms and inner products of the effects of writers begin, begin + 1, ...
  ///
  /// @param s         coefficients [n, n_images, n_sources], writer by writer
  /// @param rest      [n_images, d_joint], part of every effect; empty for none
  /// @param norms     overwritten, [n, n_images]
  /// @param products  overwritten, [n_vectors, n, n_images]: of each effect with its writer's
  ///                  vectors, without what the rest adds to them
  /// @throws shape_error for a rest where the frames are not the joint space
  /// @note costs 2 * n_sources * (width() + n_vectors) flops an effect
  void measure(const B& be, index_t begin, const_view_of<B> s, const_view_of<B> rest,
               view_of<B> norms, view_of<B> products) {
    const index_t n = s.extent(0), images = s.extent(1);
    checks::same("effect_norms", shape{n, images, n_sources_}, s.extents(), "s");
    checks::same("effect_norms", shape{n, images}, norms.extents(), "norms");
    const view_of<B> all = rotated_.get(be, shape{n, images, width_ + n_vectors_});
    be.batched_gemm(1, s, columns_.view().slice(0, begin, begin + n), 0, all);
    const view_of<B> rotated = all.slice(2, 0, width_);
    if (!rest.empty()) {
      checks::same("effect_norms", shape{images, width_}, rest.extents(), "rest");
      be.axpby(1, rest.repeated(n), 1, rotated);
    }
    be.row_norms(rotated, norms);
    if (n_vectors_ > 0) {
      be.copy(all.slice(2, width_, width_ + n_vectors_).permuted({2, 0, 1}), products);
    }
  }

  /// Norms of the effects of all writers, without a rest.
  ///
  /// @param s    coefficients [n_images, n_sources, n_writers]; best as a permuted view of
  ///             [n_writers, n_images, n_sources]
  /// @param out  overwritten, [n_images, n_writers]
  void norms(const B& be, const_view_of<B> s, view_of<B> out) {
    const index_t images = s.extent(0);
    checks::same("effect_norms", shape{images, n_sources_, n_writers_}, s.extents(), "s");
    checks::same("effect_norms", shape{images, n_writers_}, out.extents(), "out");
    for_blocks(images, [&](index_t begin, index_t end) {
      measure(be, begin, s.slice(2, begin, end).permuted({2, 0, 1}), {},
              out.slice(1, begin, end).transposed(), {});
    });
  }

  /// Calls f(begin, end) for all writers, in blocks whose coefficients for so many images, about
  /// 1 MB, stay in the cache.
  template <class F>
  void for_blocks(index_t images, F&& f) const {
    const index_t step = std::clamp((index_t{1} << 18) / std::max<index_t>(1, images * n_sources_),
                                    index_t{1}, std::max<index_t>(1, n_writers_));
    for (index_t begin = 0; begin < n_writers_; begin += step) {
      f(begin, std::min(begin + step, n_writers_));
    }
  }

 private:
  /// Frames of `width_` columns and beside them D times the vectors; whether all are numbers.
  bool fill(const B& be, second_order_map<B>& map, const_view_of<B> vectors) {
    columns_ = {};  // first, so that two never stand side by side
    columns_ = be.allocate(shape{n_writers_, n_sources_, width_ + n_vectors_});
    scratch<B> grams;
    map.for_directions(be, [&](index_t begin, index_t end, const_view_of<B> d) {
      const view_of<B> to = columns_.view().slice(0, begin, end);
      const view_of<B> frame = to.slice(2, 0, width_);
      if (width_ == map.d_joint()) {
        be.copy(d, frame);
      } else {
        const view_of<B> gram = grams.get(be, shape{end - begin, n_sources_, n_sources_});
        be.batched_gemm(1, d, d.transposed(), 0, gram);
        be.cholesky(gram, frame);
      }
      if (n_vectors_ > 0) {
        be.batched_gemm(1, d, vectors.slice(1, begin, end).permuted({1, 2, 0}), 0,
                        to.slice(2, width_, width_ + n_vectors_));
      }
    });
    auto norms = be.allocate(shape{n_writers_, n_sources_});
    host_tensor<typename B::scalar> host(shape{n_writers_, n_sources_});
    be.row_norms(frames(), norms.view());
    be.download(const_view_of<B>(norms.view()), host);
    return std::none_of(host.begin(), host.end(), [](auto norm) { return std::isnan(norm); });
  }

  index_t n_writers_, n_sources_, n_vectors_, width_;
  typename B::tensor columns_;  ///< [n_writers, n_sources, width_ + n_vectors_]
  scratch<B> rotated_;
};

}  // namespace solens
