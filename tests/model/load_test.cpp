#include "support/test.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <solens/backend/reference.hpp>
#include <solens/model/load.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

using namespace solens;
using Catch::Matchers::Contains;
using backend = reference_backend<float>;

namespace {

/// Tensors under names: what a file of weights is, to be changed and written.
using tensors = std::map<std::string, host_tensor<float>>;

tensors tiny_a() {
  tensors result;
  const safetensors_file file(test::data("tiny-a.model.safetensors"));
  for (const tensor_info& info : file.tensors()) {
    host_tensor<float> x(info.extents.rank() == 0 ? shape{1} : info.extents);
    file.read(info.name, host_view<float>(x.data(), info.extents));
    result.emplace(info.name, std::move(x));
  }
  return result;
}

void write(const std::filesystem::path& path, const tensors& all) {
  std::vector<named_tensor> list;
  for (const auto& [name, x] : all) {
    const bool scalar = name == "logit_scale";
    list.push_back({name, host_view<const float>(x.data(), scalar ? shape{} : x.extents())});
  }
  write_safetensors(path, list);
}

/// Moves tensors to other names: those that begin with `from`.
void rename(tensors& all, const std::string& from, const std::string& to) {
  tensors result;
  for (auto& [name, x] : all) {
    const bool moved = name.rfind(from, 0) == 0;
    result.emplace(moved ? to + name.substr(from.size()) : name, std::move(x));
  }
  all = std::move(result);
}

host_tensor<float> transposed(const host_tensor<float>& x) {
  host_tensor<float> y(shape{x.extent(1), x.extent(0)});
  backend().copy(x.view().transposed(), y.view());
  return y;
}

/// in_proj_{weight,bias} of every block in three, under `spell(part, kind)`.
void split_qkv(tensors& all,
               const std::function<std::string(const char* part, const char* kind)>& spell) {
  tensors result;
  for (auto& [name, x] : all) {
    const auto at = name.find("in_proj_");
    if (at == std::string::npos) {
      result.emplace(name, std::move(x));
      continue;
    }
    const index_t rows = x.extent(0) / 3;
    const char* parts[] = {"q", "k", "v"};
    for (index_t i = 0; i < 3; ++i) {
      const auto part = x.view().slice(0, i * rows, (i + 1) * rows);
      host_tensor<float> copy(part.extents());
      backend().copy(part, copy.view());
      const char* kind = x.rank() == 2 ? "weight" : "bias";
      result.emplace(name.substr(0, at) + spell(parts[i], kind), std::move(copy));
    }
  }
  all = std::move(result);
}

/// The same weights under Hugging Face's names.
tensors as_hugging_face(tensors all) {
  split_qkv(
      all, [](const std::string& part, const std::string& kind) { return part + "_proj." + kind; });
  rename(all, "visual.transformer.resblocks.", "vision_model.encoder.layers.");
  rename(all, "transformer.resblocks.", "text_model.encoder.layers.");
  tensors result;
  for (auto& [name, x] : all) {
    std::string to = name;
    for (const auto& [ours, theirs] :
         std::vector<std::pair<std::string, std::string>>{{".attn.", ".self_attn."},
                                                          {".ln_1.", ".layer_norm1."},
                                                          {".ln_2.", ".layer_norm2."},
                                                          {".c_fc.", ".fc1."},
                                                          {".c_proj.", ".fc2."}}) {
      if (const auto at = to.find(ours); at != std::string::npos)
        to.replace(at, ours.size(), theirs);
    }
    result.emplace(to, std::move(x));
  }
  const auto projection = [&](const char* from, const char* to) {
    result.emplace(to, transposed(result.at(from)));
    result.erase(from);
  };
  projection("visual.proj", "visual_projection.weight");
  projection("text_projection", "text_projection.weight");
  rename(result, "visual.conv1.", "vision_model.embeddings.patch_embedding.");
  rename(result, "visual.class_embedding", "vision_model.embeddings.class_embedding");
  rename(result, "visual.positional_embedding",
         "vision_model.embeddings.position_embedding.weight");
  rename(result, "visual.ln_pre.", "vision_model.pre_layrnorm.");
  rename(result, "visual.ln_post.", "vision_model.post_layernorm.");
  rename(result, "token_embedding.", "text_model.embeddings.token_embedding.");
  rename(result, "positional_embedding", "text_model.embeddings.position_embedding.weight");
  rename(result, "ln_final.", "text_model.final_layer_norm.");
  return result;
}

const char* const hugging_face_json = R"({"model_type": "clip", "projection_dim": 32,
  "vision_config": {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 4,
    "num_attention_heads": 4, "image_size": 32, "patch_size": 8, "hidden_act": "quick_gelu"},
  "text_config": {"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 3,
    "num_attention_heads": 2, "vocab_size": 1000, "max_position_embeddings": 77,
    "eos_token_id": 2}})";

