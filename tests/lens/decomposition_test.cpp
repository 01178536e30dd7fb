#include "support/test.hpp"

#include <solens/lens/decomposition.hpp>
#include <solens/lens/direct.hpp>

#include "lens/backends.hpp"
#include "lens/oracle.hpp"
#include "lens/tiny_clip.hpp"

using namespace solens;
using namespace solens::test;
using Catch::Matchers::Contains;

namespace {

/// Every part added up, [n_images, d_joint].
template <class B>
matrix sum_of(const B& be, const residual_decomposition<B>& parts) {
  const matrix attention = get(be, parts.attention.view()), mlp = get(be, parts.mlp.view());
  matrix sum(shape{mlp.extent(0), mlp.extent(2)}, 0.0);
  const auto add = [&](const matrix& x) {
    const index_t n = x.size() / sum.size();
    for (index_t i = 0; i < x.size(); ++i) {
      const index_t e = i % sum.extent(1), image = i / (sum.extent(1) * n);
      sum(image, e) += x.data()[i];
    }
  };
  add(attention);
  add(mlp);
  if (parts.attention_bias) add(get(be, std::as_const(*parts.attention_bias).view()));
  if (parts.bias) add(get(be, std::as_const(*parts.bias).view()));
  return sum;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("the direct decomposition is the published code's", "", backends) {
  using B = TestType;
  const auto name = GENERATE(as<std::string>{}, "tiny-a", "tiny-b", "tiny-c");
  const auto& f = tiny(name);
  const B be = make_backend<B>();
  const auto in = upload(be, f.model, f.trace);
  const head_maps<B> heads(be, in.weights, convention::reference);
  residual_decomposer<B> decomposer(heads);
  const auto parts = decomposer.decompose(be, in.activations);
  CHECK(relative_difference<double, double>(get(be, parts.attention.view()),
                                            f.reference.at("first_order_attentions")) < 2e-5);
  CHECK(relative_difference<double, double>(get(be, parts.mlp.view()),
                                            f.reference.at("first_order_mlps")) < 2e-5);
  CHECK_FALSE(parts.attention_bias.has_value());
  CHECK_FALSE(parts.bias.has_value());
}

TEMPLATE_LIST_TEST_CASE("all parts sum to the representation", "", backends) {
  using B = TestType;
  const auto how = GENERATE(convention::centered, convention::reference);
  const auto name = GENERATE(as<std::string>{}, "tiny-a", "tiny-b");
  const bool raw = GENERATE(false, true);
  const auto& f = tiny(name);
  const B be = make_backend<B>();
  const auto in = upload(be, f.model, f.trace);
  const head_maps<B> heads(be, in.weights, how);
  residual_decomposer<B> decomposer(heads, raw ? std::nullopt : std::optional(100.0));
  matrix expected = f.trace.representation.clone();
  for (index_t i = 0; !raw && i < f.trace.images(); ++i) {
    const double scale = 100 / norm_of(f.trace.representation, i);
    for (index_t e = 0; e < expected.extent(1); ++e) expected(i, e) *= scale;
  }
  for (int batch = 0; batch < 2; ++batch) {  // the second one reuses the workspace
    CHECK(relative_difference<double, double>(sum_of(be, decomposer.decompose(be, in.activations)),
                                              expected) < identity_bound<typename B::scalar>);
  }
}

TEMPLATE_LIST_TEST_CASE("parts are those written out", "", backends) {
  using B = TestType;
  const auto how = GENERATE(convention::centered, convention::reference);
  const auto& f = tiny("tiny-c");
  const auto& m = f.model;
  const B be = make_backend<B>();
  const auto in = upload(be, m, f.trace);
  const head_maps<B> heads(be, in.weights, how);
  residual_decomposer<B> decomposer(heads);
  const auto parts = decomposer.decompose(be, in.activations);
  const matrix attention = get(be, parts.attention.view()), mlp = get(be, parts.mlp.view());
  const index_t image = 1, layer = 2, tokens = f.trace.tokens();
  const auto sources = static_cast<double>(2 * m.layers() + 1);
  const auto cells = static_cast<double>(tokens * m.heads);

  matrix expected(shape{tokens, m.heads, m.d_joint()});
  for (index_t t = 0; t < tokens; ++t) {
    for (index_t h = 0; h < m.heads; ++h) {
      vector x(static_cast<std::size_t>(m.width()));
      for (index_t c = 0; c < m.width(); ++c) {
        double& sum = x[static_cast<std::size_t>(c)];
        sum = how == convention::reference ? m.at(layer).out_bias(c) / cells : 0;
        for (index_t i = 0; i < m.d_head(); ++i) {
          sum += m.output_weight(layer, h, c, i) * f.trace.at(layer).attention(image, h, t) *
                 f.trace.at(layer).values(image, t, h, i);
        }
      }
      const vector y = to_representation(m, f.trace, image, x, 1 / (sources * cells), how);
      std::copy(y.begin(), y.end(), &expected(t, h, 0));
    }
  }
  CHECK(relative_difference<double, double>(attention.view()[image][layer], expected) <
        identity_bound<typename B::scalar>);

  const double* out = &f.trace.at(layer).mlp_out(image, 0);
  const vector y = to_representation(m, f.trace, image, {out, out + m.width()}, 1 / sources, how);
  CHECK(relative_difference<double, double>(mlp.view()[image][layer + 1],
                                            host_view<const double>(y.data(), shape{m.d_joint()})) <
        identity_bound<typename B::scalar>);
}

TEMPLATE_LIST_TEST_CASE("the direct effects of neurons sum to their MLP's part", "", backends) {
  using B = TestType;
  const auto how = GENERATE(convention::centered, convention::reference);
  const auto& f = tiny("tiny-a");
  const auto& m = f.model;
  const B be = make_backend<B>();
  const auto in = upload(be, m, f.trace);
  const head_maps<B> heads(be, in.weights, how);
  readout_scales<B> readout;
  readout.update(be, in.activations);
  const index_t images = f.trace.images();
  for (index_t layer = 0; layer < m.layers(); ++layer) {
    const auto& block = in.activations.blocks[static_cast<std::size_t>(layer)];
    direct_map<B> map(be, heads, in.weights, layer);
    auto out = be.allocate(shape{images, m.neurons(), m.d_joint()});
    map.effects(be, readout, in.activations, block.writers, out.view());
    const matrix effects = get(be, std::as_const(out).view());

    matrix sum(shape{images, m.d_joint()}, 0.0), whole(sum.extents());
    for (index_t i = 0; i < images; ++i) {
      vector bias(static_cast<std::size_t>(m.width()));
      std::copy_n(m.at(layer).proj_bias.data(), m.width(), bias.data());
      const vector of_bias = to_representation(m, f.trace, i, bias, 0, how);
      const double* x = &f.trace.at(layer).mlp_out(i, 0);
      const double share = 1 / static_cast<double>(2 * m.layers() + 1);
      const vector y = to_representation(m, f.trace, i, {x, x + m.width()}, share, how);
      for (index_t e = 0; e < m.d_joint(); ++e) {
        for (index_t n = 0; n < m.neurons(); ++n) sum(i, e) += effects(i, n, e);
        if (how == convention::centered) sum(i, e) += of_bias[static_cast<std::size_t>(e)];
        whole(i, e) = y[static_cast<std::size_t>(e)];
      }
    }
    CHECK(relative_difference<double, double>(sum, whole) < identity_bound<typename B::scalar>);

    const std::vector<index_t> chosen{255, 9};
    direct_map<B> few(be, heads, in.weights, layer, chosen);
    auto some = be.allocate(shape{images, 2, m.d_joint()});
    few.effects(be, readout, in.activations, block.writers, some.view());
    const matrix selected = get(be, std::as_const(some).view());
    for (index_t j = 0; j < 2; ++j) {
      CHECK(relative_difference<double, double>(
                selected.view().select(1, j),
                effects.view().select(1, chosen[static_cast<std::size_t>(j)])) <
            identity_bound<typename B::scalar>);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a decomposition names what is missing", "", backends) {
  using B = TestType;
  const auto& f = tiny("tiny-a");
  const B be = make_backend<B>();
  const auto in = upload(be, f.model, f.trace);
  const head_maps<B> heads(be, in.weights, convention::reference);
  residual_decomposer<B> decomposer(heads);
  const auto message = [&](auto change) {
    auto wrong = in.activations;
    change(wrong);
    try {
      decomposer.decompose(be, wrong);
    } catch (const shape_error& e) {
      return std::string(e.what());
    }
    return std::string("nothing");
  };
  CHECK_THAT(message([](auto& a) { a.embedding = {}; }), Contains("(embedding)"));
  CHECK_THAT(message([](auto& a) { a.ln_post_mean = {}; }), Contains("(ln_post_mean)"));
  CHECK_THAT(message([](auto& a) { a.representation = {}; }), Contains("(representation)"));
  CHECK_THAT(message([](auto& a) { a.blocks.pop_back(); }), Contains("(blocks)"));
  CHECK_THAT(message([](auto& a) { a.blocks[1].values = {}; }), Contains("blocks.1.values"));
  CHECK_THAT(message([](auto& a) { a.blocks[2].mlp_out = {}; }), Contains("blocks.2.mlp_out"));

  auto weights = in.weights;
  weights.blocks[1].output_weight = weights.blocks[1].value_weight;
  CHECK_THROWS_WITH((head_maps<B>(be, weights, convention::centered)),
                    Contains("blocks.1.output_weight"));
}
