#include "support/test.hpp"

#include <solens/backend/reference.hpp>
#include <solens/lens/second_order.hpp>

#include "lens/backends.hpp"
#include "lens/oracle.hpp"
#include "lens/tiny_clip.hpp"

using namespace solens;
using namespace solens::test;

namespace {

/// Effects, terms and all, of one layer on one backend.
template <class B>
struct layer_lens {
  B be = make_backend<B>();
  lens_inputs<B> in;
  head_maps<B> heads;
  attention_routes<B> routes;
  second_order_map<B> map;

  layer_lens(const tiny_fixture& f, index_t layer, convention how,
             std::span<const index_t> writers = {})
      : in(upload(be, f.model, f.trace)),
        heads(be, in.weights, how),
        map(be, heads, in.weights, layer, writers) {
    routes.update(be, in.activations, layer + 1);
  }

  index_t images() const { return routes.n_images(); }
  const_view_of<B> writers() const {
    return in.activations.blocks[static_cast<std::size_t>(map.layer())].writers;
  }
  typename B::tensor coefficients() {
    auto s = be.allocate(shape{images(), map.n_sources(), map.n_writers()});
    map.coefficients(be, routes, writers(), s.view());
    return s;
  }
  typename B::tensor rest() {
    auto r = be.allocate(shape{images(), map.d_joint()});
    map.rest(be, routes, in.activations, r.view());
    return r;
  }
  matrix effects() {
    auto out = be.allocate(shape{images(), map.n_writers(), map.d_joint()});
    map.effects(be, coefficients().view(), rest().view(), out.view());
    return get(be, std::as_const(out).view());
  }
  matrix terms() {
    auto r = be.allocate(shape{images(), map.n_sources(), map.d_joint()});
    map.rest_terms(be, routes, in.activations, r.view());
    auto out = be.allocate(shape{images(), map.n_sources(), map.n_writers(), map.d_joint()});
    map.effect_terms(be, coefficients().view(), r.view(), out.view());
    return get(be, std::as_const(out).view());
  }
};

}  // namespace

TEST_CASE("the plain oracle runs the published model") {
  const auto name = GENERATE(as<std::string>{}, "tiny-a", "tiny-b", "tiny-c");
  const auto& f = tiny(name);
  const auto& published = f.reference;
  // The fixtures are float32: one rounding an operation, a few thousand operations deep.
  CHECK(relative_difference<double, double>(f.trace.representation,
                                            published.at("representation")) < 1e-5);
  for (index_t l = 0; l < f.model.layers(); ++l) {
    CHECK(relative_difference<double, double>(f.trace.at(l).neurons,
                                              published.at("mlp_post_act").view()[l]) < 1e-5);
    CHECK(relative_difference<double, double>(
              f.trace.at(l).attention, published.at("attention").view()[l].select(2, 0)) < 1e-5);
  }
}

TEMPLATE_LIST_TEST_CASE("second-order effects are the published code's", "", backends) {
  const auto name = GENERATE(as<std::string>{}, "tiny-a", "tiny-b", "tiny-c");
  const auto& f = tiny(name);
  for (index_t layer = 0; layer + 1 < f.model.layers(); ++layer) {
    INFO(name << ", layer " << layer);
    layer_lens<TestType> lens(f, layer, convention::reference);
    const matrix& published = f.reference.at("second_order." + std::to_string(layer));
    CHECK(relative_difference<double, double>(lens.effects(), published) < 2e-5);
  }
}

TEMPLATE_LIST_TEST_CASE("the terms of later heads are the published code's and sum to the effect",
                        "", backends) {
  using B = TestType;
  const auto [name, layer] =
      GENERATE(table<std::string, index_t>({{"tiny-a", 1}, {"tiny-b", 3}, {"tiny-c", 1}}));
  const auto& f = tiny(name);
  const matrix& published = f.reference.at("second_order_terms." + std::to_string(layer));
  layer_lens<B> lens(f, layer, convention::reference);
  const matrix terms = lens.terms();
  const auto first = terms.view().slice(0, 0, published.extent(1)).permuted({1, 0, 2, 3});
  CHECK(relative_difference<double, double>(first, published) < 2e-5);

  const auto how = GENERATE(convention::centered, convention::reference);
  layer_lens<B> again(f, layer, how);
  const matrix parts = again.terms();
  matrix sum(shape{parts.extent(0), parts.extent(2), parts.extent(3)}, 0.0);
  for (index_t k = 0; k < parts.extent(1); ++k) {
    reference_backend<double>{}.axpby(1, parts.view().select(1, k), 1, sum);
  }
  CHECK(relative_difference<double, double>(sum, again.effects()) <
        identity_bound<typename B::scalar>);
}

