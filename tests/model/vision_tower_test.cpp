#include <string>
#include <vector>

#include <solens/model/vision_tower.hpp>

#include <support/backends.hpp>
#include <support/test.hpp>

#include "fixture.hpp"

using namespace solens;
using namespace solens::test;

namespace {

/// The same sums in another order, through a few layers.
template <class T>
constexpr double reordering = bound<T>(1e-13, 1e-5);

}  // namespace

TEMPLATE_LIST_TEST_CASE("the vision tower gives the published model's numbers", "", cpu_backends) {
  using scalar = typename TestType::scalar;
  const std::string name = GENERATE("tiny-a", "tiny-b", "tiny-c");
  vision_run<TestType> run(name);
  const auto cache = run.pass(all_sites(run.tower.config(), false));
  const auto check = [&](const std::string& stage, const site& at,
                         host_view<const scalar> fixture) {
    const host_tensor<scalar> ours = run.download(cache.at(at));
    check_stage<scalar>(name, stage, ours, fixture);
  };
  const auto residual = run.file.template tensor<scalar>("residual_stream");
  const auto attention = run.file.template tensor<scalar>("attention");
  const auto neurons = run.file.template tensor<scalar>("mlp_post_act");
  for (index_t l = 0; l < run.tower.config().n_layers; ++l) {
    const std::string layer = std::to_string(l) + ".";
    check(layer + "resid_pre", {site_kind::resid_pre, l}, residual.view()[l]);
    check(layer + "pattern", {site_kind::pattern, l}, attention.view()[l]);
    check(layer + "mlp_post", {site_kind::mlp_post, l}, neurons.view()[l]);
    check(layer + "resid_post", {site_kind::resid_post, l}, residual.view()[l + 1]);
  }
  check("representation", {site_kind::representation},
        run.file.template tensor<scalar>("representation"));
}

TEMPLATE_LIST_TEST_CASE("the class token alone gives what all tokens give", "", cpu_backends) {
  using scalar = typename TestType::scalar;
  vision_run<TestType> run("tiny-c");
  const auto wide = run.pass(all_sites(run.tower.config(), false));
  const host_tensor<scalar> representation = run.representation.clone();
  const auto narrow = run.pass(all_sites(run.tower.config(), true));
  CHECK(relative_difference<scalar, scalar>(run.representation, representation) <=
        reordering<scalar>);
  for (const site& s : narrow.sites()) {
    INFO(to_string(s));
    CHECK(relative_difference<scalar, scalar>(run.download(narrow.at(s)),
                                              run.download(wide.at(s))) <= reordering<scalar>);
  }
}

TEMPLATE_LIST_TEST_CASE("what is kept changes nothing", "", cpu_backends) {
  using scalar = typename TestType::scalar;
  vision_run<TestType> run("tiny-a");
  const auto cache = run.pass(all_sites(run.tower.config(), false), 0, 1);
  for (const site& s : cache.sites()) {
    INFO(to_string(s));
    const auto alone = run.pass({s}, 0, 1);
    CHECK(relative_difference<scalar, scalar>(run.download(alone.at(s)),
                                              run.download(cache.at(s))) <= reordering<scalar>);
  }
}

TEMPLATE_LIST_TEST_CASE("the sites of a block fit together", "", cpu_backends) {
  using scalar = typename TestType::scalar;
  vision_run<TestType> run("tiny-b");
  const auto cache = run.pass(all_sites(run.tower.config(), false));
  const auto value = [&](site_kind kind, index_t l) { return run.download(cache.at({kind, l})); };
  const auto check_sum = [&](site_kind before, site_kind added, site_kind after, index_t l) {
    const auto x = value(before, l), y = value(added, l), sum = value(after, l);
    host_tensor<scalar> expected(x.extents());
    for (index_t i = 0; i < x.size(); ++i) expected.data()[i] = x.data()[i] + y.data()[i];
    CHECK(relative_difference<scalar, scalar>(sum, expected) <= reordering<scalar>);
  };
  for (index_t l = 0; l < run.tower.config().n_layers; ++l) {
    check_sum(site_kind::resid_pre, site_kind::attn_out, site_kind::resid_mid, l);
    check_sum(site_kind::resid_mid, site_kind::mlp_out, site_kind::resid_post, l);
    const auto x = value(site_kind::resid_pre, l), y = value(site_kind::ln_1_normalized, l),
               mean = value(site_kind::ln_1_mean, l), scale = value(site_kind::ln_1_scale, l);
    const auto& w = run.tower.weights().blocks[static_cast<std::size_t>(l)];
    const auto weight = run.download(w.ln_1_weight.view()), bias = run.download(w.ln_1_bias.view());
    host_tensor<scalar> expected(x.extents());
    for (index_t i = 0; i < x.extent(0); ++i) {
      for (index_t t = 0; t < x.extent(1); ++t) {
        for (index_t c = 0; c < x.extent(2); ++c) {
          expected(i, t, c) = (x(i, t, c) - mean(i, t)) / scale(i, t) * weight(c) + bias(c);
        }
      }
    }
    CHECK(relative_difference<scalar, scalar>(y, expected) <= reordering<scalar>);
  }
}

