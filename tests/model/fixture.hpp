#pragma once

#include <cstdint>  // std::uint64_t
#include <cstring>  // std::memcpy
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <solens/model/config.hpp>
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

}  // namespace solens::test