TEMPLATE_LIST_TEST_CASE("effects of selected neurons are those written out", "", backends) {
  using B = TestType;
  const auto how = GENERATE(convention::centered, convention::reference);
  const auto layer = GENERATE(index_t{0}, index_t{2});
  const auto& f = tiny("tiny-a");
  const std::vector<index_t> chosen{200, 3, 3, 77};
  layer_lens<B> lens(f, layer, how, chosen);
  const matrix terms = lens.terms(), effects = lens.effects();
  matrix expected(terms.extents()), total(effects.extents(), 0.0);
  for (index_t image = 0; image < lens.images(); ++image) {
    for (index_t j = 0; j < 4; ++j) {
      const auto writes =
          neuron_writes(f.model, f.trace, image, layer, chosen[static_cast<std::size_t>(j)], how);
      for (index_t k = 0; k < lens.map.n_sources(); ++k) {
        const vector term = second_order_term(
            f.model, f.trace, image, writes, static_cast<double>(f.model.neurons()),
            layer + 1 + k / f.model.heads, k % f.model.heads, how);
        std::copy(term.begin(), term.end(), &expected(image, k, j, 0));
        for (index_t e = 0; e < total.extent(2); ++e) {
          total(image, j, e) += term[static_cast<std::size_t>(e)];
        }
      }
    }
  }
  CHECK(relative_difference<double, double>(terms, expected) < identity_bound<typename B::scalar>);
  CHECK(relative_difference<double, double>(effects, total) < identity_bound<typename B::scalar>);
}

TEMPLATE_LIST_TEST_CASE("the neurons and the output bias make up the whole MLP's effect", "",
                        backends) {
  using B = TestType;
  const auto how = GENERATE(convention::centered, convention::reference);
  const auto layer = GENERATE(index_t{0}, index_t{3});
  const auto& f = tiny("tiny-b");
  layer_lens<B> lens(f, layer, how);
  const matrix effects = lens.effects();
  matrix sum(shape{effects.extent(0), effects.extent(2)}, 0.0), whole(sum.extents(), 0.0);
  for (index_t n = 0; n < effects.extent(1); ++n) {
    reference_backend<double>{}.axpby(1, effects.view().select(1, n), 1, sum);
  }
  if (how == convention::centered) {  // else each neuron holds its share of the bias
    lens_block_weights<B> bias_writer = lens.in.weights.blocks[static_cast<std::size_t>(layer)];
    bias_writer.writer_directions = bias_writer.writer_bias.repeated(1);
    auto weights = lens.in.weights;
    weights.blocks[static_cast<std::size_t>(layer)] = bias_writer;
    second_order_map<B> bias(lens.be, lens.heads, weights, layer);
    auto one = lens.be.allocate(shape{1});
    lens.be.fill(1, one.view());
    const const_view_of<B> always(one.view().data(), {lens.images(), f.trace.tokens(), 1},
                                  {0, 0, 0});
    auto s = lens.be.allocate(shape{lens.images(), bias.n_sources(), 1});
    auto out = lens.be.allocate(shape{lens.images(), 1, bias.d_joint()});
    bias.coefficients(lens.be, lens.routes, always, s.view());
    bias.effects(lens.be, std::as_const(s).view(), {}, out.view());
    reference_backend<double>{}.axpby(
        1, get(lens.be, std::as_const(out).view()).view().select(1, 0), 1, sum);
  }
  for (index_t image = 0; image < lens.images(); ++image) {
    // The MLP's output, not split: one writer with the whole bias and all the shares.
    std::vector<vector> added(static_cast<std::size_t>(f.trace.tokens()));
    for (index_t t = 0; t < f.trace.tokens(); ++t) {
      const double* p = &f.trace.at(layer).neurons(image, t, 0);
      added[static_cast<std::size_t>(t)] = plain_linear(
          f.model.at(layer).proj_weight, f.model.at(layer).proj_bias, {p, p + f.model.neurons()});
    }
    for (index_t k = 0; k < lens.map.n_sources(); ++k) {
      const vector term = second_order_term(f.model, f.trace, image, added, 1,
                                            layer + 1 + k / f.model.heads, k % f.model.heads, how);
      for (index_t e = 0; e < whole.extent(1); ++e) {
        whole(image, e) += term[static_cast<std::size_t>(e)];
      }
    }
  }
  CHECK(relative_difference<double, double>(sum, whole) < identity_bound<typename B::scalar>);
}

