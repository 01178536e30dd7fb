#include "support/test.hpp"

#include <string>

#include <solens/model/config_json.hpp>

using namespace solens;
using Catch::Matchers::Contains;

namespace {

clip_config parse(const std::string& json) { return parse_clip_config(json, "c.json"); }

std::string open_clip(const std::string& vision, const std::string& text = "{}",
                      const std::string& more = "") {
  return R"({"embed_dim": 512, "vision_cfg": )" + vision + R"(, "text_cfg": )" + text + more + "}";
}

template <class E>
void refused(const std::string& json, const std::string& text) {
  CHECK_THROWS_AS(parse(json), E);
  CHECK_THROWS_WITH(parse(json), Contains(text) && Contains("c.json"));
}

}  // namespace

TEST_CASE("configuration: open_clip's defaults are ViT-B/16's") {
  const clip_config c = parse(open_clip("{}"));
  CHECK(c.d_joint == 512);
  CHECK(c.vision.n_layers == 12);
  CHECK(c.vision.n_heads == 12);
  CHECK(c.vision.d_model == 768);
  CHECK(c.vision.d_mlp == 3072);
  CHECK(c.vision.patch_size == 16);
  CHECK(c.vision.act == activation::gelu);
  CHECK(c.vision.eps == 1e-5);
  CHECK(c.text->n_heads == 8);
  CHECK(c.text->vocab_size == 49408);
}

TEST_CASE("configuration: open_clip's options that CLIP can have") {
  const clip_config c =
      parse(R"({"model_cfg": )" +
            open_clip(R"({"head_width": 88, "width": 1408, "mlp_ratio": 4.3637, "patch_size": 14,
                    "norm_kwargs": {"eps": 1e-06}, "act_kwargs": {"approximate": "tanh"}})",
                      R"({"pool_type": "eos", "eos_id": 7, "context_length": 32})",
                      R"(, "custom_text": true, "init_logit_bias": -10)") +
            R"(, "preprocess_cfg": {}})");
  CHECK(c.vision.n_heads == 16);
  CHECK(c.vision.d_mlp == 6144);
  CHECK(c.vision.eps == 1e-6);
  CHECK(c.vision.act == activation::gelu_tanh);
  CHECK(c.text->act == activation::gelu);
  CHECK(c.text->eps == 1e-5);
  CHECK(c.text->end_token == 7);
  CHECK(c.text->context_length == 32);
}

TEST_CASE("configuration: open_clip's options of other architectures are refused by name") {
  for (const char* option :
       {R"("timm_model_name": "convnext_base")", R"("ls_init_value": 0.0001)",
        R"("attentional_pool": true)", R"("no_ln_pre": true)", R"("pool_type": "avg")",
        R"("final_ln_after_pool": true)", R"("qk_norm": true)", R"("pos_embed_type": "sin_cos_2d")",
        R"("some_new_option": 1)", R"("image_size": [224, 112])"}) {
    const std::string text(option);
    refused<not_supported>(open_clip("{" + text + "}"),
                           "c.json/vision_cfg/" + text.substr(1, text.find('"', 1) - 1));
  }
  for (const char* option :
       {R"("hf_model_name": "roberta-base")", R"("no_causal_mask": true)", R"("embed_cls": true)",
        R"("pool_type": "last")", R"("proj_type": "none")", R"("proj_bias": true)"}) {
    const std::string text(option);
    refused<not_supported>(open_clip("{}", "{" + text + "}"),
                           "c.json/text_cfg/" + text.substr(1, text.find('"', 1) - 1));
  }
  refused<not_supported>(open_clip("{}", "{}", R"(, "multimodal_cfg": {})"), "multimodal_cfg");
  refused<format_error>(open_clip(R"({"layers": [3, 4, 6, 3]})"), "got [3,4,6,3]");
  refused<not_supported>(
      open_clip(R"({"act_kwargs": {"approximate": "tanh"}})", "{}", R"(, "quick_gelu": true)"),
      "act_kwargs");
}

TEST_CASE("configuration: options that are off are no obstacle") {
  CHECK_NOTHROW(parse(
      open_clip(R"({"timm_model_name": null, "ls_init_value": null, "attentional_pool": false})")));
}

TEST_CASE("configuration: transformers' defaults are ViT-B/32's") {
  const clip_config c = parse(R"({"model_type": "clip"})");
  CHECK(c.layout == "Hugging Face");
  CHECK(c.vision.patch_size == 32);
  CHECK(c.vision.act == activation::quick_gelu);
  CHECK(c.text->d_mlp == 2048);
  CHECK(c.text->end_token == 49407);
  CHECK(c.d_joint == 512);
}

TEST_CASE("configuration: transformers' older files, where a second object wins") {
  const clip_config c = parse(R"({"model_type": "clip",
      "vision_config": {"hidden_size": 32, "num_hidden_layers": 2},
      "vision_config_dict": {"hidden_size": 1024, "num_attention_heads": 16},
      "text_config_dict": null, "text_config": {"eos_token_id": 2}})");
  CHECK(c.vision.d_model == 1024);
  CHECK(c.vision.n_layers == 12);
  CHECK_FALSE(c.text->end_token);
}

TEST_CASE("configuration: activations by their names in transformers") {
  const auto act = [](const std::string& name) {
    return parse(R"({"model_type": "clip_vision_model", "hidden_act": ")" + name + "\"}")
        .vision.act;
  };
  CHECK(act("quick_gelu") == activation::quick_gelu);
  CHECK(act("gelu") == activation::gelu);
  CHECK(act("gelu_new") == activation::gelu_tanh);
  CHECK(act("gelu_pytorch_tanh") == activation::gelu_tanh);
  refused<not_supported>(R"({"model_type": "clip_vision_model", "hidden_act": "relu"})",
                         "\"relu\"");
}

TEST_CASE("configuration: what is none") {
  refused<not_supported>(R"({"model_type": "siglip"})", "\"siglip\" (c.json/model_type)");
  refused<format_error>("{}", "neither");
  refused<format_error>("not json", "JSON");
  refused<format_error>("[]", "a JSON object, got array");
  refused<format_error>(R"({"model_type": "clip", "model_type": "clip"})", "'model_type' twice");
  refused<format_error>(R"({"embed_dim": 512, "vision_cfg": 3})", "an object, got number");
  refused<format_error>(R"({"vision_cfg": {}, "text_cfg": {}})", "got nothing (c.json/embed_dim)");
}

TEST_CASE("configuration: numbers that make no sense") {
  refused<format_error>(open_clip(R"({"mlp_ratio": 1e300})"), "mlp_ratio");
  refused<format_error>(open_clip("{}", R"({"mlp_ratio": 1e-9})"), "mlp_ratio");
  for (const char* value : {"0", "-3", "2.5", "1e30", "\"8\"", "18446744073709551615"}) {
    refused<format_error>(
        R"({"model_type": "clip", "vision_config": {"hidden_size": )" + std::string(value) + "}}",
        "c.json/vision_config/hidden_size");
  }
  refused<not_supported>(R"({"model_type": "clip", "text_config": {"num_attention_heads": 7}})",
                         "divide the width 512, got 7");
  refused<format_error>(R"({"model_type": "clip", "vision_config": {"layer_norm_eps": 0}})",
                        "a positive number, got 0");
  refused<format_error>(R"({"model_type": "clip", "vision_config": {"patch_size": 300}})",
                        "no larger than the image");
  refused<not_supported>(R"({"model_type": "clip", "vision_config": {"num_channels": 4}})",
                         "got 4");
}
