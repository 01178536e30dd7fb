#include "support/test.hpp"

#include <solens/lens/indirect.hpp>

#include "lens/backends.hpp"
#include "lens/oracle.hpp"
#include "lens/tiny_clip.hpp"

using namespace solens;
using namespace solens::test;
using Catch::Matchers::Contains;

namespace {

/// The rest of the model as the lens asks for it: plain loops behind the backend's views.
template <class B>
auto rest_of(const B& be, const tiny_clip& m, index_t first, index_t& largest_batch) {
  return [&be, &m, &largest_batch, first](view_of<B> streams, view_of<B> representations) {
    largest_batch = std::max(largest_batch, streams.extent(0));
    const tiny_trace trace = plain_forward(m, get(be, const_view_of<B>(streams)), first);
    be.copy(const_view_of<B>(put(be, trace.representation.view()).view()), representations);
  };
}

/// A whole second forward pass with one neuron at its mean.
matrix ablated_representation(const tiny_fixture& f, index_t layer, index_t n, const matrix& mean) {
  matrix z =
      layer + 1 < f.model.layers() ? f.trace.at(layer + 1).stream.clone() : f.trace.stream.clone();
  for (index_t i = 0; i < z.extent(0); ++i) {
    for (index_t t = 0; t < z.extent(1); ++t) {
      for (index_t c = 0; c < z.extent(2); ++c) {
        z(i, t, c) +=
            (mean(t, n) - f.trace.at(layer).neurons(i, t, n)) * f.model.at(layer).proj_weight(c, n);
      }
    }
  }
  return std::move(plain_forward(f.model, std::move(z), layer + 1).representation);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("indirect effects are those of a second forward pass", "", backends) {
  using B = TestType;
  const auto& f = tiny("tiny-a");
  const index_t layer = GENERATE(1, 3);  // the last layer reaches the class token directly
  const bool by_token = GENERATE(true, false);
  const B be = make_backend<B>();
  const auto in = upload(be, f.model, f.trace);
  const head_maps<B> heads(be, in.weights, convention::centered);
  const auto& writers = in.activations.blocks[static_cast<std::size_t>(layer)].writers;

  writer_mean<B> mean;
  mean.add(be, writers.slice(0, 0, 3));
  mean.add(be, writers.slice(0, 3, 4));
  CHECK(mean.n_images() == 4);
  const const_view_of<B> means = by_token ? mean.by_token() : mean.overall(be);
  matrix plain_mean(means.extents(), 0.0);
  const matrix& p = f.trace.at(layer).neurons;
  const index_t tokens = p.extent(1);
  for (index_t n = 0; n < p.extent(2); ++n) {
    double all = 0;
    for (index_t t = 0; t < tokens; ++t) {
      for (index_t i = 0; i < 4; ++i) plain_mean(t, n) += p(i, t, n) / 4;
      all += plain_mean(t, n) / static_cast<double>(tokens);
    }
    for (index_t t = 0; !by_token && t < tokens; ++t) plain_mean(t, n) = all;
  }
  REQUIRE(relative_difference<double, double>(get(be, means), plain_mean) <
          identity_bound<typename B::scalar>);

  const std::vector<index_t> chosen{17, 200, 4};
  indirect_map<B> map(be, heads, in.weights, layer, chosen, {.batch = 2});
  auto out = be.allocate(shape{4, 3, f.model.d_joint()});
  index_t largest_batch = 0;
  const auto streams = put(be, (layer == 3 ? f.trace.stream : f.trace.at(layer + 1).stream).view());
  map.effects(be, in.activations, streams.view(), writers, means,
              rest_of(be, f.model, layer + 1, largest_batch), out.view());
  CHECK(largest_batch == 2);

  matrix expected(shape{4, 3, f.model.d_joint()});
  for (index_t j = 0; j < 3; ++j) {
    const matrix other =
        ablated_representation(f, layer, chosen[static_cast<std::size_t>(j)], plain_mean);
    for (index_t i = 0; i < 4; ++i) {
      const double scale = 100 / norm_of(f.trace.representation, i);
      for (index_t e = 0; e < f.model.d_joint(); ++e) {
        expected(i, j, e) = scale * (f.trace.representation(i, e) - other(i, e));
      }
    }
  }
  // A difference of representations of norm 100: the bound is relative to those.
  const matrix got = get(be, std::as_const(out).view());
  for (index_t i = 0; i < got.size(); ++i) {
    CHECK(std::abs(got.data()[i] - expected.data()[i]) < 100 * identity_bound<typename B::scalar>);
  }
}

TEMPLATE_LIST_TEST_CASE("mean ablation refuses what does not fit", "", backends) {
  using B = TestType;
  const auto& f = tiny("tiny-a");
  const B be = make_backend<B>();
  const auto in = upload(be, f.model, f.trace);
  const head_maps<B> heads(be, in.weights, convention::centered);
  const std::vector<index_t> beyond{256};
  CHECK_THROWS_AS((indirect_map<B>(be, heads, in.weights, 1, beyond, {})), argument_error);
  CHECK_THROWS_AS((indirect_map<B>(be, heads, in.weights, 4, {}, {})), argument_error);
  CHECK_THROWS_AS((indirect_map<B>(be, heads, in.weights, 1, {}, {.batch = 0})), argument_error);

  writer_mean<B> mean;
  CHECK_THROWS_AS(mean.by_token(), argument_error);
  mean.add(be, in.activations.blocks[0].writers);
  CHECK_THROWS_AS(mean.add(be, in.activations.blocks[0].writers.slice(1, 0, 2)), shape_error);

  indirect_map<B> map(be, heads, in.weights, 1, {}, {});
  auto out = be.allocate(shape{4, 256, 32});
  const auto untouched = [](view_of<B>, view_of<B>) { FAIL("ran the model"); };
  CHECK_THROWS_WITH(
      map.effects(be, in.activations, in.activations.blocks[0].values.select(3, 0),
                  in.activations.blocks[1].writers, mean.by_token(), untouched, out.view()),
      Contains("(streams)"));
}