TEMPLATE_LIST_TEST_CASE("Gram matrices and projections say of coefficients what effects say", "",
                        backends) {
  using B = TestType;
  const auto& f = tiny("tiny-c");
  layer_lens<B> lens(f, 0, convention::centered);
  auto& [be, in, heads, routes, map] = lens;
  const index_t images = lens.images(), n = map.n_writers(), k = map.n_sources(), e = map.d_joint();
  const matrix effects = lens.effects();
  const auto coefficients = lens.coefficients();
  const matrix s = get(be, coefficients.view());

  auto grams = be.allocate(shape{n, k, k}), projected = be.allocate(shape{n, k});
  auto pulled = be.allocate(shape{3, k, n});
  const matrix r = random_tensor<double>(shape{n, e}, 1);
  const auto on_backend = put(be, r.view());
  map.grams(be, grams.view());
  map.project(be, on_backend.view(), projected.view());
  map.pull_back(be, on_backend.view().slice(0, 0, 3), pulled.view());
  const matrix g = get(be, std::as_const(grams).view()),
               d = get(be, std::as_const(projected).view());
  const matrix q = get(be, std::as_const(pulled).view());

  matrix from_effects(shape{images, n, 5}, 0.0), from_coefficients(from_effects.extents(), 0.0);
  for (index_t i = 0; i < images; ++i) {
    for (index_t j = 0; j < n; ++j) {
      for (index_t c = 0; c < e; ++c) {
        const double x = effects(i, j, c);
        from_effects(i, j, 0) += x * x;
        from_effects(i, j, 1) += x * r(j, c);
        for (index_t row = 0; row < 3; ++row) from_effects(i, j, 2 + row) += x * r(row, c);
      }
      for (index_t a = 0; a < k; ++a) {
        for (index_t b = 0; b < k; ++b) {
          from_coefficients(i, j, 0) += s(i, a, j) * g(j, a, b) * s(i, b, j);
        }
        from_coefficients(i, j, 1) += s(i, a, j) * d(j, a);
        for (index_t row = 0; row < 3; ++row) {
          from_coefficients(i, j, 2 + row) += s(i, a, j) * q(row, a, j);
        }
      }
    }
  }
  for (index_t part = 0; part < 5; ++part) {
    CHECK(relative_difference<double, double>(from_coefficients.view().select(2, part),
                                              from_effects.view().select(2, part)) <
          identity_bound<typename B::scalar>);
  }
}

TEMPLATE_LIST_TEST_CASE("projections split over tokens", "", backends) {
  using B = TestType;
  layer_lens<B> lens(tiny("tiny-a"), 1, convention::centered);
  auto& [be, in, heads, routes, map] = lens;
  const index_t n = map.n_writers(), k = map.n_sources(), images = lens.images();
  const matrix u = get(be, routes.after(1)), p = get(be, lens.writers());
  const matrix s = get(be, lens.coefficients().view());
  const matrix r = random_tensor<double>(shape{n, k}, 3);
  const auto q = put(be, r.view());
  auto by_token = be.allocate(shape{images, n, p.extent(1)});
  map.project_by_token(be, routes, lens.writers(), q.view(), by_token.view());

  matrix expected(shape{images, n, p.extent(1)}, 0.0), whole(shape{images, n}, 0.0);
  matrix sums(whole.extents(), 0.0);
  const matrix found = get(be, std::as_const(by_token).view());
  for (index_t i = 0; i < images; ++i) {
    for (index_t j = 0; j < n; ++j) {
      for (index_t t = 0; t < p.extent(1); ++t) {
        for (index_t h = 0; h < k; ++h) expected(i, j, t) += u(i, h, t) * p(i, t, j) * r(j, h);
        sums(i, j) += found(i, j, t);
      }
      for (index_t h = 0; h < k; ++h) whole(i, j) += s(i, h, j) * r(j, h);
    }
  }
  CHECK(relative_difference<double, double>(found.view(), expected.view()) <
        identity_bound<typename B::scalar>);
  CHECK(relative_difference<double, double>(sums.view(), whole.view()) <
        identity_bound<typename B::scalar>);
  CHECK_THROWS_AS(
      map.project_by_token(be, routes, lens.writers().slice(2, 1, n), q.view(), by_token.view()),
      shape_error);
}

