#include <benchmark/benchmark.h>

#include <random>

#include <solens/core/host_tensor.hpp>
#include <solens/stats/top_k.hpp>

namespace {

/// The 100 largest of 5,000 images for each of 3,072 neurons, in batches of 32.
void top_100(benchmark::State& state) {
  const solens::index_t n_images = 5000, width = state.range(0);
  solens::host_tensor<float> scores({n_images, 3072});
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  for (float& score : scores) score = normal(generator);
  const solens::host_tensor<float> payload({32, 3072, width}, 1.0f);
  for (auto _ : state) {
    solens::stats::top_k<float> top(3072, 100, width);
    for (solens::index_t begin = 0; begin < n_images; begin += 32) {
      const solens::index_t end = std::min<solens::index_t>(begin + 32, n_images);
      top.add({scores.view().slice(0, begin, end), begin, payload.view().slice(0, 0, end - begin)});
    }
    benchmark::DoNotOptimize(top);
  }
  state.SetItemsProcessed(state.iterations() * scores.size());
}
BENCHMARK(top_100)->Arg(0)->Arg(24)->ArgName("payload")->Unit(benchmark::kMillisecond);

}  // namespace
