#include <benchmark/benchmark.h>

#include <filesystem>
#include <string>
#include <utility>  // std::as_const
#include <vector>

#include <solens/findings/analysis.hpp>
#include <solens/findings/omp.hpp>
#include <solens/model/lens_views.hpp>

#include "model/random_towers.hpp"
#include "support/backends.hpp"

// The main job by stages, on every backend: the second-order effects of layer 9 of a ViT-B/32 of
// random weights, whose neurons are said in words of 30,000.

namespace {

using namespace solens;

constexpr index_t batch = 32, n_batches = 3, layer = 9, n_words = 30000;

template <tensor_backend B>
struct job {
  explicit job(const B& backend)
      : be(backend),
        tower(bench::random_vision_tower(be, bench::vit_b_32)),
        weights(lens_weights_of(tower)),
        work(tower.make_workspace(be, batch)),
        cache(tower.make_cache(be, batch, second_order_sites(tower.config(), {layer}))),
        pixels(bench::random_weights(be, {batch, 3, 224, 224}, 2)),
        representation(be.allocate({batch, tower.d_joint()})) {}

  void forward() {
    tower.forward(be, std::as_const(pixels).view(), work, representation.view(), &cache);
    be.synchronize();
  }

  analysis<B> findings() const {
    return analysis<B>(
        be, weights,
        {.layers = {layer}, .top = 20, .scratch = std::filesystem::temp_directory_path()});
  }

  B be;
  vision_tower<B> tower;
  lens_weights<B> weights;
  typename vision_tower<B>::workspace work;
  activation_cache<B> cache;
  typename B::tensor pixels, representation;
};

/// Items are images.
template <tensor_backend B>
void forward(benchmark::State& state, const B& be) {
  job<B> j(be);
  for (auto _ : state) j.forward();
  state.SetItemsProcessed(state.iterations() * batch);
}

/// Items are images, of 3,072 neurons.
template <tensor_backend B>
void coefficients(benchmark::State& state, const B& be) {
  job<B> j(be);
  j.forward();
  const head_maps<B> heads(be, j.weights, convention::centered);
  second_order_map<B> map(be, heads, j.weights, layer);
  attention_routes<B> routes;
  auto s = be.allocate({map.n_writers(), batch, map.n_sources()});
  for (auto _ : state) {
    const auto seen = lens_activations_of(j.cache);
    routes.update(be, seen, layer + 1);
    map.coefficients(be, routes, seen.blocks[layer].writers, s.view().permuted({1, 2, 0}));
    be.synchronize();
  }
  state.SetItemsProcessed(state.iterations() * batch);
}

/// Items are neurons, over 96 images.
template <tensor_backend B>
void find(benchmark::State& state, const B& be) {
  job<B> j(be);
  auto findings = j.findings();
  for (index_t i = 0; i < n_batches; ++i) {
    j.forward();
    findings.add(be, lens_activations_of(j.cache));
  }
  for (auto _ : state) findings.finish(be, layer);
  state.SetItemsProcessed(state.iterations() * 3072);
  findings.clear();
}

/// Items are targets, of 16 words each.
template <tensor_backend B>
void pursuit(benchmark::State& state, const B& be) {
  const auto words = bench::random_weights(be, {n_words, 512}, 1);
  const auto targets = bench::random_weights(be, {256, 512}, 1);
  for (auto _ : state) {
    orthogonal_matching_pursuit(be, words.view(), targets.view(), {.n_atoms = 16});
  }
  state.SetItemsProcessed(state.iterations() * 256);
}

/// The forward pass and all of the above but the words; items are images.
template <tensor_backend B>
void whole_analysis(benchmark::State& state, const B& be) {
  job<B> j(be);
  for (auto _ : state) {
    auto findings = j.findings();
    for (index_t i = 0; i < n_batches; ++i) {
      j.forward();
      findings.add(be, lens_activations_of(j.cache));
    }
    findings.finish(be, layer);
    findings.clear();
  }
  state.SetItemsProcessed(state.iterations() * batch * n_batches);
}

const bool added = [] {
  bench::for_each_backend([]<class B>(const std::string& backend, const B& be) {
    const auto add = [&](const char* stage, void (*run)(benchmark::State&, const B&)) {
      benchmark::RegisterBenchmark(("stage/" + std::string(stage) + "/" + backend).c_str(),
                                   [=](benchmark::State& state) { run(state, be); })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    };
    add("forward", forward<B>);
    add("coefficients", coefficients<B>);
    add("findings", find<B>);
    add("pursuit", pursuit<B>);
    add("analysis", whole_analysis<B>);
  });
  return true;
}();

}  // namespace
