#include <benchmark/benchmark.h>

#include <cmath>
#include <map>
#include <random>

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

/// The multiplications of the screen alone, of 256 vectors with all rows, by kernel number
/// range(1), in products/s.
void byte_products(benchmark::State& state) {
  const auto number = static_cast<std::size_t>(state.range(1));
  if (number >= bytes::kernels().size()) return state.SkipWithError("no such kernel here");
  const bytes::kernel& kernel = bytes::kernels()[number];
  const index_t n_panels = 469, depth = state.range(0), tile = kernel.tile_rows;
  const host_tensor<std::uint8_t> panels({n_panels, bytes::panel_rows * depth}, 131);
  const host_tensor<std::int8_t> x({256 + tile, depth}, 5);
  const thread_team team;
  for (auto _ : state) {
    team.split((255 + tile) / tile, 1, [&](index_t from, index_t to) {
      const index_t n = (to - from) * tile;
      host_tensor<std::int32_t> sums({n, bytes::panel_rows});
      for (index_t p = 0; p < n_panels; ++p) {
        kernel.multiply(&panels(p, 0), &x(from * tile, 0), n, depth, sums.data());
      }
    });
  }
  state.SetItemsProcessed(state.iterations() * 256 * 30000 * depth);
}

/// Preparing the dictionary.
void prepare(benchmark::State& state) {
  const auto atoms = dictionary(state.range(0));
  for (auto _ : state) screened_search<backend>(backend(), atoms, 256);
}

void search(benchmark::State& state, auto& search) {
  const backend be;
  const auto x = unit_rows(256, state.range(0), 2);
  host_tensor<float> values({256});
  host_tensor<index_t> indices({256});
  for (auto _ : state) search(be, x.view(), false, values, indices);
  state.SetItemsProcessed(state.iterations() * 256);
}

/// One search for each of 256 vectors by kernel number range(1), in vectors/s.
void search_by_bytes(benchmark::State& state) {
  const auto number = static_cast<std::size_t>(state.range(1));
  if (number >= bytes::kernels().size()) return state.SkipWithError("no such kernel here");
  screened_search<backend> by_bytes(backend(), dictionary(state.range(0)), 256,
                                    &bytes::kernels()[number]);
  search(state, by_bytes);
}

/// The same by products of floats.
void search_by_products(benchmark::State& state) {
  product_search<backend> by_products(backend(), dictionary(state.range(0)), 256);
  search(state, by_products);
}

/// The products of floats, and nothing else, of a pursuit of 256 targets over 64 steps: the maps of
/// the residuals, the newest atoms with the chosen ones and with the targets, the new residuals.
void float_products(benchmark::State& state) {
  const backend be;
  const index_t n = 256, m = 64, d = state.range(0);
  const auto x = unit_rows(n, d, 1), map = unit_rows(d, d, 2), weights = unit_rows(n, m, 4);
  const auto atoms = unit_rows(n * m, d, 3);
  const auto chosen = atoms.view().split(0, m);
  host_tensor<float> out({n, d}), products({n, m + 1, 1});
  for (auto _ : state) {
    for (index_t k = 1; k <= m; ++k) {
      const auto newest = chosen.slice(1, k - 1, k);
      be.gemm(1, x.view(), map.view().transposed(), 0, out.view());
      be.batched_gemm(1, chosen.slice(1, 0, k), newest.transposed(), 0,
                      products.view().slice(1, 0, k));
      be.batched_gemm(1, newest, x.view().split(1, 1), 0, products.view().slice(1, k, k + 1));
      be.batched_gemm(-1, weights.view().slice(1, 0, k).split(0, 1), chosen.slice(1, 0, k), 1,
                      out.view().split(0, 1));
    }
  }
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
    ->ArgNames({"d", "kernel"})
    ->ArgsProduct({{512, 768}, {0, 1, 2}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(float_products)
    ->ArgName("d")
    ->Arg(512)
    ->Arg(768)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(prepare)->ArgName("d")->Arg(512)->Arg(768)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(search_by_bytes)
    ->ArgNames({"d", "kernel"})
    ->ArgsProduct({{512, 768}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(search_by_products)
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
