#include <vector>

#include <solens/model/lens_views.hpp>

#include <support/backends.hpp>
#include <support/test.hpp>

#include "fixture.hpp"

using namespace solens;
using namespace solens::test;

namespace {

/// A sum of a few hundred terms, in another order than the tower's.
template <class T>
constexpr double reordering = bound<T>(1e-13, 1e-5);

template <class B>
host_tensor<typename B::scalar> rows_of_class_token(const vision_run<B>& run,
                                                    const activation_cache<B>& cache,
                                                    site_kind kind, index_t layer) {
  return run.download(cache.at({kind, layer, true}));
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("the lens sees the attention's output as a sum over heads and tokens", "",
                        cpu_backends) {
  using scalar = typename TestType::scalar;
  vision_run<TestType> run("tiny-b");
  std::vector<site> sites = decomposition_sites(run.tower.config());
  sites.push_back({site_kind::attn_out, 3, true});
  const auto cache = run.pass(sites);
  const auto weights = lens_weights_of(run.tower);
  const auto activations = lens_activations_of(cache);
  const auto attention = run.download(activations.blocks[3].class_attention);
  const auto values = run.download(activations.blocks[3].values);
  const auto output = run.download(weights.blocks[3].output_weight);
  const auto bias = run.download(weights.blocks[3].output_bias);
  const auto expected = rows_of_class_token(run, cache, site_kind::attn_out, 3);
  host_tensor<scalar> sum(expected.extents());
  for (index_t i = 0; i < sum.extent(0); ++i) {
    for (index_t c = 0; c < sum.extent(1); ++c) {
      double x = static_cast<double>(bias(c));
      for (index_t h = 0; h < attention.extent(1); ++h) {
        for (index_t t = 0; t < attention.extent(2); ++t) {
          for (index_t d = 0; d < values.extent(3); ++d) {
            x += static_cast<double>(attention(i, h, t)) * static_cast<double>(values(i, t, h, d)) *
                 static_cast<double>(output(h, c, d));
          }
        }
      }
      sum(i, c) = static_cast<scalar>(x);
    }
  }
  CHECK(relative_difference<scalar, scalar>(sum, expected) <= reordering<scalar>);
}

TEMPLATE_LIST_TEST_CASE("the lens sees values as maps of the normalised stream", "", cpu_backends) {
  using scalar = typename TestType::scalar;
  vision_run<TestType> run("tiny-c");
  const auto cache = run.pass({{site_kind::ln_1_normalized, 1}, {site_kind::values, 1}});
  const auto weights = lens_weights_of(run.tower);
  const auto x = run.download(cache.at({site_kind::ln_1_normalized, 1}));
  const auto map = run.download(weights.blocks[1].value_weight);
  const auto bias = run.download(weights.blocks[1].value_bias);
  const auto values = run.download(lens_activations_of(cache).blocks[1].values);
  host_tensor<scalar> expected(values.extents());
  for (index_t i = 0; i < values.extent(0); ++i) {
    for (index_t t = 0; t < values.extent(1); ++t) {
      for (index_t h = 0; h < values.extent(2); ++h) {
        for (index_t d = 0; d < values.extent(3); ++d) {
          double sum = static_cast<double>(bias(h, d));
          for (index_t c = 0; c < x.extent(2); ++c) {
            sum += static_cast<double>(map(h, d, c)) * static_cast<double>(x(i, t, c));
          }
          expected(i, t, h, d) = static_cast<scalar>(sum);
        }
      }
    }
  }
  CHECK(relative_difference<scalar, scalar>(values, expected) <= reordering<scalar>);
}

TEMPLATE_LIST_TEST_CASE("the lens sees the MLP's output as a sum over neurons", "", cpu_backends) {
  using scalar = typename TestType::scalar;
  vision_run<TestType> run("tiny-a");
  const auto cache = run.pass({{site_kind::mlp_post, 2}, {site_kind::mlp_out, 2, true}});
  const auto weights = lens_weights_of(run.tower);
  const auto activations = lens_activations_of(cache);
  const auto neurons = run.download(activations.blocks[2].writers);
  const auto directions = run.download(weights.blocks[2].writer_directions);
  const auto bias = run.download(weights.blocks[2].writer_bias);
  const auto out = run.download(activations.blocks[2].mlp_out);
  host_tensor<scalar> sum(out.extents());
  for (index_t i = 0; i < sum.extent(0); ++i) {
    for (index_t c = 0; c < sum.extent(1); ++c) {
      double x = static_cast<double>(bias(c));
      for (index_t n = 0; n < neurons.extent(2); ++n) {
        x += static_cast<double>(neurons(i, 0, n)) * static_cast<double>(directions(n, c));
      }
      sum(i, c) = static_cast<scalar>(x);
    }
  }
  CHECK(relative_difference<scalar, scalar>(sum, out) <= reordering<scalar>);
}

TEST_CASE("the lists of sites hold what the lens reads and no more") {
  vision_run<reference_backend<float>> run("tiny-a");
  const auto second = run.pass(second_order_sites(run.tower.config(), {1, 2}));
  const auto a = lens_activations_of(second);
  for (std::size_t l = 0; l < 4; ++l) {
    INFO("layer " << l);
    CHECK((a.blocks[l].writers.rank() == 3) == (l == 1 || l == 2));
    CHECK((a.blocks[l].class_attention.rank() == 3) == (l >= 2));
    CHECK((a.blocks[l].ln_1_mean.rank() == 2) == (l >= 2));
    CHECK((a.blocks[l].ln_1_scale.rank() == 2) == (l >= 2));
    CHECK(a.blocks[l].values.rank() == 0);
    CHECK(a.blocks[l].mlp_out.rank() == 0);
  }
  CHECK(a.ln_post_mean.extents() == shape{4});
  CHECK(a.ln_post_scale.extents() == shape{4});
  CHECK(a.representation.extents() == shape{4, 32});
  CHECK(a.embedding.rank() == 0);
  CHECK_THROWS_AS(second_order_sites(run.tower.config(), {3}), argument_error);

  const auto direct = run.pass(decomposition_sites(run.tower.config()));
  const auto d = lens_activations_of(direct);
  CHECK(d.embedding.extents() == shape{4, 64});
  for (const auto& block : d.blocks) {
    CHECK(block.values.extents() == shape{4, 17, 4, 16});
    CHECK(block.class_attention.extents() == shape{4, 4, 17});
    CHECK(block.mlp_out.extents() == shape{4, 64});
    CHECK(block.writers.rank() == 0);
  }
}