const std::string tiny_json = test::read_file(test::data("tiny-a.config.json"));

void check_same(const host_tensor<float>& a, const host_tensor<float>& b) {
  CHECK(test::relative_difference<float, float>(a.view(), b.view()) == 0);
}

void check_same(const std::vector<block_weights<backend>>& a,
                const std::vector<block_weights<backend>>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    check_same(a[i].ln_1_weight, b[i].ln_1_weight);
    check_same(a[i].ln_1_bias, b[i].ln_1_bias);
    check_same(a[i].qkv_weight, b[i].qkv_weight);
    check_same(a[i].qkv_bias, b[i].qkv_bias);
    check_same(a[i].out_weight, b[i].out_weight);
    check_same(a[i].out_bias, b[i].out_bias);
    check_same(a[i].ln_2_weight, b[i].ln_2_weight);
    check_same(a[i].ln_2_bias, b[i].ln_2_bias);
    check_same(a[i].fc_weight, b[i].fc_weight);
    check_same(a[i].fc_bias, b[i].fc_bias);
    check_same(a[i].proj_weight, b[i].proj_weight);
    check_same(a[i].proj_bias, b[i].proj_bias);
  }
}

void check_same(const clip_weights<backend>& a, const clip_weights<backend>& b) {
  REQUIRE(a.vision.has_value() == b.vision.has_value());
  REQUIRE(a.text.has_value() == b.text.has_value());
  if (a.vision) {
    check_same(a.vision->patch_weight, b.vision->patch_weight);
    check_same(a.vision->class_embedding, b.vision->class_embedding);
    check_same(a.vision->positional_embedding, b.vision->positional_embedding);
    check_same(a.vision->ln_pre_weight, b.vision->ln_pre_weight);
    check_same(a.vision->ln_pre_bias, b.vision->ln_pre_bias);
    check_same(a.vision->blocks, b.vision->blocks);
    check_same(a.vision->ln_post_weight, b.vision->ln_post_weight);
    check_same(a.vision->ln_post_bias, b.vision->ln_post_bias);
    check_same(a.vision->projection, b.vision->projection);
  }
  if (a.text) {
    check_same(a.text->token_embedding, b.text->token_embedding);
    check_same(a.text->positional_embedding, b.text->positional_embedding);
    check_same(a.text->blocks, b.text->blocks);
    check_same(a.text->ln_final_weight, b.text->ln_final_weight);
    check_same(a.text->ln_final_bias, b.text->ln_final_bias);
    check_same(a.text->projection, b.text->projection);
  }
  CHECK(a.logit_scale == b.logit_scale);
}

clip_model<backend> load_tiny_a() {
  return load_clip(backend(), test::data("tiny-a.model.safetensors"));
}

/// A folder with weights and a configuration.
class model_folder {
 public:
  model_folder(const tensors& weights, const std::string& config_name, const std::string& config) {
    write(folder_ / "model.safetensors", weights);
    if (!config_name.empty()) test::write_file(folder_ / config_name, config);
  }
  const std::filesystem::path& path() const { return folder_.path(); }
  clip_model<backend> load(const towers& wanted = {}) const {
    return load_clip(backend(), path(), wanted);
  }

 private:
  test::temporary_folder folder_;
};

}  // namespace

TEST_CASE("a model under open_clip's names, its configuration beside it") {
  const auto model = load_tiny_a();
  const clip_config& c = model.config;
  CHECK(c.layout == "open_clip");
  CHECK(c.d_joint == 32);
  CHECK(c.vision.n_layers == 4);
  CHECK(c.vision.n_heads == 4);
  CHECK(c.vision.d_mlp == 256);
  CHECK(c.vision.n_tokens() == 17);
  CHECK(c.vision.act == activation::quick_gelu);
  REQUIRE(c.text);
  CHECK(c.text->vocab_size == 1000);
  CHECK_FALSE(c.text->end_token);

  const tensors raw = tiny_a();
  REQUIRE(model.weights.vision);
  const auto& patch = model.weights.vision->patch_weight;
  const auto& conv = raw.at("visual.conv1.weight");
  CHECK(patch.extents() == shape{64, 192});
  CHECK(patch(5, 64 + 8 * 3 + 2) == conv(5, 1, 3, 2));
  CHECK(model.weights.vision->projection(3, 7) == raw.at("visual.proj")(3, 7));
  CHECK(model.weights.text->blocks[2].qkv_weight(70, 9) ==
        raw.at("transformer.resblocks.2.attn.in_proj_weight")(70, 9));
  REQUIRE(model.weights.logit_scale);
  CHECK(*model.weights.logit_scale == raw.at("logit_scale")(0));
}

