#include "support/test.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "findings/concepts_oracle.hpp"

#include <solens/backend/eigen.hpp>
#include <solens/findings/adversarial.hpp>
#include <solens/findings/concepts.hpp>
#include <solens/model/load.hpp>

#include <toyland/adversarial_trial.hpp>
#include <toyland/concept_evaluation.hpp>
#include <toyland/described_neurons.hpp>
#include <toyland/grammar.hpp>
#include <toyland/observation.hpp>
#include <toyland/painter.hpp>

using namespace toyland;
using solens::host_tensor, solens::index_t;

namespace {

const clip& the_model() {
  static const clip model(TOYLAND_MODEL, 2);
  return model;
}

/// Effects of a layer in double, [scenes, neurons, E], from the weights and pixels alone.
host_tensor<double> effects_in_double(const data_set_options& scenes, index_t layer) {
  using B = solens::eigen_backend<double>;
  const B be(2);
  const solens::clip_source source = solens::open_clip_model(TOYLAND_MODEL);
  auto loaded = solens::load_weights(be, source.weights, source.config, {true, false});
  const solens::vision_tower<B> tower(source.config.vision, std::move(*loaded.vision));
  const index_t side = tower.config().image_size, n = scenes.n;
  host_tensor<double> pixels({n, 3, side, side}), representation({n, tower.d_joint()});
  for (int i = 0; i < scenes.n; ++i) {
    host_tensor<float> seen({3, side, side});
    the_model().prepare(paint(scene_of(scenes, i)).image, seen.view());
    std::copy(seen.begin(), seen.end(), pixels.data() + i * seen.size());
  }
  const auto sites = solens::second_order_sites(tower.config(), {layer});
  auto cache = tower.make_cache(be, n, sites);
  auto work = tower.make_workspace(be, n);
  tower.forward(be, pixels, work, representation, &cache);
  const auto weights = solens::lens_weights_of(tower);
  const auto activations = solens::lens_activations_of(cache);
  const solens::head_maps<B> heads(be, weights, solens::convention::centered);
  solens::second_order_map<B> map(be, heads, weights, layer);
  solens::attention_routes<B> routes;
  routes.update(be, activations, layer + 1);
  host_tensor<double> s({n, map.n_sources(), map.n_writers()}),
      effects({n, map.n_writers(), map.d_joint()});
  map.coefficients(be, routes, activations.blocks[static_cast<std::size_t>(layer)].writers,
                   s.view());
  map.effects(be, s, {}, effects);
  return effects;
}

}  // namespace

TEST_CASE("concepts of toyland's scenes in float are those of effects in double") {
  const data_set_options scenes{.n = 100, .seed = 5};  // of which 2 % are 2
  const toyland_words vocabulary(the_model());
  const auto layers = describe_neurons(the_model(), vocabulary, scenes, {3, 4}, 6);
  solens::test::concepts_oracle expected(scenes.n);
  std::vector<solens::found_layer<float>> found;
  std::vector<solens::layer_codes<float>> codes;
  for (const described_layer& l : layers) {
    expected.add(l.number, effects_in_double(scenes, l.number), 2, l.said());
    found.push_back(l.found());
    codes.push_back(l.said());
  }
  solens::significant_writers<clip::backend> significant(
      the_model().be(), solens::lens_weights_of(the_model().vision()), found);
  const auto sites = solens::second_order_sites(the_model().vision().config(), {3, 4});
  for_each_batch(the_model(), scenes, sites, [&](index_t first, const auto& cache) {
    const auto by_scene = significant(the_model().be(), solens::lens_activations_of(cache));
    for (std::size_t i = 0; i < by_scene.size(); ++i) {
      expected.check(first + static_cast<index_t>(i), std::ssize(by_scene[i]),
                     solens::words_said_by<float>(by_scene[i], codes), 1e-5);
    }
  });
}

