#include "support/test.hpp"

#include <map>

#include <solens/backend/eigen.hpp>
#include <solens/findings/analysis.hpp>
#include <solens/image/preprocess.hpp>
#include <solens/model/lens_views.hpp>
#include <solens/model/load.hpp>
#include <solens/weights/safetensors_writer.hpp>

#include <toyland/data_set.hpp>
#include <toyland/painter.hpp>
#include <toyland/segmentation.hpp>

using namespace solens;

namespace {

/// Directions of the neurons of layer 4, found on few scenes.
void analyse(const std::filesystem::path& folder) {
  const eigen_backend<float> be(2);
  constexpr index_t n = 160, side = toyland::usual_side;
  auto model = load_clip(be, TOYLAND_MODEL, {.text = false});
  const vision_tower tower(model.config.vision, std::move(*model.weights.vision));
  host_tensor<float> pixels({n, 3, side, side}), representation({n, tower.d_joint()});
  for (index_t i = 0; i < n; ++i) {
    const auto scene = toyland::scene_of({.seed = 3}, static_cast<int>(i));
    const auto picture = toyland::paint(scene);
    preprocess(picture.image, {.resize = resize_mode::none, .crop = {side, side}},
               pixels.view()[i]);
  }
  auto cache = tower.make_cache(be, n, second_order_sites(tower.config(), {4}));
  auto work = tower.make_workspace(be, n);
  tower.forward(be, pixels, work, representation, &cache);
  analysis<eigen_backend<float>> all(be, lens_weights_of(tower),
                                     {.layers = {4}, .top = 16, .scratch = folder});
  all.add(be, lens_activations_of(cache));
  const auto found = all.finish(be, 4);
  write_safetensors(folder / "layer-4.safetensors",
                    {{"direction", found.direction.direction.view()}});
}

}  // namespace

TEST_CASE("things are found by neurons and the direct decomposition, not by random neurons") {
  test::temporary_folder folder;
  analyse(folder.path());
  const toyland::segmentation_call call{
      .model = TOYLAND_MODEL, .run = folder.path(), .layers = {4}, .neurons = 20, .n = 61};
  const auto rows = toyland::compare_segmentations(call);
  std::map<std::string, stats::segmentation_scores> by_name;
  for (const auto& row : rows) by_name.emplace(row.name, row.scores);
  REQUIRE(by_name.size() == 10);
  // 31 scenes of two things and 30 of three, kinds as a rule not twice in one.
  for (const auto& [name, scores] : by_name) {
    CHECK(scores.n() <= 152);
    CHECK(scores.n() > 140);
  }
  const auto iou = [&](const char* name) { return by_name.at(name).mean_iou(); };
  CHECK(iou("neurons") > iou("random neurons") + 0.1);
  CHECK(iou("neurons") > iou("nothing found") + 0.1);
  CHECK(iou("direct decomposition") > iou("attention rollout") + 0.05);
  const auto& nothing = by_name.at("nothing found");
  CHECK(nothing.object_iou() == 0);
  CHECK(nothing.background_iou() == nothing.pixel_accuracy());
  CHECK(nothing.pixel_accuracy() > 0.8);

  auto other = call;
  other.seed = 99;
  CHECK(toyland::compare_segmentations(call).front().scores.mean_iou() == iou("neurons"));
  CHECK(toyland::compare_segmentations(other).front().scores.mean_iou() != iou("neurons"));
  other.layers = {3};
  CHECK_THROWS_WITH(toyland::compare_segmentations(other), Catch::Contains("layer-3.safetensors"));
}