TEST_CASE("the same weights under Hugging Face's names") {
  auto all = as_hugging_face(tiny_a());
  all.emplace("vision_model.embeddings.position_ids", host_tensor<float>({1, 17}, 0.0f));
  const model_folder folder(all, "config.json", hugging_face_json);
  const auto model = folder.load();
  CHECK(model.config.layout == "Hugging Face");
  CHECK(model.config.vision.act == activation::quick_gelu);
  CHECK_FALSE(model.config.text->end_token);  // 2 is the old files' mistake
  check_same(model.weights, load_tiny_a().weights);
}

TEST_CASE("the same weights with queries, keys and values apart under open_clip's names") {
  auto all = tiny_a();
  split_qkv(all, [](const std::string& part, const std::string& kind) {
    return part + "_proj" + (kind == "weight" ? "_weight" : ".bias");
  });
  const model_folder folder(all, "open_clip_config.json", "{\"model_cfg\": " + tiny_json + "}");
  check_same(folder.load().weights, load_tiny_a().weights);
}

TEST_CASE("the same weights with a text tower of its own and a linear projection") {
  auto all = tiny_a();
  all.emplace("text_projection.weight", transposed(all.at("text_projection")));
  all.erase("text_projection");
  for (const char* part : {"text_projection.weight", "positional_embedding", "token_embedding",
                           "transformer.", "ln_final"}) {
    rename(all, part, "text." + std::string(part));
  }
  const model_folder folder(all, "open_clip_config.json", tiny_json);
  check_same(folder.load().weights, load_tiny_a().weights);
}

TEST_CASE("weights in several files with an index") {
  auto all = as_hugging_face(tiny_a());
  const test::temporary_folder folder;
  tensors parts[2];
  std::string map;
  for (auto& [name, x] : all) {
    const std::size_t i = name < "vision" ? 0 : 1;
    map +=
        (map.empty() ? "\"" : ",\"") + name + "\":\"part-" + std::to_string(i) + ".safetensors\"";
    parts[i].emplace(name, std::move(x));
  }
  write(folder / "part-0.safetensors", parts[0]);
  write(folder / "part-1.safetensors", parts[1]);
  const auto index = folder / "model.safetensors.index.json";
  test::write_file(index, R"({"metadata": {}, "weight_map": {)" + map + "}}");
  test::write_file(folder / "config.json", hugging_face_json);
  check_same(load_clip(backend(), folder.path()).weights, load_tiny_a().weights);

  test::write_file(index, R"({"weight_map": {"a": "../part-0.safetensors"}})");
  CHECK_THROWS_WITH(load_clip(backend(), folder.path()),
                    Contains("a file beside it") && Contains("index.json: a"));
  test::write_file(index, R"({"weight_map": {"a": "part-0.safetensors"}})");
  CHECK_THROWS_WITH(load_clip(backend(), folder.path()),
                    Contains("the tensor in") && Contains("index.json: a"));
  test::write_file(index, R"({"weight_map": {"logit_scale": "part-0.safetensors"}})");
  CHECK_THROWS_WITH(load_clip(backend(), folder.path()), Contains("once in the index"));
  test::write_file(index, R"({"weight_map": {"a": "part-2.safetensors"}})");
  CHECK_THROWS_WITH(load_clip(backend(), folder.path()), Contains("part-2.safetensors"));
}

