#pragma once

#include <algorithm>  // std::max
#include <cmath>
#include <cstdio>
#include <utility>  // std::as_const

#include <solens/backend/reference.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/lens/second_order.hpp>
#include <solens/model/lens_inputs.hpp>

/// What both examples do once the lens sees their tensors: the second-order effects of one
/// layer's neurons, held against the published ones.
/// @param expected  [n_images, neurons, d_joint], in the reference convention
/// @return          the exit code: 0 when they agree to 2e-5 of the largest magnitude
inline int show_second_order(const solens::lens_weights<solens::reference_backend<float>>& weights,
                             const solens::lens_activations<solens::reference_backend<float>>& seen,
                             solens::index_t layer, const solens::host_tensor<float>& expected) {
  using namespace solens;
  const reference_backend<float> be;
  const head_maps heads(be, weights, convention::reference);
  second_order_map map(be, heads, weights, layer);
  attention_routes<reference_backend<float>> routes;
  routes.update(be, seen, layer + 1);

  const index_t images = routes.n_images();
  auto s = be.allocate(shape{images, map.n_sources(), map.n_writers()});
  auto rest = be.allocate(shape{images, map.d_joint()});
  auto effects = be.allocate(shape{images, map.n_writers(), map.d_joint()});
  map.coefficients(be, routes, seen.blocks[static_cast<std::size_t>(layer)].writers, s);
  map.rest(be, routes, seen, rest);
  map.effects(be, s, rest, effects);

  float difference = 0, largest = 0;
  for (index_t i = 0; i < effects.size(); ++i) {
    difference = std::max(difference, std::abs(effects.data()[i] - expected.data()[i]));
    largest = std::max(largest, std::abs(expected.data()[i]));
  }
  auto norms = be.allocate(shape{images, map.n_writers()});
  be.row_norms(std::as_const(effects).view(), norms);
  auto neuron = be.allocate_indices(shape{images});
  auto norm = be.allocate(shape{images});
  be.argmax_abs(std::as_const(norms).view(), norm, neuron);
  for (index_t i = 0; i < images; ++i) {
    std::printf("image %d: neuron %d of layer %d has the largest second-order effect, norm %.3f\n",
                int(i), int(neuron(i)), int(layer), static_cast<double>(norm(i)));
  }
  std::printf("largest difference from the published effects: %.2g of %.3g\n",
              static_cast<double>(difference), static_cast<double>(largest));
  return difference <= 2e-5f * largest ? 0 : 1;
}
