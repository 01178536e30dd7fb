#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

#include <solens/findings/ablation.hpp>

#include "lens/random_vit.hpp"

using namespace solens;
using namespace solens::bench;

namespace {

constexpr index_t n = vit_b_32::neurons, images = vit_b_32::images;

/// Thresholds at the second largest norm of each neuron's effects over the batch, so that 1 image
/// of 32 is significant.
host_tensor<float> thresholds(const backend& be, index_t layer) {
  const head_maps<backend> heads(be, model().weights, convention::centered);
  second_order_map<backend> map(be, heads, model().weights, layer);
  effect_norms<backend> measures(be, map);
  attention_routes<backend> routes;
  routes.update(be, model().activations, layer + 1);
  host_tensor<float> s(shape{n, images, map.n_sources()}), norms(shape{n, images}),
      result(shape{n});
  const auto by_source = s.view().permuted({1, 2, 0});
  map.coefficients(be, routes, model().activations.blocks[0].writers, by_source);
  measures.norms(be, by_source, norms.view().transposed());
  for (index_t w = 0; w < n; ++w) {
    float* row = norms.data() + w * images;
    std::nth_element(row, row + 1, row + images, std::greater<>());
    result(w) = row[1];
  }
  return result;
}

/// All rows for the layers from range(0) to range(1), with `range(2)` sets of directions beside the
/// random ones, without the forward pass and the classifier, in images/s.
void ablate(benchmark::State& state) {
  const backend be;
  const auto directions = random_directions<float>(n, vit_b_32::joint, {1});
  const host_tensor<float> mean_effect(shape{n, vit_b_32::joint}, 0);
  const auto outputs = model().normal({images, vit_b_32::tokens, vit_b_32::width});
  std::vector<host_tensor<float>> means, at;
  std::vector<layer_to_ablate<float>> layers;
  for (index_t l = state.range(0); l <= state.range(1); ++l) {
    means.emplace_back(shape{n, (vit_b_32::layers - 1 - l) * vit_b_32::heads}, 0.0f);
    at.push_back(thresholds(be, l));
  }
  for (std::size_t i = 0; i < at.size(); ++i) {
    layers.push_back(
        {.layer = state.range(0) + std::ssize(layers),
         .mean_effect = mean_effect,
         .mean_coefficients = means[i],
         .threshold = at[i],
         .directions = {static_cast<std::size_t>(state.range(2)), {"direction", directions}}});
  }
  ablation<backend> ablation(be, model().weights, layers, {});
  const std::vector<const_view_of<backend>> all_outputs(layers.size(), outputs);
  for (auto _ : state) {
    ablation.add(
        be, model().activations, [](std::size_t, const auto&) {}, all_outputs);
  }
  state.SetItemsProcessed(state.iterations() * images);
}

}  // namespace

BENCHMARK(ablate)
    ->ArgNames({"from", "to", "sets"})
    ->Args({9, 9, 2})
    ->Args({0, 0, 2})
    ->Args({0, 10, 2})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
