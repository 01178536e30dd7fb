#include <benchmark/benchmark.h>

#include <solens/core/host_tensor.hpp>
#include <solens/stats/accumulator.hpp>
#include <solens/stats/mean.hpp>

namespace {

/// A batch of 8 effects of the neurons of a ViT-B/32, [3072, 512].
void mean_effect(benchmark::State& state) {
  const solens::host_tensor<float> items({8, 3072, 512}, 0.5f);
  solens::stats::mean<float> mean({3072, 512});
  for (auto _ : state) mean.add(items);
  state.SetBytesProcessed(state.iterations() * items.size() * 4);
}
BENCHMARK(mean_effect)->Unit(benchmark::kMillisecond);

/// The same in shards of 64 items.
void mean_effect_sharded(benchmark::State& state) {
  const solens::host_tensor<float> items({8, 3072, 512}, 0.5f);
  solens::stats::sharded mean(solens::stats::mean<float>({3072, 512}), 64);
  for (auto _ : state) mean.add(items);
  state.SetBytesProcessed(state.iterations() * items.size() * 4);
}
BENCHMARK(mean_effect_sharded)->Unit(benchmark::kMillisecond);

}  // namespace
