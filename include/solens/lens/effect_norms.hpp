#pragma once

#include <algorithm>  // std::clamp, std::max, std::min

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/lens/scratch.hpp>
#include <solens/lens/second_order.hpp>

namespace solens {

/// Norms and inner products of effects from their coefficients, the effects never formed.
///
/// With L L^T = D D^T, an effect D^T s is as long as L^T s. Centered norms are those of centered
/// coefficients (and of a centered rest, in the reference convention).
/// Source: arXiv 2406.04341, section 3.3.
template <tensor_backend B>
class effect_norms {
 public:
  /// @param map  kept by reference, so it must outlive this
  /// @note norms are NaN for a writer whose directions are of lower rank than their number, where
  ///       rounding leaves their Gram matrix without a Cholesky factor; `center_effects` is not
  ///       bound to that
  /// @note keeps n_writers * n_sources^2 numbers; costs 2 * n_sources^2 * d_joint flops a writer
  effect_norms(const B& be, second_order_map<B>& map)
      : map_(&map),
        factors_(be.allocate(shape{map.n_writers(), map.n_sources(), map.n_sources()})) {
    auto grams = be.allocate(shape{map.n_writers(), map.n_sources(), map.n_sources()});
    map.grams(be, grams.view());
    be.cholesky(const_view_of<B>(grams.view()), factors_.view());
  }

  /// L: [n_writers, n_sources, n_sources], lower triangular
  const_view_of<B> factors() const { return factors_.view(); }

  /// @param s    coefficients [n_images, n_sources, n_writers]; best as a permuted view of
  ///             [n_writers, n_images, n_sources]
  /// @param out  overwritten, [n_images, n_writers]
  /// @note costs 2 * n_sources^2 * n_writers flops an image
  void norms(const B& be, const_view_of<B> s, view_of<B> out) {
    const index_t images = s.extent(0), k = map_->n_sources(), n = map_->n_writers();
    checks::same("effect_norms", shape{images, k, n}, s.extents(), "s");
    checks::same("effect_norms", shape{images, n}, out.extents(), "out");
    // Writers at a time: their rotated coefficients, about 1 MB, stay in the cache.
    const index_t step = std::clamp((index_t{1} << 18) / std::max<index_t>(1, images * k),
                                    index_t{1}, std::max<index_t>(1, n));
    for (index_t begin = 0; begin < n; begin += step) {
      const index_t end = std::min(begin + step, n);
      const view_of<B> rotated = rotated_.get(be, shape{end - begin, images, k});
      be.batched_gemm(1, s.slice(2, begin, end).permuted({2, 0, 1}), factors().slice(0, begin, end),
                      0, rotated);
      be.row_norms(rotated, out.slice(1, begin, end).transposed());
    }
  }

 private:
  second_order_map<B>* map_;
  typename B::tensor factors_;
  scratch<B> rotated_;
};

}  // namespace solens
