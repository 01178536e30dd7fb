#include <benchmark/benchmark.h>

#include <optional>
#include <string>
#include <utility>  // std::as_const
#include <vector>

#include <solens/backend/eigen.hpp>
#include <solens/findings/segmenter.hpp>
#include <solens/image/heat_map.hpp>

#include "model/random_towers.hpp"

namespace {

using namespace solens;
using backend = eigen_backend<float>;

constexpr index_t batch = 32;

/// A pass over 32 images through a ViT-B/32 and, with a source, the heat map of one class for each
/// image out of it; items are images.
void segment(benchmark::State& state, std::optional<map_source> source) {
  const backend be;
  const auto& size = bench::vit_b_32;
  const auto tower = bench::random_vision_tower(be, size);
  const vision_config& c = tower.config();
  std::vector<host_tensor<float>> vectors;
  std::vector<directions_of_layer<float>> layers;
  for (const index_t l : {8, 9, 10}) {
    vectors.push_back(random_directions<float>(c.d_mlp, size.d_joint, {std::uint64_t(l)}));
    layers.push_back({l, vectors.back().view()});
  }
  const auto classes = random_directions<float>(1, size.d_joint, {1});
  std::vector<site> sites;
  std::optional<segmenter<backend>> maker;
  if (source) {
    sites = segmentation_sites(c, *source, std::vector<index_t>{8, 9, 10});
    maker.emplace(be, tower, *source, layers, classes.view().transposed());
  }
  auto work = tower.make_workspace(be, batch);
  auto cache = tower.make_cache(be, batch, sites);
  const auto pixels = bench::random_weights(be, {batch, 3, c.image_size, c.image_size}, 2);
  auto representation = be.allocate({batch, size.d_joint});
  host_tensor<float> maps({batch, 1, c.grid() * c.grid()});
  const std::vector<index_t> asked{0};
  for (auto _ : state) {
    tower.forward(be, pixels.view(), work, representation.view(), &cache);
    if (!maker) continue;
    maker->maps(be, cache, asked, maps);
    for (index_t i = 0; i < batch; ++i) {
      const auto map = std::as_const(maps).view()[i][0].split(0, c.grid());
      benchmark::DoNotOptimize(heat_map(map, c.image_size, c.image_size).data());
    }
  }
  state.SetItemsProcessed(state.iterations() * batch);
}

[[maybe_unused]] const bool registered = [] {
  const auto add = [](const std::string& name, std::optional<map_source> source) {
    benchmark::RegisterBenchmark(("segment/" + name).c_str(),
                                 [source](benchmark::State& state) { segment(state, source); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  };
  add("forward_alone", std::nullopt);
  for (std::size_t i = 0; i < std::size(map_source_names); ++i) {
    add(std::string(map_source_names[i]), static_cast<map_source>(i));
  }
  return true;
}();

}  // namespace
