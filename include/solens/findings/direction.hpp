#pragma once

#include <algorithm>  // std::min
#include <cmath>

#include <solens/backend/concept.hpp>
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
};

namespace detail {

/// The largest eigenvalue of rows^T rows and its eigenvector, for each of n matrices [m, c].
/// `left` [n, m] gets rows times that eigenvector, up to a positive factor.
template <tensor_backend B>
typename B::tensor leading_pair(const B& be, const_view_of<B> rows, view_of<B> left) {
  const index_t n = rows.extent(0), m = rows.extent(1), c = rows.extent(2), r = std::min(m, c);
  auto moments = be.allocate({n, r, r});
  if (m <= c) {
    be.batched_gemm(1, rows, rows.transposed(), 0, moments.view());
  } else {
    be.batched_gemm(1, rows.transposed(), rows, 0, moments.view());
  }
  auto value = be.allocate({n, 1});
  auto vector = be.allocate({n, 1, r});
  be.symmetric_eigen(const_view_of<B>(moments.view()), value.view(), vector.view());
  if (left.empty()) return value;
  if (m <= c) {
    be.copy(const_view_of<B>(vector.view()).select(1, 0), left);
  } else {
    be.batched_gemm(1, rows, const_view_of<B>(vector.view()).transposed(), 0,
                    left.reshaped({n, m, 1}));
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

/// Rows [n, top, c] of x [n, m, c], chosen by images [n, top].
template <tensor_backend B>
typename B::tensor gather_images(const B& be, const_view_of<B> x, host_view<const index_t> images) {
  const index_t n = x.extent(0), m = x.extent(1), c = x.extent(2), top = images.extent(1);
  host_tensor<index_t> flat({n * top});
  for (index_t w = 0; w < n; ++w) {
    for (index_t i = 0; i < top; ++i) flat(w * top + i) = w * m + images(w, i);
  }
  auto rows = be.allocate_indices({n * top});
  be.upload(host_view<const index_t>(flat), rows.view());
  auto out = be.allocate({n, top, c});
  be.gather(x.reshaped({n * m, c}), const_index_view_of<B>(rows.view()),
            out.view().reshaped({n * top, c}));
  return out;
}

}  // namespace detail

/// First principal direction of the effects on each writer's strongest images.
///
/// The first right singular vector of the chosen centered effects, turned so that more than half
/// of them project positively on it (where exactly half do, so that the projections' sum is
/// positive). Explained variance is the first squared singular value over the sum of all.
/// @param effects     of a block of writers
/// @param directions  [n_writers, n_heads, d_joint]
/// @param images      [n_writers, top]: the images to use, by position
/// Source: arXiv 2406.04341, section 3.4.
template <tensor_backend B>
direction_of_writers<typename B::scalar> principal_direction(const B& be,
                                                             const centered_effects<B>& effects,
                                                             const_view_of<B> directions,
                                                             host_view<const index_t> images) {
  using scalar = typename B::scalar;
  const index_t n = images.extent(0), top = images.extent(1), e = directions.extent(2);
  const auto rows = effects.rows.view();
  auto chosen = detail::gather_images(be, rows, images);
  auto left = be.allocate({n, top});
  auto value = detail::leading_pair(be, const_view_of<B>(chosen.view()), left.view());
  auto value_all = detail::leading_pair(be, rows, view_of<B>{});

  host_tensor<scalar> projections({n, top});
  be.download(const_view_of<B>(left.view()), projections);
  detail::orient(projections.view());
  be.upload(host_view<const scalar>(projections), left.view());

  // sum over the chosen images of projection * effect = D^T (sum projection * s) + shared part
  const auto weights = const_view_of<B>(left.view()).reshaped({n, 1, top});
  auto s = detail::gather_images(be, effects.coefficients.view(), images);
  auto combined = be.allocate({n, 1, s.view().extent(2)});
  auto direction = be.allocate({n, 1, e});
  be.batched_gemm(1, weights, const_view_of<B>(s.view()), 0, combined.view());
  be.batched_gemm(1, const_view_of<B>(combined.view()), directions, 0, direction.view());
  if (const auto shared = effects.shared.view(); !shared.empty()) {
    auto part = detail::gather_images(be, shared.reshaped({1, shared.extent(0), e}),
                                      images.reshaped({1, n * top}));
    be.batched_gemm(1, weights, const_view_of<B>(part.view()).reshaped({n, top, e}), 1,
                    direction.view());
  }

  direction_of_writers<scalar> result{host_tensor<scalar>({n, e}), host_tensor<scalar>({n}),
                                      host_tensor<scalar>({n})};
  host_tensor<scalar> first({n, 1}), first_all({n, 1}), norms(effects.norms.extents());
  be.download(const_view_of<B>(direction.view()).reshaped({n, e}), result.direction);
  be.download(const_view_of<B>(value.view()), first);
  be.download(const_view_of<B>(value_all.view()), first_all);
  be.download(effects.norms.view(), norms);
  for (index_t w = 0; w < n; ++w) {
    double length = 0, total = 0, total_all = 0;
    for (index_t j = 0; j < e; ++j)
      length += std::pow(static_cast<double>(result.direction(w, j)), 2);
    for (index_t i = 0; i < top; ++i)
      total += std::pow(static_cast<double>(norms(w, images(w, i))), 2);
    for (index_t i = 0; i < norms.extent(1); ++i)
      total_all += std::pow(static_cast<double>(norms(w, i)), 2);
    const double unit = length > 0 ? 1 / std::sqrt(length) : 0;
    for (index_t j = 0; j < e; ++j) {
      result.direction(w, j) =
          static_cast<scalar>(static_cast<double>(result.direction(w, j)) * unit);
    }
    result.explained_variance(w) =
        static_cast<scalar>(total > 0 ? static_cast<double>(first(w, 0)) / total : 0);
    result.explained_variance_all(w) =
        static_cast<scalar>(total_all > 0 ? static_cast<double>(first_all(w, 0)) / total_all : 0);
  }
  return result;
}

}  // namespace solens