TEST_CASE("adversarial words of toyland's kinds are the plain sums of eq. 6") {
  const toyland_words vocabulary(the_model());
  const auto layers = describe_neurons(the_model(), vocabulary, {.n = 100, .seed = 5}, {3, 4}, 6);
  const auto classes = kind_classifier(the_model());
  host_tensor<float> difference({classes.extent(1)});
  for (index_t j = 0; j < difference.size(); ++j) difference(j) = classes(0, j) - classes(1, j);
  std::vector<std::tuple<double, std::size_t, index_t>> all;  // pull, layer, neuron
  for (std::size_t l = 0; l < 2; ++l) {
    const auto& directions = layers[l].findings.direction.direction;
    for (index_t n = 0; n < directions.extent(0); ++n) {
      double pull = 0;
      for (index_t j = 0; j < difference.size(); ++j) {
        pull += double{directions(n, j)} * double{difference(j)};
      }
      all.emplace_back(pull, l, n);
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return std::abs(std::get<0>(a)) > std::abs(std::get<0>(b));
  });
  std::map<index_t, double> expected;
  double largest = 0;
  for (std::size_t i = 0; i < 100; ++i) {
    const auto& [pull, l, n] = all[i];
    for (index_t a = 0; a < 6; ++a) {
      const index_t word = layers[l].codes.atoms(n, a);
      if (word < 0) continue;
      expected[word] += double{layers[l].codes.weights(n, a)} * pull;
      largest = std::max(largest, std::abs(expected[word]));
    }
  }
  const std::vector<solens::layer_directions<float>> directions{layers[0].directions(),
                                                                layers[1].directions()};
  const std::vector<solens::layer_codes<float>> codes{layers[0].said(), layers[1].said()};
  const auto found = solens::spurious_words<float>(
      solens::foremost(solens::pulls<clip::backend>(the_model().be(), directions, difference), 100),
      codes);
  REQUIRE(std::ssize(found) ==
          std::count_if(expected.begin(), expected.end(), [](auto& e) { return e.second > 0; }));
  for (const auto& word : found) {
    CHECK(std::abs(word.score - expected.at(word.word)) <= 1e-5 * largest);
  }
}

TEST_CASE("a scene with words holds what they say, as far as it fits, and never the class") {
  const auto claims = [](const std::vector<std::string>& words) {
    std::vector<description> all;
    for (const std::string& w : words) all.push_back(claim_of(w));
    return all;
  };
  const auto scene_of_words = [&](const std::vector<std::string>& words, int most) {
    return scene_with(kind::car, kind::boat, claims(words), most);
  };
  CHECK(scene_of_words({}, 4) == parse("a car").told);
  CHECK(scene_of_words({"red fish", "sea", "night"}, 4) ==
        parse("a car and a red fish on the sea").told);
  CHECK(scene_of_words({"red boat", "ship", "fish"}, 4) == parse("a car and a fish").told);
  CHECK(scene_of_words({"blue", "red", "striped"}, 4) == parse("a striped blue car").told);
  CHECK(scene_of_words({"fish", "bird", "sun", "sea"}, 4) ==
        parse("a car and a fish and a bird on the sea").told);
  CHECK(scene_of_words({"fish", "blue fish", "green fish"}, 4) ==
        parse("a car and a blue fish").told);
  CHECK(scene_of_words({"fish", "sea", "bird"}, 2) == parse("a car and a fish on the sea").told);
  CHECK(scene_of_words({"above"}, 4) == parse("a car").told);
  CHECK(scene_of_words({"above", "fish"}, 4) == parse("a car above a fish").told);
}

TEST_CASE("the words of neurons beat random ones, and shares of true words are shares") {
  const auto results = evaluate_concepts(
      the_model(),
      {.scenes = {.n = 300}, .fresh = {.n = 60, .seed = 9}, .layers = {4}, .atoms = 6});
  std::map<std::string, double> first;
  for (const auto& r : results) {
    for (const double share : r.at) CHECK((share >= 0 && share <= 1));
    first[r.method] = r.at[0];
  }
  CHECK(first.at("concepts") == first.at("concepts, layer 4"));
  CHECK(first.at("concepts") > first.at("random words"));
  CHECK(first.at("similarity") > first.at("random words"));
}

TEST_CASE("trials of adversarial words repeat for the same seeds") {
  adversarial_options o{.scenes = {.n = 100}, .layers = {4}, .atoms = 4};
  o.pictures = 2;
  o.indirect_scenes = 1;
  o.seeds = {4, 4};
  const auto results = try_adversarial(the_model(), o);
  CHECK(results.size() == n_kinds);
  for (const auto& r : results) {
    CHECK(r.taken_for != r.there);
    for (const auto& shares : r.share) {
      REQUIRE(shares.size() == 2);
      CHECK(shares[0] == shares[1]);
      CHECK((shares[0] >= 0 && shares[0] <= 1));
    }
  }
}
