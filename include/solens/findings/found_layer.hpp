#pragma once

#include <cmath>  // std::sqrt
#include <limits>
#include <string>
#include <string_view>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/lens/second_order.hpp>

namespace solens {

/// What an analysis found about the writers of a layer, to judge effects on other images by; views.
template <class T>
struct found_layer {
  index_t layer = 0;
  host_view<const T> mean_effect{};        ///< [n_writers, d_joint]
  host_view<const T> mean_coefficients{};  ///< [n_writers, later heads]
  host_view<const T> threshold{};          ///< [n_writers]
};

/// @throws shape_error naming layer and finding
template <class T>
void check_fit(std::string_view operation, const found_layer<T>& found, index_t n_writers,
               index_t n_sources, index_t d_joint) {
  const std::string name = "layer " + std::to_string(found.layer) + ": ";
  checks::same(operation, shape{n_writers, d_joint}, found.mean_effect.extents(),
               name + "mean_effect");
  checks::same(operation, shape{n_writers, n_sources}, found.mean_coefficients.extents(),
               name + "mean_coefficients");
  checks::same(operation, shape{n_writers}, found.threshold.extents(), name + "threshold");
}

/// The thresholds, raised by what rounding may do: an image that defined a threshold lies on it,
/// and has to in whatever batch it comes again.
/// @returns [n_writers]
template <class T>
host_tensor<T> tolerant_threshold(const found_layer<T>& found) {
  constexpr double rounding = 64 * static_cast<double>(std::numeric_limits<T>::epsilon());
  host_tensor<T> result(found.threshold.extents());
  for (index_t w = 0; w < result.size(); ++w) {
    const row_span<const T> mean = row_of(found.mean_effect, w);
    double squares = 0;
    for (index_t j = 0; j < mean.size; ++j) {
      squares += static_cast<double>(mean[j]) * static_cast<double>(mean[j]);
    }
    const auto length = static_cast<double>(found.threshold(w));
    result(w) = static_cast<T>(length + rounding * (length + std::sqrt(squares)));
  }
  return result;
}

/// What every mean effect holds beside what comes from its mean coefficients: the mean of rho, the
/// same for every writer; zero in the centered convention.
/// @param mean_coefficients  [n_writers, later heads], of the finding
/// @returns                  [d_joint]
template <tensor_backend B>
host_tensor<double> rest_of_means(const B& be, second_order_map<B>& map,
                                  const_view_of<B> mean_coefficients,
                                  const found_layer<typename B::scalar>& found) {
  const index_t n = map.n_writers(), e = map.d_joint();
  host_tensor<double> rest({e}, 0.0);
  if (map.how() == convention::centered) return rest;
  auto effects = be.allocate({1, n, e});
  map.effects(be, mean_coefficients.transposed().repeated(1), {}, effects.view());
  host_tensor<typename B::scalar> own({1, n, e});
  be.download(const_view_of<B>(effects.view()), own);
  for (index_t w = 0; w < n; ++w) {
    for (index_t j = 0; j < e; ++j) {
      rest(j) +=
          (static_cast<double>(found.mean_effect(w, j)) - static_cast<double>(own(0, w, j))) /
          static_cast<double>(n);
    }
  }
  return rest;
}

}  // namespace solens
