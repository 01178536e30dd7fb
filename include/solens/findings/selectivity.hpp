#pragma once

#include <algorithm>  // std::copy_n, std::count_if, std::find, std::max, std::nth_element, std::sort
#include <array>
#include <cmath>
#include <cstddef>     // std::ptrdiff_t
#include <functional>  // std::greater
#include <iterator>    // std::ssize
#include <span>
#include <string>
#include <vector>

#include <solens/backend/concept.hpp>
#include <solens/backend/parallel.hpp>
#include <solens/core/host_tensor.hpp>

namespace solens {

/// The probabilities at which `selectivity` states the quantiles of a writer's effect norms.
inline constexpr std::array<double, 11> norm_probabilities{0,   0.05, 0.1,  0.25, 0.5, 0.75,
                                                           0.9, 0.95, 0.98, 0.99, 1};

/// On how few images a writer's effect is strong.
template <class T>
struct selectivity_of_writers {
  host_tensor<index_t> top_images;  ///< [n_writers, top]: the largest norm first
  host_tensor<T> top_norms;         ///< [n_writers, top]
  host_tensor<T>
      threshold;  ///< [n_writers]: the top-th largest norm; above it an image is significant
  host_tensor<index_t> n_significant;  ///< [n_writers]: images whose norm is above the threshold
  host_tensor<T> top_share;  ///< [n_writers]: the part of the summed norms on the 2 % of images
                             ///< with the largest
  host_tensor<T> norm_quantiles;  ///< [n_writers, norm_probabilities.size()], the nearest-rank kind
};

namespace detail {

/// Puts into its sorted place each of the elements at `ranks` (ascending) of x [begin, end), the
/// largest first, so that none after it is larger: the middle one, and then either side of it.
template <class T>
void select_ranks(std::vector<T>& x, std::ptrdiff_t begin, std::ptrdiff_t end,
                  std::span<const std::ptrdiff_t> ranks) {
  if (ranks.empty()) return;
  const std::size_t half = ranks.size() / 2;
  const std::ptrdiff_t rank = ranks[half];
  std::nth_element(x.begin() + begin, x.begin() + rank, x.begin() + end, std::greater<>());
  const auto below = std::find(ranks.begin(), ranks.end(), rank) - ranks.begin();
  std::size_t above = half;
  while (above < ranks.size() && ranks[above] == rank) ++above;
  select_ranks(x, begin, rank, ranks.first(static_cast<std::size_t>(below)));
  select_ranks(x, rank + 1, end, ranks.subspan(above));
}

template <class T>
void describe_norms(std::vector<T>& norms, T threshold, index_t& n_significant, T& share,
                    row_span<T> quantiles) {
  const auto m = std::ssize(norms);
  const auto two_percent = std::max<std::ptrdiff_t>(1, std::llround(0.02 * static_cast<double>(m)));
  // Where the quantiles stand, and the last of the two percent, when the largest comes first.
  std::array<std::ptrdiff_t, norm_probabilities.size() + 1> ranks{};
  for (std::size_t q = 0; q < norm_probabilities.size(); ++q) {
    const double rank = std::ceil(norm_probabilities[q] * static_cast<double>(m));
    ranks[q] = m - 1 - static_cast<std::ptrdiff_t>(std::max(0.0, rank - 1));
  }
  ranks.back() = two_percent - 1;
  auto sorted = ranks;
  std::sort(sorted.begin(), sorted.end());
  select_ranks(norms, 0, m, sorted);
  const auto sum = [&norms](std::ptrdiff_t begin, std::ptrdiff_t end) {
    double of = 0;
    SOLENS_SIMD(reduction(+ : of))
    for (std::ptrdiff_t i = begin; i < end; ++i) {
      of += static_cast<double>(norms[static_cast<std::size_t>(i)]);
    }
    return of;
  };
  const double top = sum(0, two_percent), total = top + sum(two_percent, m);
  n_significant =
      std::count_if(norms.begin(), norms.end(), [threshold](T norm) { return norm > threshold; });
  share = static_cast<T>(total > 0 ? top / total : 0);
  for (std::size_t q = 0; q < norm_probabilities.size(); ++q) {
    quantiles[static_cast<index_t>(q)] = norms[static_cast<std::size_t>(ranks[q])];
  }
}

}  // namespace detail

/// Effect-norm thresholding: the images on which each writer's centered effect is largest.
///
/// @param norms  [n_writers, n_images], of the centered effects
/// @param top    how many images to keep of each writer (published: 100 of 5,000)
/// @throws argument_error when there are fewer images than `top`, or `top` is not positive
/// Source: arXiv 2406.04341, section 3.3.
template <tensor_backend B>
selectivity_of_writers<typename B::scalar> selectivity(const B& be, const_view_of<B> norms,
                                                       index_t top) {
  using scalar = typename B::scalar;
  const index_t n = norms.extent(0), m = norms.extent(1);
  if (top <= 0 || top > m) {
    throw argument_error("selectivity", "top between 1 and the " + std::to_string(m) + " images",
                         std::to_string(top), "top");
  }
  auto values = be.allocate({n, top});
  auto images = be.allocate_indices({n, top});
  be.top_k(norms, values.view(), images.view());

  selectivity_of_writers<scalar> result{
      host_tensor<index_t>({n, top}),
      host_tensor<scalar>({n, top}),
      host_tensor<scalar>({n}),
      host_tensor<index_t>({n}),
      host_tensor<scalar>({n}),
      host_tensor<scalar>({n, static_cast<index_t>(norm_probabilities.size())})};
  host_tensor<scalar> all({n, m});
  be.download(const_index_view_of<B>(images.view()), result.top_images);
  be.download(const_view_of<B>(values.view()), result.top_norms);
  be.download(norms, all);

  thread_team().split(n, 8, [&](index_t begin, index_t end) {
    std::vector<scalar> row(static_cast<std::size_t>(m));
    for (index_t w = begin; w < end; ++w) {
      std::copy_n(all.data() + w * m, m, row.begin());
      result.threshold(w) = result.top_norms(w, top - 1);
      detail::describe_norms(row, result.threshold(w), result.n_significant(w), result.top_share(w),
                             row_of(result.norm_quantiles.view(), w));
    }
  });
  return result;
}

}  // namespace solens
