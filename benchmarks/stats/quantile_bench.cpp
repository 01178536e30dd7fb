#include <benchmark/benchmark.h>

#include <random>

#include <solens/core/host_tensor.hpp>
#include <solens/stats/quantile.hpp>

namespace {

void quantiles(benchmark::State& state) {
  solens::host_tensor<float> numbers({1 << 20});
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  for (float& x : numbers) x = normal(generator);
  solens::stats::quantiles<float> sketch(0.01);
  for (auto _ : state) sketch.add(numbers);
  state.SetItemsProcessed(state.iterations() * numbers.size());
}
BENCHMARK(quantiles)->Unit(benchmark::kMillisecond);

}  // namespace
