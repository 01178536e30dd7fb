#include <string>
#include <vector>

#include <solens/model/vision_tower.hpp>

#include <support/backends.hpp>
#include <support/test.hpp>

#include "fixture.hpp"

using namespace solens;
using namespace solens::test;

namespace {

/// A fixture's model and images on a backend, with a pass over them.
template <class B>
struct setup {
  using scalar = typename B::scalar;

  explicit setup(const std::string& name)
      : file(name + ".ref.safetensors"), tower(make_tower(name)), images(upload("images")) {}

  vision_tower<B> make_tower(const std::string& name) {
    fixture_model<B> model(be, name);
    return {model.vision.config, std::move(model.vision.weights)};
  }
  typename B::tensor upload(const std::string& name) {
    const host_tensor<scalar> host = file.get<scalar>(name);
    typename B::tensor result = be.allocate(host.extents());
    be.upload(host, result.view());
    return result;
  }
  host_tensor<scalar> download(const_view_of<B> x) const {
    host_tensor<scalar> result(x.extents());
    be.download(x, result.view());
    return result;
  }
  index_t n() const { return images.extent(0); }

  /// Everything that is kept of a pass over the first `count` images.
  activation_cache<B> run(const std::vector<site>& sites, index_t count = -1) {
    if (count < 0) count = n();
    activation_cache<B> cache = tower.make_cache(be, n(), sites);
    auto work = tower.make_workspace(be, n());
    typename B::tensor out = be.allocate({count, tower.d_joint()});
    tower.forward(be, std::as_const(images).view().slice(0, 0, count), work, out.view(), &cache);
    representation = download(out.view());
    return cache;
  }

  B be;
  fixture_file file;
  vision_tower<B> tower;
  typename B::tensor images;
  host_tensor<scalar> representation;
};

std::vector<site> wide_sites(const vision_config& c) {
  std::vector<site> sites;
  for (const site_info& info : site_table) {
    for (index_t l = 0; l < (info.in_block() ? c.n_layers : 1); ++l) {
      sites.push_back({info.kind, l, false});
    }
  }
  return sites;
}

}  // namespace

// The fixtures are float32 numbers: 1e-6 of the largest magnitude is their own rounding, summed
// over a few layers; in float ours comes on top.
TEMPLATE_LIST_TEST_CASE("the vision tower gives the published model's numbers", "", cpu_backends) {
  using scalar = typename TestType::scalar;
  const std::string name = GENERATE("tiny-a", "tiny-b", "tiny-c");
  setup<TestType> s(name);
  const double tolerance = bound<scalar>(1e-6, 1e-5);
  const activation_cache<TestType> cache = s.run(wide_sites(s.tower.config()));
  const auto check = [&](const site& at, host_view<const scalar> expected) {
    INFO(name << " " << to_string(at));
    CHECK(relative_difference<scalar, scalar>(s.download(cache.at(at)), expected) <= tolerance);
  };
  const host_tensor<scalar> residual = s.file.template get<scalar>("residual_stream");
  const host_tensor<scalar> attention = s.file.template get<scalar>("attention");
  const host_tensor<scalar> neurons = s.file.template get<scalar>("mlp_post_act");
  for (index_t l = 0; l < s.tower.config().n_layers; ++l) {
    check({site_kind::resid_pre, l}, residual.view()[l]);
    check({site_kind::pattern, l}, attention.view()[l]);
    check({site_kind::mlp_post, l}, neurons.view()[l]);
    check({site_kind::resid_post, l}, residual.view()[l + 1]);
  }
  check({site_kind::representation}, s.file.template get<scalar>("representation"));
}
