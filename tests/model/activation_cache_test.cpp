#include <vector>

#include <solens/model/activation_cache.hpp>

#include <support/backends.hpp>
#include <support/test.hpp>

using namespace solens;
using namespace solens::test;

namespace {

constexpr site_extents small{.n_layers = 2,
                             .n_images = 4,
                             .n_heads = 3,
                             .n_tokens = 5,
                             .d_head = 2,
                             .d_model = 6,
                             .d_mlp = 7,
                             .d_joint = 8};

}  // namespace

TEMPLATE_LIST_TEST_CASE("a cache holds what was asked for and nothing else", "", cpu_backends) {
  const TestType be;
  const std::vector<site> asked{
      {site_kind::mlp_post, 1}, {site_kind::representation}, {site_kind::mlp_post, 1}};
  activation_cache<TestType> cache(be, small, asked);
  CHECK(cache.sites() == std::vector<site>{{site_kind::mlp_post, 1}, {site_kind::representation}});
  for (const site_info& info : site_table) {
    for (const bool narrow : {false, true}) {
      const site s{info.kind, info.in_block() ? 1 : 0, narrow};
      const bool wanted = s == asked[0] || s == asked[1];
      CHECK(cache.keeps(s) == wanted);
      CHECK((cache.slot(s).rank() > 0) == wanted);
    }
  }
  CHECK_THROWS_AS(cache.at("blocks.0.mlp.hook_post"), argument_error);
}

TEMPLATE_LIST_TEST_CASE("a smaller batch gives smaller views of the same memory", "",
                        cpu_backends) {
  const TestType be;
  const std::vector<site> asked{{site_kind::values, 0}};
  activation_cache<TestType> cache(be, small, asked);
  cache.begin_batch(4);
  const auto* memory = cache.at(asked[0]).data();
  CHECK(cache.at(asked[0]).extents() == shape{4, 5, 3, 2});
  cache.begin_batch(3);
  CHECK(cache.at("blocks.0.attn.hook_v").extents() == shape{3, 5, 3, 2});
  CHECK(cache.at(asked[0]).data() == memory);
  CHECK_THROWS_AS(cache.begin_batch(5), shape_error);
}

TEMPLATE_LIST_TEST_CASE("a class token's row is found in what all tokens left", "", cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be;
  const std::vector<site> asked{{site_kind::pattern, 0}, {site_kind::mlp_post, 0}};
  activation_cache<TestType> cache(be, small, asked);
  cache.begin_batch(4);
  const auto pattern = random_tensor<scalar>({4, 3, 5, 5}, 1);
  const auto neurons = random_tensor<scalar>({4, 5, 7}, 2);
  be.upload(pattern, cache.slot(asked[0]));
  be.upload(neurons, cache.slot(asked[1]));
  const auto row = [&](const site& s) { return on_host(be, cache.at(s)); };
  CHECK(relative_difference<scalar, scalar>(row({site_kind::pattern, 0, true}),
                                            pattern.view().select(2, 0)) == 0);
  CHECK(relative_difference<scalar, scalar>(row({site_kind::mlp_post, 0, true}),
                                            neurons.view().select(1, 0)) == 0);
  CHECK(cache.find({site_kind::mlp_out, 0, true}).rank() == 0);
}

TEST_CASE("a cache refuses sites that the tower has not") {
  const reference_backend<float> be;
  const auto make = [&](const site& s) {
    activation_cache<reference_backend<float>>(be, small, std::vector{s});
  };
  CHECK_THROWS_AS(make({site_kind::mlp_post, 2}), argument_error);
  CHECK_THROWS_AS(make({site_kind::mlp_post, -1}), argument_error);
  CHECK_THROWS_AS(make({site_kind::representation, 1}), argument_error);
  CHECK_THROWS_AS(make({site_kind::keys, 0, true}), argument_error);
}
