#include "support/test.hpp"

#include "findings/effects_oracle.hpp"
#include "support/backends.hpp"

#include <limits>

#include <solens/findings/analysis.hpp>

using namespace solens;

namespace {

/// Weights and activations of a transformer that nobody ran: the findings are exact for any
/// numbers, so random ones will do.
template <tensor_backend B>
struct made_up {
  using scalar = typename B::scalar;
  static constexpr index_t layers = 4, heads = 2, d_head = 3, d_model = 6, d_joint = 10,
                           writers = 7, tokens = 5, images = 31;
  std::vector<host_tensor<scalar>> owned;
  lens_weights<B> weights;
  lens_activations<B> activations;
  unsigned seed = 100;

  const_view_of<B> random(const shape& extents, bool positive = false) {
    owned.push_back(test::random_tensor<scalar>(extents, seed++));
    if (positive) {
      for (scalar& x : owned.back()) x = std::abs(x) + scalar{0.5};
    }
    return std::as_const(owned.back()).view();
  }

  made_up() {
    for (index_t l = 0; l < layers; ++l) {
      weights.blocks.push_back({random({d_model}), random({d_model}),
                                random({heads, d_head, d_model}), random({heads, d_head}),
                                random({heads, d_model, d_head}), random({d_model}),
                                random({writers, d_model}), random({d_model})});
      activations.blocks.push_back({random({images, tokens}),
                                    random({images, tokens}, true),
                                    random({images, heads, tokens}),
                                    {},
                                    random({images, tokens, writers}),
                                    {}});
    }
    weights.ln_post_weight = random({d_model});
    weights.ln_post_bias = random({d_model});
    weights.projection = random({d_model, d_joint});
    activations.ln_post_mean = random({images});
    activations.ln_post_scale = random({images}, true);
    activations.representation = random({images, d_joint});
  }

  lens_activations<B> batch(index_t begin, index_t end) const {
    lens_activations<B> part = activations;
    const auto cut = [&](const_view_of<B>& v) {
      if (!v.empty()) v = v.slice(0, begin, end);
    };
    for (auto& b : part.blocks) {
      for (auto* v : {&b.ln_1_mean, &b.ln_1_scale, &b.class_attention, &b.writers}) cut(*v);
    }
    for (auto* v : {&part.ln_post_mean, &part.ln_post_scale, &part.representation}) cut(*v);
    return part;
  }

  void add(const B& be, analysis<B>& a, index_t begin, index_t end, index_t batch_size) const {
    for (index_t i = begin; i < end; i += batch_size) {
      a.add(be, batch(i, std::min(end, i + batch_size)));
    }
  }

  /// [images, sources, writers]
  host_tensor<scalar> coefficients(const B& be, index_t layer) const {
    head_maps<B> maps(be, weights, convention::centered);
    second_order_map<B> map(be, maps, weights, layer);
    attention_routes<B> routes;
    routes.update(be, activations, layer + 1);
    host_tensor<scalar> s({images, map.n_sources(), writers});
    map.coefficients(be, routes, activations.blocks[static_cast<std::size_t>(layer)].writers, s);
    return s;
  }