TEST_CASE("OpenAI's names without a configuration: the shapes say it") {
  auto all = tiny_a();
  for (const char* name : {"input_resolution", "context_length", "vocab_size"}) {
    all.emplace(name, host_tensor<float>({1}, 1.0f));
  }
  // OpenAI's text towers are as wide as heads of 64 allow; this one is made so.
  const model_folder whole(all, "", "");
  CHECK_THROWS_WITH(whole.load(),
                    Contains("a multiple of 64, got 32") && Contains("ln_final.weight"));
  for (auto it = all.begin(); it != all.end();) {
    const bool text = it->first.rfind("visual.", 0) != 0 && it->first != "logit_scale";
    it = text ? all.erase(it) : std::next(it);
  }
  const model_folder vision(all, "", "");
  const auto model = vision.load();
  CHECK(model.config.layout == "OpenAI");
  CHECK(model.config.d_joint == 32);
  CHECK(model.config.vision.n_layers == 4);
  CHECK(model.config.vision.n_heads == 1);
  CHECK(model.config.vision.d_mlp == 256);
  CHECK(model.config.vision.patch_size == 8);
  CHECK(model.config.vision.image_size == 32);
  CHECK(model.config.vision.act == activation::quick_gelu);
  CHECK_FALSE(model.config.text);
  check_same(model.weights.vision->blocks, load_tiny_a().weights.vision->blocks);
}

TEST_CASE("a configuration that is named wins over the one beside the weights") {
  const test::temporary_folder folder;
  auto json = tiny_json;
  json.replace(json.find("true"), 4, "false");
  test::write_file(folder / "other.json", json);
  const auto model =
      load_clip(backend(), test::data("tiny-a.model.safetensors"), {}, folder / "other.json");
  CHECK(model.config.vision.act == activation::gelu);
}

TEST_CASE("one tower alone is loaded when one is asked for") {
  const auto path = test::data("tiny-a.model.safetensors");
  const auto vision = load_clip(backend(), path, {.text = false});
  CHECK(vision.weights.vision);
  CHECK_FALSE(vision.weights.text);
  const auto text = load_clip(backend(), path, {.vision = false});
  CHECK_FALSE(text.weights.vision);
  CHECK(text.weights.text);
}

TEST_CASE("Hugging Face's towers with projection") {
  const auto all = as_hugging_face(tiny_a());
  const auto part = [&](const std::string& a, const std::string& b) {
    tensors result;
    for (const auto& [name, x] : all) {
      if (name.rfind(a, 0) == 0 || name.rfind(b, 0) == 0) result.emplace(name, x.clone());
    }
    return result;
  };
  const auto whole = load_tiny_a();
  const model_folder vision(
      part("vision_model.", "visual_projection"), "config.json",
      R"({"model_type": "clip_vision_model", "projection_dim": 32, "hidden_size": 64,
          "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
          "image_size": [32, 32], "patch_size": 8, "layer_norm_eps": 1e-6, "hidden_act": "gelu_new"})");
  const auto v = vision.load();
  CHECK_FALSE(v.config.text);
  CHECK_FALSE(v.weights.logit_scale);
  CHECK(v.config.vision.eps == 1e-6);
  CHECK(v.config.vision.act == activation::gelu_tanh);
  check_same(v.weights.vision->projection, whole.weights.vision->projection);

  const model_folder text(
      part("text_model.", "text_projection"), "config.json",
      R"({"model_type": "clip_text_model", "projection_dim": 32, "hidden_size": 32,
          "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2,
          "vocab_size": 1000, "eos_token_id": 999, "hidden_act": "gelu"})");
  const auto t = text.load();
  CHECK(t.config.text->end_token == 999);
  CHECK(t.config.text->act == activation::gelu);
  CHECK_FALSE(t.weights.vision);
  check_same(t.weights.text->projection, whole.weights.text->projection);
}

TEST_CASE("everything missing, misshapen and unknown is listed in one error") {
  auto all = tiny_a();
  all.erase("visual.proj");
  all.erase("transformer.resblocks.1.attn.in_proj_bias");
  all.insert_or_assign("visual.ln_pre.weight", host_tensor<float>({63}, 0.0f));
  all.emplace("visual.extra", host_tensor<float>({2, 2}, 0.0f));
  const model_folder folder(all, "open_clip_config.json", tiny_json);
  CHECK_THROWS_AS(folder.load(), format_error);
  CHECK_THROWS_WITH(folder.load(),
                    Contains("4 faults") && Contains("no visual.proj, expected [64, 32]") &&
                        Contains("no transformer.resblocks.1.attn.in_proj_bias, expected [96]") &&
                        Contains("visual.ln_pre.weight: expected [64], found [63]") &&
                        Contains("unknown visual.extra [2, 2]") && Contains("model.safetensors"));
  // Also where the tower at fault is not asked for.
  CHECK_THROWS_WITH(folder.load({.vision = false}), Contains("4 faults"));
}

