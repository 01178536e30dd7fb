#include <benchmark/benchmark.h>

#include <cmath>
#include <map>
#include <random>
#include <vector>

#include <solens/backend/eigen.hpp>
#include <solens/findings/omp.hpp>

using namespace solens;

namespace {

using backend = eigen_backend<float>;

/// Random rows of norm 1, the hardest for a search: none stands out.
host_tensor<float> unit_rows(index_t n, index_t d, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  host_tensor<float> x({n, d});
  for (index_t i = 0; i < n; ++i) {
    double sum = 0;
    for (index_t j = 0; j < d; ++j) {
      x(i, j) = normal(generator);
      sum += static_cast<double>(x(i, j)) * static_cast<double>(x(i, j));
    }
    for (index_t j = 0; j < d; ++j) x(i, j) /= static_cast<float>(std::sqrt(sum));
  }
  return x;
}

host_view<const float> dictionary(index_t d) {
  static std::map<index_t, host_tensor<float>> shared;
  if (!shared.contains(d)) shared[d] = unit_rows(30000, d, 1);
  return std::as_const(shared[d]).view();
}

/// The multiplications of the screen alone, of all vectors with all rows, in products/s.
void byte_products(benchmark::State& state) {
  const index_t n_panels = 469, depth = state.range(0), vectors = state.range(1);
  const bytes::kernel& kernel = bytes::fast() ? *bytes::fast() : bytes::plain;
  const index_t tile = kernel.tile_rows, tiles = (vectors + tile - 1) / tile;
  const host_tensor<std::uint8_t> panels({n_panels, bytes::panel_rows * depth}, 131);
  const host_tensor<std::int8_t> x({tiles, tile * depth}, 5);
  const std::vector<std::int32_t> start(static_cast<std::size_t>(tile));
  const thread_team team;
  for (auto _ : state) {
    team.split(tiles, 1, [&](index_t from, index_t to) {
      host_tensor<std::int32_t> sums({tile, bytes::panel_rows});
      for (index_t p = 0; p < n_panels; ++p) {
        for (index_t t = from; t < to; ++t) {
          kernel.multiply(&panels(p, 0), &x(t, 0), depth, start.data(), sums.data());
        }
      }
    });
  }
  state.SetItemsProcessed(state.iterations() * vectors * n_panels * bytes::panel_rows * depth);
}

/// Preparing the dictionary.
template <class Search>
void prepare(benchmark::State& state) {
  const backend be;
  const auto atoms = dictionary(state.range(0));
  for (auto _ : state) Search(be, atoms, 256);
}

/// One search for each of 256 vectors, in vectors/s.
template <class Search>
void search(benchmark::State& state) {
  const backend be;
  Search search(be, dictionary(state.range(0)), 256);
  const auto x = unit_rows(256, state.range(0), 2);
  host_tensor<float> values({256});
  host_tensor<index_t> indices({256});
  for (auto _ : state) search(be, x.view(), false, values, indices);
  state.SetItemsProcessed(state.iterations() * 256);
}

/// The whole pursuit, in targets/s.
void pursuit(benchmark::State& state) {
  const backend be;
  const auto atoms = dictionary(state.range(0));
  const auto targets = unit_rows(state.range(1), state.range(0), 3);
  for (auto _ : state) {
    orthogonal_matching_pursuit(be, atoms, targets.view(), {.n_atoms = state.range(2)});
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

}  // namespace

BENCHMARK(byte_products)
    ->ArgNames({"d", "vectors"})
    ->Args({512, 256})
    ->Args({768, 256})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(prepare<screened_search<backend>>)
    ->ArgName("d")
    ->Arg(512)
    ->Arg(768)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(search<screened_search<backend>>)
    ->ArgName("d")
    ->Arg(512)
    ->Arg(768)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(search<product_search<backend>>)
    ->ArgName("d")
    ->Arg(512)
    ->Arg(768)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(pursuit)
    ->ArgNames({"d", "targets", "m"})
    ->Args({512, 256, 32})
    ->Args({512, 256, 64})
    ->Args({512, 3072, 64})
    ->Args({768, 256, 32})
    ->Args({768, 256, 64})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