TEMPLATE_LIST_TEST_CASE("an image's results do not depend on its batch", "", cpu_backends) {
  using scalar = typename TestType::scalar;
  vision_run<TestType> run("tiny-a");
  const auto sites = all_sites(run.tower.config(), false);
  const auto whole = run.pass(sites);
  const auto [from, to] =
      GENERATE(std::pair<index_t, index_t>{0, 1}, std::pair<index_t, index_t>{1, 4});
  const auto part = run.pass(sites, from, to);
  for (const site& s : sites) {
    INFO(to_string(s));
    CHECK(relative_difference<scalar, scalar>(run.download(part.at(s)),
                                              run.download(whole.at(s).slice(0, from, to))) <=
          reordering<scalar>);
  }
}

TEMPLATE_LIST_TEST_CASE("a pass may start at any block", "", cpu_backends) {
  using scalar = typename TestType::scalar;
  vision_run<TestType> run("tiny-b");
  const index_t n_layers = run.tower.config().n_layers;
  const auto cache = run.pass(all_sites(run.tower.config(), false));
  const host_tensor<scalar> expected = run.representation.clone();
  auto stream = run.be.allocate(cache.at({site_kind::resid_pre, 0}).extents());
  auto out = run.be.allocate({run.n(), run.tower.d_joint()});
  const auto check = [&](index_t layer, entry at, const site& from) {
    INFO("block " << layer << ", " << to_string(from));
    run.be.copy(cache.at(from), stream.view());
    run.tower.forward_from(run.be, layer, at, stream.view(), run.work, out.view());
    CHECK(relative_difference<scalar, scalar>(run.download(std::as_const(out).view()), expected) <=
          reordering<scalar>);
  };
  for (index_t l = 0; l < n_layers; ++l) {
    check(l, entry::block, {site_kind::resid_pre, l});
    check(l, entry::mlp, {site_kind::resid_mid, l});
  }
  check(n_layers, entry::block, {site_kind::resid_post, n_layers - 1});
}

TEST_CASE("a vision tower names what does not fit") {
  using backend = reference_backend<float>;
  using Catch::Matchers::Contains;
  vision_run<backend> run("tiny-a");
  const auto forward = [&](const shape& pixels, const shape& out) {
    host_tensor<float> x(pixels, 0.0F), y(out);
    run.tower.forward(run.be, std::as_const(x).view(), run.work, y.view());
  };
  CHECK_THROWS_AS(forward({2, 3, 32, 16}, {2, 32}), shape_error);
  CHECK_THROWS_WITH(forward({2, 3, 32, 16}, {2, 32}),
                    Contains("[2, 3, 32, 32]") && Contains("[2, 3, 32, 16]") && Contains("pixels"));
  CHECK_THROWS_WITH(forward({3, 32, 32}, {1, 32}), Contains("pixels"));
  CHECK_THROWS_WITH(forward({5, 3, 32, 32}, {5, 32}), Contains("at most 4 images"));
  CHECK_THROWS_WITH(forward({2, 3, 32, 32}, {2, 31}), Contains("representation"));
  CHECK_NOTHROW(forward({0, 3, 32, 32}, {0, 32}));

  host_tensor<float> stream({4, 17, 64}, 0.0F), out({4, 32});
  const auto from = [&](index_t layer, entry at) {
    run.tower.forward_from(run.be, layer, at, stream.view(), run.work, out.view());
  };
  CHECK_THROWS_AS(from(-1, entry::block), argument_error);
  CHECK_THROWS_AS(from(5, entry::block), argument_error);
  CHECK_THROWS_AS(from(4, entry::mlp), argument_error);
  stream = host_tensor<float>({4, 16, 64}, 0.0F);
  CHECK_THROWS_WITH(from(0, entry::block), Contains("residual"));

  clip_model<backend> model = fixture_model(run.be, "tiny-a");
  model.weights.vision->blocks[2].fc_bias = host_tensor<float>({255});
  CHECK_THROWS_WITH(vision_tower<backend>(model.config.vision, std::move(*model.weights.vision)),
                    Contains("blocks.2.fc_bias") && Contains("[256]") && Contains("[255]"));
}
