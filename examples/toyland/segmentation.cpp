#include "segmentation.hpp"

#include <algorithm>  // std::fill, std::none_of
#include <cstddef>    // std::size_t
#include <memory>     // std::unique_ptr
#include <numeric>    // std::iota
#include <optional>
#include <utility>  // std::move

#include <solens/backend/eigen.hpp>
#include <solens/core/threads.hpp>
#include <solens/findings/segmenter.hpp>
#include <solens/findings/zero_shot.hpp>
#include <solens/image/heat_map.hpp>
#include <solens/image/preprocess_json.hpp>
#include <solens/model/load.hpp>
#include <solens/text/load_tokenizer.hpp>
#include <solens/weights/safetensors.hpp>

#include "evaluation.hpp"
#include "grammar.hpp"
#include "painter.hpp"

namespace toyland {
namespace {

using solens::host_tensor, solens::host_view, solens::index_t, solens::map_source, solens::shape;
using backend = solens::eigen_backend<float>;

constexpr index_t batch = 50;
constexpr float threshold = 0.5F;

/// Where things of a kind are seen: [side, side], 1 or 0.
host_tensor<std::uint8_t> truth_of(const scene& s, const picture& p, kind what) {
  const index_t side = p.image.width();
  host_tensor<std::uint8_t> truth(shape{side, side}, std::uint8_t{0});
  for (std::size_t i = 0; i < s.things.size(); ++i) {
    if (s.things[i].what != what) continue;
    const auto& seen = p.masks[i].values();
    for (index_t j = 0; j < truth.size(); ++j) {
      if (seen[static_cast<std::size_t>(j)] >= 128) truth.data()[j] = 1;
    }
  }
  return truth;
}

/// All kinds, in words: unit columns [E, n_kinds].
backend::tensor kind_columns(const backend& be, const solens::text_tower<backend>& tower,
                             const solens::bpe_tokenizer& tokenizer) {
  std::vector<solens::prompt_template> sentences;
  for (const char* text : kind_sentences) sentences.emplace_back(text);
  std::vector<std::string> names;
  for (int k = 0; k < n_kinds; ++k) {
    names.push_back(with_article(std::string(name_of(static_cast<kind>(k)))));
  }
  return solens::zero_shot_classifier(be, tower, tokenizer, names, sentences);
}

/// The ways to find things, on one model.
class contest {
 public:
  contest(const backend& be, const segmentation_call& call)
      : be_(be),
        model_(solens::load_clip(be, call.model)),
        preprocess_(solens::read_preprocess_options(call.model / "preprocessor_config.json")),
        tower_(model_.config.vision, std::move(*model_.weights.vision)),
        work_(tower_.make_workspace(be, batch)),
        representation_(be.allocate({batch, tower_.d_joint()})) {
    for (const index_t l : call.layers) {
      files_.push_back(std::make_unique<solens::safetensors_file>(
          call.run / ("layer-" + std::to_string(l) + ".safetensors")));
      layers_.push_back({l, files_.back()->view<float>("direction")});
    }
    const solens::text_tower<backend> texts(model_.config.text.value(),
                                            std::move(*model_.weights.text));
    const auto kinds = kind_columns(be, texts, solens::load_tokenizer(call.model));
    const auto contrasts = solens::less_mean_class(be, kinds.view());
    const index_t n = call.neurons;
    add("neurons", map_source::neurons, kinds, {.n_writers = n});
    add("neurons, signed", map_source::neurons, kinds, {.n_writers = n, .by_magnitude = false});
    add("neurons, weighted", map_source::neurons, kinds, {.n_writers = n, .weighted = true});
    add("random neurons", map_source::random, kinds, {.n_writers = n});
    add("attention", map_source::attention, kinds);
    add("attention rollout", map_source::rollout, kinds);
    add("direct decomposition", map_source::direct, contrasts);
    add("direct, the kind alone", map_source::direct, kinds);
    add("patch similarity", map_source::patches, kinds);
    rows.push_back({"nothing found", {}});  // last, and no way of looking
    cache_.emplace(tower_.make_cache(be, batch, sites_));
  }

