#pragma once

#include <cmath>    // std::abs
#include <cstdint>  // std::uint64_t
#include <cstring>  // std::memcpy
#include <string>
#include <type_traits>
#include <utility>  // std::as_const, std::move
#include <vector>

#include <nlohmann/json.hpp>

#include <solens/model/vision_tower.hpp>
#include <solens/model/weights.hpp>

#include <support/test.hpp>

namespace solens::test {

/// A safetensors file of tests/data, trusted.
class fixture_file {
 public:
  explicit fixture_file(const std::string& name) : bytes_(read_file(data(name))) {
    std::uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), sizeof length);
    start_ = 8 + length;
    header_ = nlohmann::json::parse(bytes_.substr(8, length));
  }

  bool contains(const std::string& name) const { return header_.contains(name); }

  template <class T>
  host_tensor<T> get(const std::string& name) const {
    const nlohmann::json& entry = header_.at(name);
    const auto extents = entry.at("shape").get<std::vector<index_t>>();
    host_tensor<T> result{shape(extents)};
    const char* from = bytes_.data() + start_ + entry.at("data_offsets")[0].get<std::size_t>();
    for (index_t i = 0; i < result.size(); ++i) {
      if (entry.at("dtype") == "I64") {
        std::int64_t value;
        std::memcpy(&value, from + i * 8, 8);
        result.data()[i] = static_cast<T>(value);
      } else {
        float value;
        std::memcpy(&value, from + i * 4, 4);
        result.data()[i] = static_cast<T>(value);
      }
    }
    return result;
  }

 private:
  std::string bytes_;
  std::size_t start_ = 0;
  nlohmann::json header_;
};

/// One of the three small models of tests/data, on a backend.
template <tensor_backend B>
class fixture_model {
 public:
  using scalar = typename B::scalar;

  fixture_model(const B& be, const std::string& name)
      : be_(be), file_(name + ".model.safetensors") {
    const nlohmann::json json = nlohmann::json::parse(read_file(data(name + ".config.json")));
    const auto transformer = [&](const nlohmann::json& from, index_t heads) {
      const auto width = from.at("width").get<index_t>();
      return transformer_config{
          .n_layers = from.at("layers").get<index_t>(),
          .n_heads = heads,
          .d_model = width,
          .d_mlp = 4 * width,
          .act = json.at("quick_gelu").get<bool>() ? activation::quick_gelu : activation::gelu,
          .eps = 1e-5};
    };
    const nlohmann::json &v = json.at("vision_cfg"), &t = json.at("text_cfg");
    const auto head_width = v.at("head_width").get<index_t>();
    vision.config = {transformer(v, v.at("width").get<index_t>() / head_width),
                     v.at("image_size").get<index_t>(), v.at("patch_size").get<index_t>()};
    text.config = {transformer(t, t.at("heads").get<index_t>()),
                   t.at("context_length").get<index_t>(), t.at("vocab_size").get<index_t>(),
                   std::nullopt};
    load_vision();
    if (file_.contains("text_projection")) load_text();
  }

  struct {
    vision_config config;
    vision_weights<B> weights;
  } vision;
  struct {
    text_config config;
    text_weights<B> weights;
  } text;

 private:
  typename B::tensor get(const std::string& name, const shape& as = {}) const {
    const host_tensor<scalar> host = file_.get<scalar>(name);
    const shape extents = as.rank() == 0 ? host.extents() : as;
    typename B::tensor result = be_.allocate(extents);
    be_.upload(host.view().reshaped(extents), result.view());
    return result;
  }

  std::vector<block_weights<B>> blocks(const std::string& prefix, index_t n) const {
    std::vector<block_weights<B>> result;
    for (index_t l = 0; l < n; ++l) {
      const std::string p = prefix + "transformer.resblocks." + std::to_string(l) + ".";
      result.push_back({get(p + "ln_1.weight"), get(p + "ln_1.bias"),
                        get(p + "attn.in_proj_weight"), get(p + "attn.in_proj_bias"),
                        get(p + "attn.out_proj.weight"), get(p + "attn.out_proj.bias"),
                        get(p + "ln_2.weight"), get(p + "ln_2.bias"), get(p + "mlp.c_fc.weight"),
                        get(p + "mlp.c_fc.bias"), get(p + "mlp.c_proj.weight"),
                        get(p + "mlp.c_proj.bias")});
    }
    return result;
  }

  void load_vision() {
    const vision_config& c = vision.config;
    vision.weights = {get("visual.conv1.weight", {c.d_model, 3 * c.patch_size * c.patch_size}),
                      get("visual.class_embedding"),
                      get("visual.positional_embedding"),
                      get("visual.ln_pre.weight"),
                      get("visual.ln_pre.bias"),
                      blocks("visual.", c.n_layers),
                      get("visual.ln_post.weight"),
                      get("visual.ln_post.bias"),
                      get("visual.proj")};
  }

  void load_text() {
    text.weights = {get("token_embedding.weight"),
                    get("positional_embedding"),
                    blocks("", text.config.n_layers),
                    get("ln_final.weight"),
                    get("ln_final.bias"),
                    get("text_projection")};
  }

  B be_;
  fixture_file file_;
};

/// A fixture's vision tower and images on a backend, and what a pass over them leaves.
template <class B>
struct vision_run {
  using scalar = typename B::scalar;

  explicit vision_run(const std::string& name)
      : file(name + ".ref.safetensors"),
        tower(make_tower(name)),
        images(upload(file.get<scalar>("images"))),
        work(tower.make_workspace(be, n())) {}

  index_t n() const { return images.extent(0); }

  typename B::tensor upload(host_view<const scalar> from) const {
    typename B::tensor result = be.allocate(from.extents());
    be.upload(from, result.view());
    return result;
  }
  host_tensor<scalar> download(const_view_of<B> from) const {
    host_tensor<scalar> result(from.extents());
    be.download(from, result.view());
    return result;
  }

  /// A pass over the images in [from, to); the representation stays in `representation`.
  activation_cache<B> pass(const std::vector<site>& sites, index_t from, index_t to) {
    activation_cache<B> cache = tower.make_cache(be, n(), sites);
    typename B::tensor out = be.allocate({to - from, tower.d_joint()});
    tower.forward(be, std::as_const(images).view().slice(0, from, to), work, out.view(), &cache);
    representation = download(std::as_const(out).view());
    return cache;
  }
  activation_cache<B> pass(const std::vector<site>& sites) { return pass(sites, 0, n()); }

  B be;
  fixture_file file;
  vision_tower<B> tower;
  typename B::tensor images;
  typename vision_tower<B>::workspace work;
  host_tensor<scalar> representation;

 private:
  vision_tower<B> make_tower(const std::string& name) const {
    fixture_model<B> model(be, name);
    return {model.vision.config, std::move(model.vision.weights)};
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
