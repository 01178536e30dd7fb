#include <benchmark/benchmark.h>

#include <solens/core/host_tensor.hpp>
#include <solens/stats/second_moments.hpp>

namespace {

/// A batch of 32 images: the groups' vectors, as wide as the heads that follow or as the joint
/// space.
void second_moments(benchmark::State& state) {
  const solens::index_t groups = state.range(0), width = state.range(1);
  const solens::host_tensor<float> items({32, groups, width}, 0.5f);
  solens::stats::second_moments<float> moments(groups, width);
  for (auto _ : state) moments.add(items);
  state.counters["flops"] = benchmark::Counter(static_cast<double>(items.size() * width),
                                               benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(second_moments)->Args({3072, 24})->Args({1, 512})->Unit(benchmark::kMillisecond);

}  // namespace
