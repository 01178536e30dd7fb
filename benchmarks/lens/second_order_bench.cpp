#include <benchmark/benchmark.h>

#include <vector>

#include <solens/lens/effect_norms.hpp>
#include <solens/lens/second_order.hpp>

#include "lens/random_vit.hpp"

using namespace solens;
using namespace solens::bench;

namespace {

const head_maps<backend>& heads(const backend& be) {
  static const head_maps<backend> shared(be, model().weights, convention::centered);
  return shared;
}

void head_maps_of_a_model(benchmark::State& state) {
  const backend be;
  for (auto _ : state) head_maps<backend>(be, model().weights, convention::centered);
}

/// Coefficients of the layers from range(0) to 10, writer by writer, in images/s.
void coefficients(benchmark::State& state) {
  const backend be;
  std::vector<second_order_map<backend>> maps;
  for (index_t l = state.range(0); l <= state.range(1); ++l) {
    maps.emplace_back(be, heads(be), model().weights, l);
  }
  attention_routes<backend> routes;
  scratch<backend> memory;
  for (auto _ : state) {
    routes.update(be, model().activations, state.range(0) + 1);
    for (auto& map : maps) {
      const auto s = memory.get(be, {map.n_writers(), vit_b_32::images, map.n_sources()});
      const auto writers = model().activations.blocks[std::size_t(map.layer())].writers;
      map.coefficients(be, routes, writers, s.permuted({1, 2, 0}));
    }
  }
  state.SetItemsProcessed(state.iterations() * vit_b_32::images);
}

/// Norms of all effects of one layer from their coefficients, in images/s.
void norms(benchmark::State& state) {
  const backend be;
  second_order_map<backend> map(be, heads(be), model().weights, state.range(0));
  effect_norms<backend> effect(be, map);
  attention_routes<backend> routes;
  routes.update(be, model().activations, state.range(0) + 1);
  host_tensor<float> memory(shape{map.n_writers(), vit_b_32::images, map.n_sources()});
  const auto s = memory.view().permuted({1, 2, 0});
  map.coefficients(be, routes, model().activations.blocks[0].writers, s);
  host_tensor<float> out(shape{vit_b_32::images, map.n_writers()});
  for (auto _ : state) effect.norms(be, s, out);
  state.SetItemsProcessed(state.iterations() * vit_b_32::images);
}

/// Directions of 64 neurons, in neurons/s.
void directions(benchmark::State& state) {
  const backend be;
  second_order_map<backend> map(be, heads(be), model().weights, state.range(0));
  host_tensor<float> out(shape{64, map.n_sources(), map.d_joint()});
  for (auto _ : state) map.directions(be, 0, 64, out);
  state.SetItemsProcessed(state.iterations() * 64);
}

/// Gram matrices of a whole layer, directions included, in neurons/s.
void grams(benchmark::State& state) {
  const backend be;
  second_order_map<backend> map(be, heads(be), model().weights, state.range(0));
  host_tensor<float> out(shape{map.n_writers(), map.n_sources(), map.n_sources()});
  for (auto _ : state) map.grams(be, out);
  state.SetItemsProcessed(state.iterations() * map.n_writers());
}

}  // namespace

BENCHMARK(head_maps_of_a_model)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(coefficients)
    ->ArgNames({"from", "to"})
    ->Args({9, 9})
    ->Args({0, 10})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(norms)->ArgName("layer")->Arg(9)->Arg(0)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(directions)
    ->ArgName("layer")
    ->Arg(9)
    ->Arg(0)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(grams)->ArgName("layer")->Arg(9)->Arg(0)->Unit(benchmark::kMillisecond)->UseRealTime();
