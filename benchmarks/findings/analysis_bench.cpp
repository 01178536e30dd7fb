#include <benchmark/benchmark.h>

#include <filesystem>
#include <vector>

#include <solens/findings/analysis.hpp>

#include "lens/random_vit.hpp"

namespace {

using namespace solens;
using bench::backend;
using bench::vit_b_32;

/// The findings of all eleven layers over 1,600 images, of which 12 GB are kept in $TMPDIR: each
/// layer in a call of its own, or in turns in one call; items are neurons.
void findings_of_all_layers(benchmark::State& state, bool in_turns) {
  constexpr index_t n_images = 50 * vit_b_32::images;
  const backend be;
  const vit_b_32 model;
  std::vector<index_t> layers;
  for (index_t l = 0; l + 1 < vit_b_32::layers; ++l) layers.push_back(l);
  analysis<backend> a(be, model.weights,
                      {.layers = layers,
                       .scratch = std::filesystem::temp_directory_path(),
                       .n_images = n_images,
                       .n_tokens = vit_b_32::tokens});
  while (a.n_images() < n_images) a.add(be, model.activations);
  a.sync();
  for (auto _ : state) {
    if (in_turns) {
      a.finish(be, layers, [](index_t, const auto& found) {
        benchmark::DoNotOptimize(found.mean_effect.data());
      });
    } else {
      for (const index_t l : layers) benchmark::DoNotOptimize(a.finish(be, l));
    }
  }
  state.SetItemsProcessed(state.iterations() * std::ssize(layers) * vit_b_32::neurons);
  a.clear();
}

}  // namespace

BENCHMARK_CAPTURE(findings_of_all_layers, one_by_one, false)
    ->Unit(benchmark::kSecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(findings_of_all_layers, in_turns, true)->Unit(benchmark::kSecond)->UseRealTime();