  /// Looks for the kinds of the scenes in their pictures.
  void add(const std::vector<scene>& scenes, const std::vector<picture>& pictures) {
    const index_t n = std::ssize(scenes), side = tower_.config().image_size;
    host_tensor<float> pixels(shape{n, 3, side, side});
    for (index_t i = 0; i < n; ++i) {
      solens::preprocess(pictures[static_cast<std::size_t>(i)].image, preprocess_,
                         pixels.view()[i]);
    }
    tower_.forward(be_, pixels, work_, representation_.view().slice(0, 0, n), &*cache_);
    std::vector<index_t> kinds(n_kinds);
    std::iota(kinds.begin(), kinds.end(), index_t{0});
    const index_t grid = tower_.config().grid();
    host_tensor<float> maps(shape{n, n_kinds, grid * grid});
    for (std::size_t w = 0; w < rows.size(); ++w) {
      if (w < ways_.size()) {
        ways_[w].maps(be_, *cache_, kinds, maps);
      } else {
        std::fill(maps.begin(), maps.end(), 0.0F);
      }
      for (index_t i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        score(rows[w].scores, scenes[at], pictures[at], maps.view()[i].split(1, grid));
      }
    }
  }

  std::vector<segmentation_row> rows;

 private:
  void add(const char* name, map_source source, const backend::tensor& classifier,
           const solens::segmentation_options& options = {}) {
    rows.push_back({name, {}});
    ways_.emplace_back(be_, tower_, source, layers_, classifier.view(), options);
    std::vector<index_t> numbers;
    for (const auto& l : layers_) numbers.push_back(l.layer);
    for (const auto& s : solens::segmentation_sites(tower_.config(), source, numbers)) {
      sites_.push_back(s);
    }
  }

  /// @param maps  [n_kinds, grid, grid]
  static void score(solens::stats::segmentation_scores& scores, const scene& s, const picture& p,
                    host_view<const float> maps) {
    for (int k = 0; k < n_kinds; ++k) {
      const auto is_it = [k](const thing& t) { return static_cast<int>(t.what) == k; };
      if (std::none_of(s.things.begin(), s.things.end(), is_it)) continue;
      const auto heat = solens::heat_map(maps[k], p.image.height(), p.image.width());
      scores.add(heat, truth_of(s, p, static_cast<kind>(k)), threshold);
    }
  }

  const backend& be_;
  solens::clip_model<backend> model_;
  solens::preprocess_options preprocess_;
  solens::vision_tower<backend> tower_;
  solens::vision_tower<backend>::workspace work_;
  backend::tensor representation_;
  std::vector<std::unique_ptr<solens::safetensors_file>> files_;
  std::vector<solens::directions_of_layer<float>> layers_;
  std::vector<solens::segmenter<backend>> ways_;
  std::vector<solens::site> sites_;
  std::optional<solens::activation_cache<backend>> cache_;
};

}  // namespace

std::vector<segmentation_row> compare_segmentations(const segmentation_call& call) {
  const backend be(solens::usable_cpus());
  contest all(be, call);
  data_set_options data{.n = call.n, .seed = call.seed, .how = {.planted = !call.evenly}};
  std::vector<scene> scenes;
  std::vector<picture> pictures;
  for (int i = 0; i < call.n; ++i) {
    data.things = 2 + i % 2;
    scenes.push_back(scene_of(data, i));
    pictures.push_back(paint(scenes.back()));
    if (std::ssize(scenes) < batch && i + 1 < call.n) continue;
    all.add(scenes, pictures);
    scenes.clear();
    pictures.clear();
  }
  return std::move(all.rows);
}

}  // namespace toyland