TEST_CASE("a missing weight under Hugging Face's names is called as they call it") {
  auto all = as_hugging_face(tiny_a());
  for (const char* part : {"q", "k", "v"}) {
    all.erase("vision_model.encoder.layers.0.self_attn." + std::string(part) + "_proj.bias");
  }
  const model_folder folder(all, "config.json", hugging_face_json);
  CHECK_THROWS_WITH(
      folder.load(),
      Contains("3 faults: no vision_model.encoder.layers.0.self_attn.q_proj.bias, expected [64]"));
}

TEST_CASE("weights that are not floating-point numbers are refused") {
  const test::temporary_folder folder;
  auto all = tiny_a();
  all.erase("visual.ln_pre.weight");
  const host_tensor<index_t> integers({64}, 1);
  std::vector<named_tensor> list{{"visual.ln_pre.weight", integers.view()}};
  for (const auto& [name, x] : all) list.push_back({name, x.view()});
  write_safetensors(folder / "tiny.safetensors", list);
  test::write_file(folder / "tiny.config.json", tiny_json);
  CHECK_THROWS_WITH(load_clip(backend(), folder.path()),
                    Contains("visual.ln_pre.weight: expected floating-point numbers, found int64"));
}

TEST_CASE("a configuration that disagrees with the weights") {
  const auto refused = [](const std::string& from, const std::string& to, const std::string& text) {
    auto json = tiny_json;
    REQUIRE(json.find(from) != std::string::npos);
    json.replace(json.find(from), from.size(), to);
    const test::temporary_folder folder;
    test::write_file(folder / "c.json", json);
    CHECK_THROWS_WITH(
        load_clip(backend(), test::data("tiny-a.model.safetensors"), {}, folder / "c.json"),
        Contains(text));
  };
  refused("\"image_size\": 32", "\"image_size\": 40",
          "visual.positional_embedding: expected [26, 64], found [17, 64]");
  refused("\"layers\": 4", "\"layers\": 3",
          "unknown visual.transformer.resblocks.3.attn.in_proj_bias");
  refused("\"layers\": 4", "\"layers\": 5", "no visual.transformer.resblocks.4.ln_1.weight");
  refused("\"layers\": 4", "\"layers\": 900000000", "900000000 layers, as configured");
  refused("\"mlp_ratio\": 4.0", "\"mlp_ratio\": 2.0", "c_fc.bias: expected [128], found [256]");
  refused("\"embed_dim\": 32", "\"embed_dim\": 31",
          "visual.proj: expected [64, 31], found [64, 32]");
  refused("\"vocab_size\": 1000", "\"vocab_size\": 999",
          "token_embedding.weight: expected [999, 32]");
  refused("\"head_width\": 16", "\"head_width\": 20", "heads that divide the width 64");
}

TEST_CASE("architectures that are not CLIP's are refused by what they are") {
  const test::temporary_folder folder;
  const host_tensor<float> x({2}, 0.0f);
  const auto refused = [&](const char* tensor, const char* text) {
    write_safetensors(folder / "x.safetensors", {{tensor, x.view()}});
    CHECK_THROWS_AS(load_clip(backend(), folder / "x.safetensors"), not_supported);
    CHECK_THROWS_WITH(load_clip(backend(), folder / "x.safetensors"),
                      Contains(text) && Contains("x.safetensors"));
  };
  refused("visual.layer1.0.conv1.weight", "a ResNet");
  refused("visual.trunk.blocks.0.attn.qkv.weight", "a tower of timm");
  refused("bert.embeddings.word_embeddings.weight", "'bert.embeddings.word_embeddings.weight'");
}

TEST_CASE("folders without what is needed") {
  const test::temporary_folder folder;
  CHECK_THROWS_AS(load_clip(backend(), folder / "missing"), io_error);
  CHECK_THROWS_WITH(load_clip(backend(), folder.path()),
                    Contains("model.safetensors") && Contains(folder.path().string()));
  write(folder / "a.safetensors", as_hugging_face(tiny_a()));
  CHECK_THROWS_WITH(load_clip(backend(), folder.path()),
                    Contains("config.json beside the weights"));
  write(folder / "b.safetensors", {});
  CHECK_THROWS_WITH(load_clip(backend(), folder.path()),
                    Contains("2: a.safetensors, b.safetensors"));
  CHECK_THROWS_WITH(load_clip(backend(), folder / "b.safetensors"), Contains("no tensors"));
}
