#pragma once

#include <algorithm>  // std::min

#include <solens/backend/concept.hpp>
#include <solens/backend/ops.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/findings/centered_effects.hpp>

namespace solens {

/// The one direction in the joint space that each writer's effects lie close to.
template <class T>
struct direction_of_writers {
  host_tensor<T> direction;  ///< [n_writers, d_joint], unit rows; zero where all effects are equal
  host_tensor<T>
      explained_variance;  ///< [n_writers]: of the chosen images, about the data set's mean
  host_tensor<T> explained_variance_all;  ///< [n_writers]: of all images
  host_tensor<T> by_head;  ///< [n_writers, n_heads]: through which heads the effects go that way;
                           ///< see `detail::mean_by_head`
};

namespace detail {

/// The largest eigenvalue of rows^T rows, for each of n matrices [m, c].
/// @param left  overwritten, [n, m]: rows times the eigenvector, up to a positive factor
/// @returns [n, 1]
template <tensor_backend B>
typename B::tensor leading_pair(const B& be, const_view_of<B> rows, view_of<B> left) {
  const index_t n = rows.extent(0), m = rows.extent(1), c = rows.extent(2), r = std::min(m, c);
  auto moments = be.allocate({n, r, r});
  ops::gram<B>(be, m <= c ? rows : rows.transposed(), 0, moments.view());
  auto value = be.allocate({n, 1});
  auto vector = be.allocate({n, 1, r});
  be.symmetric_eigen(const_view_of<B>(moments.view()), value.view(), vector.view());
  if (m <= c) {
    be.copy(const_view_of<B>(vector.view()).select(1, 0), left);
  } else {
    be.batched_gemm(1, rows, const_view_of<B>(vector.view()).transposed(), 0, left.split(1, 1));
  }
  return value;
}

/// Turns each row of projections [n, m] so that more than half are positive; where the count is
/// even, so that their sum is.
template <class T>
void orient(host_view<T> projections) {
  for (index_t w = 0; w < projections.extent(0); ++w) {
    auto row = row_of(projections, w);
    index_t positive = 0;
    double sum = 0;
    for (index_t i = 0; i < row.size; ++i) {
      positive += row[i] > 0;
      sum += static_cast<double>(row[i]);
    }
    if (2 * positive > row.size || (2 * positive == row.size && sum >= 0)) continue;
    for (index_t i = 0; i < row.size; ++i) row[i] = -row[i];
  }
}

/// value [n, 1] over the squares of norm [n]; 0 over nothing, and never more than rounding hides.
template <tensor_backend B>
host_tensor<typename B::scalar> share_of(const B& be, const typename B::tensor& value,
                                         const typename B::tensor& norm) {
  using scalar = typename B::scalar;
  const index_t n = norm.view().extent(0);
  host_tensor<scalar> values({n, 1}), norms({n}), share({n});
  be.download(value.view(), values);
  be.download(norm.view(), norms);
  for (index_t w = 0; w < n; ++w) {
    const scalar whole = norms(w) * norms(w);
    share(w) = whole > 0 ? std::min(scalar{1}, values(w, 0) / whole) : scalar{0};
  }
  return share;
}

/// The mean of the chosen centered effects along a direction, by head: sums over heads to the
/// mean projection of what the heads bring (a shared vector brings the rest).
/// @param coefficients  [n, m, n_heads] of the chosen images, less their mean over all
/// @param directions    [n, n_heads, d_joint]: of each writer through each head
/// @param along         [n, d_joint]
/// @returns [n, n_heads]
template <tensor_backend B>
typename B::tensor mean_by_head(const B& be, const_view_of<B> coefficients,
                                const_view_of<B> directions, const_view_of<B> along) {
  const index_t n = coefficients.extent(0), m = coefficients.extent(1), k = coefficients.extent(2);
  auto share = be.allocate({1, m}), projected = be.allocate({n, k}), result = be.allocate({n, k});
  be.fill(static_cast<typename B::scalar>(1 / static_cast<double>(m)), share.view());
  be.batched_gemm(1, const_view_of<B>(share.view()).repeated(n), coefficients, 0,
                  result.view().split(0, 1));
  be.batched_gemm(1, directions, along.split(1, 1), 0, projected.view().split(1, 1));
  be.multiply(result.view(), projected.view(), result.view());
  return result;
}

}  // namespace detail

/// First principal direction of the effects on each writer's strongest images.
///
/// The first right singular vector of the chosen centered effects, turned so that more than half
/// of them project positively on it (where exactly half do, so that the projections' sum is
/// positive). Explained variance is the first squared singular value over the sum of all.
/// @param effects       of a block of writers, all images added
/// @param coefficients  [n_writers, top, n_heads] of the chosen images, less their mean over all
/// @param shared        [n_writers, top, d_joint]: the shared vector on those, less its mean over
///                      all; empty without one
/// Source: arXiv 2406.04341, section 3.3.
template <tensor_backend B>
direction_of_writers<typename B::scalar> principal_direction(const B& be,
                                                             const centered_effects<B>& effects,
                                                             const_view_of<B> coefficients,
                                                             const_view_of<B> shared) {
  using scalar = typename B::scalar;
  const index_t n = coefficients.extent(0), top = coefficients.extent(1);
  const index_t k = coefficients.extent(2), e = effects.directions().extent(2);
  scratch<B> memory;
  const auto chosen = effects.rows(be, 0, coefficients, shared, memory);
  auto left = be.allocate({n, top});
  auto value = detail::leading_pair(be, chosen, left.view());
  auto value_all = be.allocate({n, 1}), unused = be.allocate({n, 1, effects.d_frame()});
  be.symmetric_eigen(effects.moments(), value_all.view(), unused.view());
  auto norms = be.allocate({n, top}), total = be.allocate({n}), total_all = be.allocate({n});
  be.row_norms(chosen, norms.view());
  be.row_norms(const_view_of<B>(norms.view()), total.view());
  be.row_norms(effects.norms(), total_all.view());

  host_tensor<scalar> projections({n, top});
  be.download(const_view_of<B>(left.view()), projections);
  detail::orient(projections.view());
  be.upload(host_view<const scalar>(projections), left.view());

  // sum over the chosen images of projection * effect = D^T (sum projection * s) + shared part
  const auto weights = const_view_of<B>(left.view()).split(0, 1);
  auto combined = be.allocate({n, 1, k}), direction = be.allocate({n, 1, e});
  auto lengths = be.allocate({n, 1});
  be.batched_gemm(1, weights, coefficients, 0, combined.view());
  be.batched_gemm(1, const_view_of<B>(combined.view()), effects.directions(), 0, direction.view());
  if (!shared.empty()) be.batched_gemm(1, weights, shared, 1, direction.view());
  be.row_norms(const_view_of<B>(direction.view()), lengths.view());

  direction_of_writers<scalar> result{
      host_tensor<scalar>({n, e}), detail::share_of(be, value, total),
      detail::share_of(be, value_all, total_all), host_tensor<scalar>({n, k})};
  const auto by_head = detail::mean_by_head(be, coefficients, effects.directions(),
                                            const_view_of<B>(direction.view()).select(1, 0));
  host_tensor<scalar> length({n, 1});
  be.download(by_head.view(), result.by_head);
  be.download(const_view_of<B>(direction.view()).select(1, 0), result.direction);
  be.download(const_view_of<B>(lengths.view()), length);
  for (index_t w = 0; w < n; ++w) {
    const scalar unit = length(w, 0) > 0 ? 1 / length(w, 0) : 0;
    scalar* row = result.direction.data() + w * e;
    for (index_t j = 0; j < e; ++j) row[j] *= unit;
    for (index_t h = 0; h < k; ++h) result.by_head(w, h) *= unit;
  }
  return result;
}

}  // namespace solens
