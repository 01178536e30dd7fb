#include <benchmark/benchmark.h>

#include <string>
#include <utility>  // std::as_const
#include <vector>

#include <solens/backend/eigen.hpp>
#include <solens/model/lens_views.hpp>
#include <solens/model/vision_tower.hpp>

#include "random_towers.hpp"

namespace {

using namespace solens;
using backend = eigen_backend<float>;

/// A forward pass over a batch of images; items are images.
void forward(benchmark::State& state, const bench::clip_size& size, index_t batch,
             const std::vector<site>& sites) {
  const backend be;
  const vision_tower<backend> tower = bench::random_vision_tower(be, size);
  auto work = tower.make_workspace(be, batch);
  auto cache = tower.make_cache(be, batch, sites);
  const index_t side = size.vision.image_size;
  const auto pixels = bench::random_weights(be, {batch, 3, side, side}, 2);
  auto out = be.allocate({batch, size.d_joint});
  for (auto _ : state) {
    tower.forward(be, pixels.view(), work, out.view(), &cache);
    be.synchronize();
  }
  state.SetItemsProcessed(state.iterations() * batch);
}

/// The bound: the same pass with nothing in it but its products with weights.
void products(benchmark::State& state, const bench::clip_size& size, index_t batch) {
  const backend be;
  const vision_tower<backend> tower = bench::random_vision_tower(be, size);
  const vision_config& c = size.vision;
  const index_t rows = batch * c.n_tokens(), patch = 3 * c.patch_size * c.patch_size;
  auto stream = bench::random_weights(be, {rows * c.d_model}, 1);
  auto wide = bench::random_weights(be, {rows * std::max(c.d_mlp, patch)}, 1);
  for (auto _ : state) {
    be.gemm(1, std::as_const(wide).view().slice(0, 0, rows * patch).reshaped({rows, patch}),
            tower.weights().patch_weight.view().transposed(), 0,
            stream.view().reshaped({rows, c.d_model}));
    bench::products_alone(be, c, tower.weights().blocks, rows, batch, stream.view(), wide.view());
    be.fill(1, stream.view());  // or the numbers would grow without end
    be.synchronize();
  }
  state.SetItemsProcessed(state.iterations() * batch);
}

[[maybe_unused]] const bool registered = [] {
  for (const auto& [size, batch] :
       {std::pair{&bench::vit_b_32, 32}, std::pair{&bench::vit_l_14, 8}}) {
    const std::string name =
        std::string("vision_tower/") + size->name + "/batch:" + std::to_string(batch);
    const auto add = [&](const std::string& what, auto f) {
      benchmark::RegisterBenchmark((name + "/" + what).c_str(), f)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    };
    add("products_alone", [size, batch](benchmark::State& s) { products(s, *size, batch); });
    add("forward", [size, batch](benchmark::State& s) { forward(s, *size, batch, {}); });
    add("forward_for_second_order", [size, batch](benchmark::State& s) {
      const index_t layer = size->vision.n_layers * 3 / 4;
      forward(s, *size, batch, second_order_sites(size->vision, {layer}));
    });
  }
  return true;
}();

}  // namespace
