#pragma once

#include <algorithm>  // std::none_of
#include <cmath>      // std::isnan
#include <utility>    // std::move

#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>

namespace solens {

/// The effects of a block of writers over a data set, about their mean, without being formed.
///
/// With coefficients s and directions D of a writer, its effect on an image is D^T s (plus, in
/// the reference convention, a vector that all writers share). Distances and angles between
/// effects are those of the rows L^T s, where L L^T = D D^T: as many columns as the writer has
/// later heads instead of the width of the joint space.
template <tensor_backend B>
struct centered_effects {
  using tensor = typename B::tensor;
  tensor coefficients;  ///< [n_writers, n_images, n_heads]: s - mean(s)
  tensor
      rows;  ///< [n_writers, n_images, d_frame]: the effects - their mean, in an orthonormal frame
  tensor mean_effect;        ///< [n_writers, d_joint]
  tensor mean_coefficients;  ///< [n_writers, n_heads]
  tensor norms;              ///< [n_writers, n_images]: of the centered effects
  tensor shared;  ///< [n_images, d_joint]: the shared vector - its mean; empty without one
};

namespace detail {

/// mean over axis 1 of x [n, m, c] into out [n, 1, c].
template <tensor_backend B>
void mean_over_images(const B& be, const_view_of<B> x, view_of<B> out) {
  using scalar = typename B::scalar;
  const index_t m = x.extent(1);
  auto ones = be.allocate({1, m});
  be.fill(1, ones.view());
  be.batched_gemm(scalar{1} / static_cast<scalar>(m),
                  const_view_of<B>(ones.view()).repeated(x.extent(0)), x, 0, out);
}

/// x [n, m, c] -= mean [n, 1, c], repeated over the images.
template <tensor_backend B>
void subtract_mean(const B& be, const_view_of<B> mean, view_of<B> x) {
  const index_t m = x.extent(1);
  be.axpby(-1, mean.select(1, 0).repeated(m).permuted({1, 0, 2}), 1, x);
}

/// Cholesky factors of gram [n, k, k] into l; whether all are good. Directions of less than full
/// rank have Gram matrices that rounding can make indefinite.
template <tensor_backend B>
bool factorise(const B& be, const_view_of<B> gram, view_of<B> l) {
  be.cholesky(gram, l);
  auto norms = be.allocate({l.extent(0), l.extent(1)});
  be.row_norms(const_view_of<B>(l), norms.view());
  host_tensor<typename B::scalar> host(norms.view().extents());
  be.download(const_view_of<B>(norms.view()), host.view());
  return std::none_of(host.begin(), host.end(), [](auto norm) { return std::isnan(norm); });
}

}  // namespace detail

/// Centers coefficients and measures the centered effects.
///
/// @param coefficients  [n_writers, n_images, n_heads], at least one image; taken over
/// @param directions    [n_writers, n_heads, d_joint]
/// @param gram          [n_writers, n_heads, n_heads]: directions times their transposes
/// @param shared        [n_images, d_joint]: added to the effect of every writer; empty for none
/// @note costs about 2 n_heads^2 flops a writer and image; 2 n_heads d_joint where the frame is the
///       joint space itself: with a shared vector, with as many heads as dimensions, or where a
///       Gram matrix has no Cholesky factor
/// Source: arXiv 2406.04341, section 3.3 (effects about their mean over the data set).
template <tensor_backend B>
centered_effects<B> center_effects(const B& be, typename B::tensor coefficients,
                                   const_view_of<B> directions, const_view_of<B> gram,
                                   const_view_of<B> shared) {
  const auto x = coefficients.view();
  const index_t n = x.extent(0), m = x.extent(1), k = x.extent(2), e = directions.extent(2);
  if (m == 0) throw shape_error("center_effects", "one image or more", "none");

  centered_effects<B> result;
  result.mean_coefficients = be.allocate({n, k});
  const auto mean = result.mean_coefficients.view().reshaped({n, 1, k});
  detail::mean_over_images(be, const_view_of<B>(x), mean);
  detail::subtract_mean(be, const_view_of<B>(mean), x);

  result.mean_effect = be.allocate({n, e});
  const auto mean_effect = result.mean_effect.view().reshaped({n, 1, e});
  be.batched_gemm(1, const_view_of<B>(mean), directions, 0, mean_effect);

  auto factor = be.allocate({n, k, k});
  if (shared.empty() && k < e && detail::factorise(be, gram, factor.view())) {
    result.rows = be.allocate({n, m, k});
    be.batched_gemm(1, const_view_of<B>(x), const_view_of<B>(factor.view()), 0, result.rows.view());
  } else {
    result.rows = be.allocate({n, m, e});
    be.batched_gemm(1, const_view_of<B>(x), directions, 0, result.rows.view());
  }
  if (!shared.empty()) {
    result.shared = be.allocate({m, e});
    const auto centered = result.shared.view().reshaped({1, m, e});
    auto shared_mean = be.allocate({1, 1, e});
    be.copy(shared, result.shared.view());
    detail::mean_over_images(be, const_view_of<B>(centered), shared_mean.view());
    detail::subtract_mean(be, const_view_of<B>(shared_mean.view()), centered);
    be.axpby(1, const_view_of<B>(shared_mean.view()).select(0, 0).repeated(n), 1, mean_effect);
    be.axpby(1, const_view_of<B>(result.shared.view()).repeated(n), 1, result.rows.view());
  }
  result.norms = be.allocate({n, m});
  be.row_norms(const_view_of<B>(result.rows.view()), result.norms.view());
  result.coefficients = std::move(coefficients);
  return result;
}

}  // namespace solens
