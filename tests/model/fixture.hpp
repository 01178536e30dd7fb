#pragma once

#include <cmath>  // std::abs
#include <string>
#include <type_traits>
#include <utility>  // std::as_const, std::move
#include <vector>

#include <nlohmann/json.hpp>

#include <solens/model/load.hpp>
#include <solens/model/vision_tower.hpp>
#include <solens/weights/safetensors.hpp>

#include <support/backends.hpp>
#include <support/test.hpp>

namespace solens::test {

/// One of the three small models of tests/data, on a backend. Only tiny-a's file has the text
/// tower that all three configurations name.
template <tensor_backend B>
clip_model<B> fixture_model(const B& be, const std::string& name) {
  clip_source source = open_clip_model(data(name + ".model.safetensors"));
  if (name != "tiny-a") source.config.text.reset();
  return {source.config, load_weights(be, source.weights, source.config)};
}

/// A fixture's vision tower and images on a backend, and what a pass over them leaves.
template <class B>
struct vision_run {
  using scalar = typename B::scalar;

  explicit vision_run(const std::string& name)
      : file(data(name + ".ref.safetensors")),
        tower(make_tower(name)),
        images(on_backend(be, file.tensor<scalar>("images"))),
        work(tower.make_workspace(be, n())) {}

  index_t n() const { return std::as_const(images).view().extent(0); }

  host_tensor<scalar> download(const_view_of<B> from) const { return on_host(be, from); }

  /// A pass over the images in [from, to); the representation stays in `representation`.
  activation_cache<B> pass(const std::vector<site>& sites, index_t from, index_t to) {
    activation_cache<B> cache = tower.make_cache(be, n(), sites);
    typename B::tensor out = be.allocate({to - from, tower.d_joint()});
    tower.forward(be, std::as_const(images).view().slice(0, from, to), work, out.view(), &cache);
    representation = on_host(be, out.view());
    return cache;
  }
  activation_cache<B> pass(const std::vector<site>& sites) { return pass(sites, 0, n()); }

  B be;
  safetensors_file file;
  vision_tower<B> tower;
  typename B::tensor images;
  typename vision_tower<B>::workspace work;
  host_tensor<scalar> representation;

 private:
  vision_tower<B> make_tower(const std::string& name) const {
    clip_model<B> model = fixture_model(be, name);
    return {model.config.vision, std::move(*model.weights.vision)};
  }
};

/// Every site of a tower, either with all its tokens or, where offered, the class token's row.
inline std::vector<site> all_sites(const vision_config& c, bool class_token) {
  std::vector<site> sites;
  for (const site_info& info : site_table) {
    if (class_token && !info.narrow) continue;
    for (index_t l = 0; l < (info.in_block() ? c.n_layers : 1); ++l) {
      sites.push_back({info.kind, l, class_token});
    }
  }
  return sites;
}

/// How far the fixtures' float32 numbers are from exact ones (tests/reference/tower_noise.py).
inline double fixture_noise(const std::string& fixture, const std::string& stage) {
  return nlohmann::json::parse(read_file(data("tower_noise.json"))).at(fixture).at(stage);
}

/// The parity of one stage. In double we differ from the fixture by its own rounding, and by no
/// more than 1e-9 besides; in float by 1e-5 at most.
template <class T>
void check_stage(const std::string& fixture, const std::string& stage, host_view<const T> ours,
                 host_view<const T> expected) {
  INFO(fixture << " " << stage);
  const double difference = relative_difference<T, T>(ours, expected);
  if constexpr (std::is_same_v<T, double>) {
    CHECK(std::abs(difference - fixture_noise(fixture, stage)) <= 1e-9);
  } else {
    CHECK(difference <= 1e-5);
  }
}

}  // namespace solens::test