TEMPLATE_LIST_TEST_CASE("any writer will do: sparse features with random directions", "",
                        backends) {
  using B = TestType;
  const auto& f = tiny("tiny-a");
  layer_lens<B> lens(f, 1, convention::centered);
  auto& [be, in, heads, routes, map] = lens;
  // Feature j is 1 at token j of every image and 0 elsewhere, so that its coefficients are the
  // routes themselves; features 0 and 1 have opposite directions.
  const index_t features = 5, tokens = f.trace.tokens(), images = lens.images();
  matrix active(shape{images, tokens, features}, 0.0);
  for (index_t i = 0; i < images; ++i) {
    for (index_t j = 0; j < features; ++j) active(i, j, j) = 1;
  }
  matrix directions = random_tensor<double>(shape{features, f.model.width()}, 7);
  for (index_t c = 0; c < f.model.width(); ++c) directions(1, c) = -directions(0, c);
  auto weights = in.weights;
  weights.blocks[1].writer_directions = in.keep(be, directions);
  weights.blocks[1].writer_bias = {};
  second_order_map<B> feature_map(be, heads, weights, 1);
  auto s = be.allocate(shape{images, feature_map.n_sources(), features});
  feature_map.coefficients(be, routes, in.keep(be, active), s.view());
  const matrix coefficients = get(be, std::as_const(s).view());
  CHECK(relative_difference<double, double>(coefficients,
                                            get(be, routes.after(1)).view().slice(2, 0, features)) <
        identity_bound<typename B::scalar>);

  auto d = be.allocate(shape{features, feature_map.n_sources(), feature_map.d_joint()});
  feature_map.directions(be, 0, features, d.view());
  const matrix seen = get(be, std::as_const(d).view());
  matrix opposite(seen.extents().without(0));
  reference_backend<double>{}.axpby(-1, seen.view()[0], 0, opposite);
  CHECK(relative_difference<double, double>(seen.view()[1], opposite) <
        identity_bound<typename B::scalar>);
}

TEMPLATE_LIST_TEST_CASE("coefficients may be laid out writer by writer", "", backends) {
  using B = TestType;
  layer_lens<B> lens(tiny("tiny-c"), 1, convention::centered);
  auto by_writer =
      lens.be.allocate(shape{lens.map.n_writers(), lens.images(), lens.map.n_sources()});
  const auto expected = lens.coefficients();
  const auto as_asked = by_writer.view().permuted({1, 2, 0});
  lens.map.coefficients(lens.be, lens.routes, lens.writers(), as_asked);
  CHECK(relative_difference<double, double>(get(lens.be, const_view_of<B>(as_asked)),
                                            get(lens.be, expected.view())) <
        identity_bound<typename B::scalar>);
}

TEMPLATE_LIST_TEST_CASE("what does not fit is refused by name", "", backends) {
  using B = TestType;
  const auto& f = tiny("tiny-a");
  layer_lens<B> lens(f, 1, convention::reference);
  auto& [be, in, heads, routes, map] = lens;
  using Catch::Matchers::Contains;
  const std::vector<index_t> beyond{0, 256};
  CHECK_THROWS_AS((second_order_map<B>(be, heads, in.weights, 3)), argument_error);
  CHECK_THROWS_AS((second_order_map<B>(be, heads, in.weights, -1)), argument_error);
  CHECK_THROWS_WITH((second_order_map<B>(be, heads, in.weights, 1, beyond)),
                    Contains("below 256") && Contains("got 256"));

  auto s = be.allocate(shape{lens.images(), map.n_sources(), map.n_writers()});
  attention_routes<B> late;
  late.update(be, in.activations, 3);
  CHECK_THROWS_WITH(map.coefficients(be, late, lens.writers(), s.view()), Contains("from 3 on"));
  CHECK_THROWS_WITH(map.coefficients(be, routes, lens.writers().slice(1, 0, 4), s.view()),
                    Contains("blocks.1.writers"));
  CHECK_THROWS_AS(late.update(be, in.activations, 4), argument_error);

  auto wrong = in.activations;
  wrong.blocks[2].ln_1_scale = {};
  CHECK_THROWS_WITH(late.update(be, wrong, 2), Contains("blocks.2.ln_1_scale"));
  wrong = in.activations;
  wrong.blocks[3].class_attention = in.activations.blocks[3].class_attention.slice(1, 0, 2);
  CHECK_THROWS_WITH(late.update(be, wrong, 2), Contains("blocks.3.class_attention"));
  wrong = in.activations;
  wrong.ln_post_scale = {};
  CHECK_THROWS_WITH(late.update(be, wrong, 2), Contains("ln_post_scale"));
}