  /// [images, writers, d_joint], all in memory.
  host_tensor<scalar> effects(const B& be, index_t layer, convention how) const {
    head_maps<B> maps(be, weights, how);
    second_order_map<B> map(be, maps, weights, layer);
    attention_routes<B> routes;
    routes.update(be, activations, layer + 1);
    host_tensor<scalar> s({images, map.n_sources(), writers}), rest({images, d_joint}),
        out({images, writers, d_joint});
    map.coefficients(be, routes, activations.blocks[static_cast<std::size_t>(layer)].writers, s);
    map.rest(be, routes, activations, rest);
    map.effects(be, s.view(), rest.view(), out);
    return out;
  }
};

/// The mean over the images of s [images, sources, writers]: [writers, sources].
template <class T>
host_tensor<T> mean_of(const host_tensor<T>& s) {
  host_tensor<T> mean({s.extent(2), s.extent(1)});
  for (index_t k = 0; k < s.extent(1); ++k) {
    for (index_t w = 0; w < s.extent(2); ++w) {
      double sum = 0;
      for (index_t i = 0; i < s.extent(0); ++i) sum += static_cast<double>(s(i, k, w));
      mean(w, k) = static_cast<T>(sum / static_cast<double>(s.extent(0)));
    }
  }
  return mean;
}

template <class T>
bool same(const layer_findings<T>& a, const layer_findings<T>& b) {
  const auto equal = [](const auto& x, const auto& y) {
    return x.extents() == y.extents() && std::equal(x.begin(), x.end(), y.begin());
  };
  return equal(a.mean_effect, b.mean_effect) &&
         equal(a.direction.direction, b.direction.direction) &&
         equal(a.selectivity.top_images, b.selectivity.top_images) &&
         equal(a.selectivity.top_norms, b.selectivity.top_norms) &&
         equal(a.direction.explained_variance_all, b.direction.explained_variance_all);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("an analysis equals the one with every effect in memory", "",
                        test::cpu_backends) {
  using B = TestType;
  using scalar = typename B::scalar;
  const B be{};
  const made_up<B> model;
  const auto how = GENERATE(convention::centered, convention::reference);
  const index_t batch = GENERATE(index_t{1}, index_t{8}, index_t{31});
  const index_t top = 6;
  test::temporary_folder folder;
  // a budget of a few writers, so that blocks are seen, beside what does not go by writers
  constexpr index_t images = made_up<B>::images;
  const auto n_batches = static_cast<std::size_t>((images + batch - 1) / batch);
  const std::size_t memory = 30000 + (4 << 20) + 4 * page_size * n_batches;
  analysis<B> a(
      be, model.weights,
      {.layers = {0, 2}, .top = top, .how = how, .scratch = folder.path(), .memory = memory});
  model.add(be, a, 0, made_up<B>::images, batch);
  CHECK(a.n_images() == made_up<B>::images);
  for (index_t layer : {index_t{0}, index_t{2}}) {
    const auto found = a.finish(be, layer);
    const auto effects = model.effects(be, layer, how);
    const auto mean_s = mean_of(model.coefficients(be, layer));
    CHECK(test::relative_difference<scalar, scalar>(found.mean_coefficients.view(), mean_s.view()) <
          test::bound<scalar>(1e-12, 2e-6));
    for (index_t w = 0; w < made_up<B>::writers; ++w) {
      CAPTURE(layer, w, static_cast<int>(how), batch);
      host_tensor<double> of_writer({made_up<B>::images, made_up<B>::d_joint});
      for (index_t i = 0; i < made_up<B>::images; ++i) {
        for (index_t j = 0; j < made_up<B>::d_joint; ++j)
          of_writer(i, j) = static_cast<double>(effects(i, w, j));
      }
      const test::effects_oracle expected(std::move(of_writer), top);
      const double tolerance = test::bound<scalar>(1e-10, 2e-5);
      const host_view<const double> mean(expected.mean.data(), {made_up<B>::d_joint});
      CHECK(test::relative_difference<scalar, double>(std::as_const(found.mean_effect).view()[w],
                                                      mean) < tolerance);
      double cosine = 0;
      for (index_t j = 0; j < made_up<B>::d_joint; ++j) {
        cosine += static_cast<double>(found.direction.direction(w, j)) *
                  expected.direction[static_cast<std::size_t>(j)];
      }
      CHECK(cosine > 1 - test::bound<scalar>(1e-8, 1e-5));
      for (index_t i = 0; i < top; ++i) {
        const auto image = static_cast<std::size_t>(expected.top[static_cast<std::size_t>(i)]);
        CHECK(found.selectivity.top_images(w, i) == static_cast<index_t>(image));
        CHECK(static_cast<double>(found.selectivity.top_norms(w, i)) ==
              Approx(expected.norms[image]).epsilon(tolerance));
      }
      CHECK(static_cast<double>(found.direction.explained_variance(w)) ==
            Approx(expected.explained).epsilon(tolerance));
      CHECK(static_cast<double>(found.direction.explained_variance_all(w)) ==
            Approx(expected.explained_all).epsilon(tolerance));
    }
  }
}

TEST_CASE("an interrupted analysis goes on and ends with the same bits") {
  using B = eigen_backend<float>;
  const B be{};
  const made_up<B> model;
  test::temporary_folder whole_folder, folder;
  const auto options = [](const test::temporary_folder& f) {
    return analysis_options{.layers = {1, 2}, .top = 5, .scratch = f.path()};
  };
  analysis<B> whole(be, model.weights, options(whole_folder));
  model.add(be, whole, 0, 31, 4);
  {
    analysis<B> first(be, model.weights, options(folder));
    model.add(be, first, 0, 20, 4);  // two batches more than are remembered
  }
  analysis<B> second(be, model.weights, options(folder), {4, 4, 4});
  CHECK(second.n_images() == 12);
  model.add(be, second, 12, 31, 4);
  for (index_t layer : {index_t{1}, index_t{2}}) {
    CHECK(same(whole.finish(be, layer), second.finish(be, layer)));
  }
  second.clear();
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("NaN and infinity are named by image and layer, and what was added stays") {
  using B = eigen_backend<float>;
  const B be{};
  made_up<B> model;
  test::temporary_folder folder;
  analysis<B> a(be, model.weights, {.layers = {0, 2}, .top = 3, .scratch = folder.path()});
  model.add(be, a, 0, 8, 4);
  const float bad =
      GENERATE(std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity());
  const auto poisoned = model.batch(8, 12);
  const auto view = poisoned.blocks[2].writers;
  float& cell = const_cast<float&>(view(1, 3, 5));
  const float good = std::exchange(cell, bad);
  const std::vector<std::string> names{"a.png", "b.png", "c.png", "d.png"};
  try {
    a.add(be, poisoned, names);
    FAIL("not refused");
  } catch (const format_error& e) {
    CHECK_THAT(e.what(), Catch::Contains("image 9, b.png, layer 2"));
  }
  CHECK(a.n_images() == 8);
  cell = good;
  model.add(be, a, 8, 31, 4);  // the same batch again, and the rest
  test::temporary_folder other;
  analysis<B> clean(be, model.weights, {.layers = {0, 2}, .top = 3, .scratch = other.path()});
  model.add(be, clean, 0, 31, 4);
  CHECK(same(a.finish(be, 0), clean.finish(be, 0)));
  CHECK(same(a.finish(be, 2), clean.finish(be, 2)));
}

TEST_CASE("questions without an answer are refused") {
  using B = eigen_backend<double>;
  const B be{};
  const made_up<B> model;
  test::temporary_folder folder;
  const auto with = [&](analysis_options o) {
    o.scratch = folder.path();
    analysis<B> a(be, model.weights, o);
    model.add(be, a, 0, 4, 4);
    a.finish(be, 0);
  };
  CHECK_THROWS_AS(with({.layers = {}}), argument_error);
  CHECK_THROWS_AS(with({.layers = {3}}), argument_error);  // the last: no later blocks
  CHECK_THROWS_AS(with({.layers = {-1}}), argument_error);
  CHECK_THROWS_AS(with({.layers = {1}, .top = 2}), argument_error);  // finish(0)
  CHECK_THROWS_AS(with({.layers = {0}, .top = 5}), argument_error);  // of 4 images
  CHECK_THROWS_AS(with({.layers = {0}, .top = 2, .memory = 100}), argument_error);
  analysis_options nowhere{.layers = {0}};
  nowhere.scratch = folder / "not there";
  CHECK_THROWS_AS(analysis<B>(be, model.weights, nowhere), io_error);
}
