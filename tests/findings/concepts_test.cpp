#include "support/test.hpp"

#include <limits>

#include "findings/concepts_oracle.hpp"
#include "findings/made_up.hpp"
#include "model/fixture.hpp"

#include <solens/findings/concepts.hpp>
#include <solens/model/lens_views.hpp>

using namespace solens;
using namespace solens::test;

namespace {

template <class T>
found_layer<T> found_of(index_t layer, const layer_findings<T>& f) {
  return {layer, f.mean_effect, f.mean_coefficients, f.selectivity.threshold};
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("concepts are the significant writers' words times their lengths", "",
                        cpu_backends) {
  using B = TestType;
  using scalar = typename B::scalar;
  const B be{};
  const made_up<B> model;
  constexpr index_t images = made_up<B>::images, top = 6;
  const auto how = GENERATE(convention::centered, convention::reference);
  const index_t batch = GENERATE(index_t{1}, index_t{8}, index_t{31});
  temporary_folder folder;
  analysis<B> a(be, model.weights,
                {.layers = {0, 2}, .top = top, .how = how, .scratch = folder.path()});
  model.add(be, a, 0, images, 10);
  const auto first = a.finish(be, 0), last = a.finish(be, 2);
  const made_up_codes<scalar> first_codes(made_up<B>::writers, 1),
      last_codes(made_up<B>::writers, 2);
  const std::vector<layer_codes<scalar>> codes{first_codes.of(0), last_codes.of(2)};
  concepts_oracle expected(images);
  for (const auto& of : codes) {
    expected.add(of.layer, in_double(model.effects(be, of.layer, how)), top, of);
  }

  significant_writers<B> significant(be, model.weights, {found_of(0, first), found_of(2, last)},
                                     how);
  for (index_t begin = 0; begin < images; begin += batch) {
    const index_t end = std::min(images, begin + batch);
    const auto by_image = significant(be, model.batch(begin, end));
    REQUIRE(std::ssize(by_image) == end - begin);
    for (index_t i = begin; i < end; ++i) {
      const auto& writers = by_image[static_cast<std::size_t>(i - begin)];
      expected.check(i, std::ssize(writers), words_said_by<scalar>(writers, codes),
                     bound<scalar>(1e-12, 1e-5));
    }
  }
}

TEST_CASE("concepts need nothing of a backend but the contract") {
  const auto run = []<class B>(const B& be) {
    using scalar = typename B::scalar;
    const made_up<B> model;
    const index_t n = made_up<B>::writers, e = made_up<B>::d_joint;
    const auto mean_effect = random_tensor<scalar>({n, e}, 1);
    const auto mean_coefficients = random_tensor<scalar>({n, 4}, 2);
    const host_tensor<scalar> threshold({n}, 100);
    significant_writers<B> significant(
        be, model.weights, {{1, mean_effect, mean_coefficients, threshold}}, convention::reference);
    return significant(be, model.activations);
  };
  const auto plain = run(reference_backend<double>{});
  const auto on_device = run(testing::archetype_backend<double>{0});
  REQUIRE(plain.size() == on_device.size());
  std::size_t n = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    REQUIRE(plain[i].size() == on_device[i].size());
    for (std::size_t k = 0; k < plain[i].size(); ++k, ++n) {
      CHECK(plain[i][k].weight == on_device[i][k].weight);
    }
  }
  CHECK(n > 0);
}

TEST_CASE("concepts of tiny-a in float are those of effects in double") {
  const std::vector<index_t> layers{1, 2};
  constexpr index_t top = 3;
  concepts_oracle expected(4);
  const made_up_codes<float> first(256, 1), last(256, 2);
  const std::vector<layer_codes<float>> codes{first.of(1), last.of(2)};
  {
    vision_run<reference_backend<double>> run("tiny-a");
    REQUIRE(run.n() == 4);
    const auto cache = run.pass(second_order_sites(run.tower.config(), layers));
    const auto weights = lens_weights_of(run.tower);
    const auto activations = lens_activations_of(cache);
    const head_maps<reference_backend<double>> heads(run.be, weights, convention::centered);
    for (const auto& of : codes) {
      second_order_map<reference_backend<double>> map(run.be, heads, weights, of.layer);
      attention_routes<reference_backend<double>> routes;
      routes.update(run.be, activations, of.layer + 1);
      host_tensor<double> s({4, map.n_sources(), 256}), effects({4, 256, map.d_joint()});
      map.coefficients(run.be, routes,
                       activations.blocks[static_cast<std::size_t>(of.layer)].writers, s.view());
      map.effects(run.be, s, {}, effects);
      expected.add(of.layer, effects, top, of);
    }
  }
  using B = eigen_backend<float>;
  vision_run<B> run("tiny-a");
  const auto cache = run.pass(second_order_sites(run.tower.config(), layers));
  const auto weights = lens_weights_of(run.tower);
  temporary_folder folder;
  analysis<B> a(run.be, weights, {.layers = layers, .top = top, .scratch = folder.path()});
  a.add(run.be, lens_activations_of(cache));
  const auto found = a.finish(run.be, 1), other = a.finish(run.be, 2);
  significant_writers<B> significant(run.be, weights, {found_of(1, found), found_of(2, other)});
  const auto by_image = significant(run.be, lens_activations_of(cache));
  for (index_t i = 0; i < 4; ++i) {
    const auto& writers = by_image[static_cast<std::size_t>(i)];
    expected.check(i, std::ssize(writers), words_said_by<float>(writers, codes), 1e-5);
  }
}

TEST_CASE("writers without codes, findings that do not fit and images that are not finite") {
  using B = eigen_backend<float>;
  const B be{};
  made_up<B> model;
  temporary_folder folder;
  analysis<B> a(be, model.weights, {.layers = {1, 2}, .top = 3, .scratch = folder.path()});
  model.add(be, a, 0, 31, 31);
  const auto found = a.finish(be, 1), other = a.finish(be, 2);
  const auto make = [&](const std::vector<found_layer<float>>& layers) {
    return significant_writers<B>(be, model.weights, layers);
  };
  CHECK_THROWS_AS(make({}), argument_error);
  CHECK_THROWS_AS(make({found_of(3, found)}), argument_error);
  CHECK_THROWS_WITH(make({found_of(1, other)}), Catch::Contains("layer 1: mean_coefficients"));
  auto cut = found_of(1, found);
  cut.threshold = cut.threshold.slice(0, 0, 6);
  CHECK_THROWS_WITH(make({cut}), Catch::Contains("layer 1: threshold"));

  const made_up_codes<float> codes(made_up<B>::writers, 1);
  const std::vector<layer_codes<float>> of_one{codes.of(1)};
  const std::vector<weighted_writer> elsewhere{{2, 0, 1.0}}, beyond{{1, 7, 1.0}};
  CHECK_THROWS_WITH(words_said_by<float>(elsewhere, of_one), Catch::Contains("layer 2"));
  CHECK_THROWS_WITH(words_said_by<float>(beyond, of_one), Catch::Contains("writer 7"));
  CHECK(words_said_by<float>({}, of_one).empty());

  auto good = make({found_of(1, found), found_of(2, other)});
  const auto poisoned = model.batch(8, 12);
  const_cast<float&>(poisoned.blocks[2].writers(1, 1, 5)) = std::numeric_limits<float>::infinity();
  const std::vector<std::string> names{"a.png", "b.png", "c.png", "d.png"};
  CHECK_THROWS_WITH(good(be, poisoned, names), Catch::Contains("b.png, layer 2"));
}

TEST_CASE("an index finds the images of a word, best first") {
  concept_index index;
  index.add(4, std::vector<said_word>{{7, 1.0}, {3, -2.0}});
  index.add(2, std::vector<said_word>{{7, 5.0}});
  index.add(9, std::vector<said_word>{{7, 1.0}, {8, 0.5}});
  using hits = std::vector<std::pair<index_t, double>>;
  CHECK(index.find(7) == hits{{2, 5.0}, {4, 1.0}, {9, 1.0}});
  CHECK(index.find(8) == hits{{9, 0.5}});
  CHECK(index.find(1).empty());
}
