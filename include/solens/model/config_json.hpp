#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include <solens/core/json.hpp>
#include <solens/core/mapped_file.hpp>
#include <solens/model/config.hpp>
#include <solens/model/config_fields.hpp>

/// Configurations as Hugging Face's transformers and open_clip write them. Every field that
/// changes the arithmetic is read; what is not CLIP's own arithmetic is refused by name.
namespace solens {

namespace detail {

/// @throws not_supported for a width that its heads do not share evenly
inline void check_heads(const transformer_config& c, const config_fields& f, const char* key) {
  if (c.n_heads < 1 || c.d_model % c.n_heads != 0) {
    f.refuse(key, "heads that divide the width " + std::to_string(c.d_model));
  }
}

inline activation hugging_face_activation(const config_fields& f) {
  const std::string act = f.text("hidden_act", "quick_gelu");
  if (act == "quick_gelu") return activation::quick_gelu;
  if (act == "gelu") return activation::gelu;
  if (act == "gelu_new" || act == "gelu_pytorch_tanh") return activation::gelu_tanh;
  f.refuse("hidden_act", "gelu, quick_gelu, gelu_new or gelu_pytorch_tanh");
}

/// `otherwise` holds transformers' defaults for this tower.
inline transformer_config hugging_face_transformer(const config_fields& f,
                                                   const transformer_config& otherwise) {
  transformer_config c;
  c.n_layers = f.count("num_hidden_layers", otherwise.n_layers);
  c.n_heads = f.count("num_attention_heads", otherwise.n_heads);
  c.d_model = f.count("hidden_size", otherwise.d_model);
  c.d_mlp = f.count("intermediate_size", otherwise.d_mlp);
  c.act = hugging_face_activation(f);
  c.eps = f.positive("layer_norm_eps", 1e-5);
  check_heads(c, f, "num_attention_heads");
  return c;
}

inline vision_config hugging_face_vision(const config_fields& f) {
  vision_config c;
  static_cast<transformer_config&>(c) =
      hugging_face_transformer(f, {.n_layers = 12, .n_heads = 12, .d_model = 768, .d_mlp = 3072});
  c.image_size = f.side("image_size", 224);
  c.patch_size = f.side("patch_size", 32);
  if (c.patch_size > c.image_size) f.wrong("patch_size", "a patch no larger than the image");
  if (f.count("num_channels", 3) != 3) f.refuse("num_channels", "3");
  return c;
}

inline text_config hugging_face_text(const config_fields& f) {
  text_config c;
  static_cast<transformer_config&>(c) =
      hugging_face_transformer(f, {.n_layers = 12, .n_heads = 8, .d_model = 512, .d_mlp = 2048});
  c.context_length = f.count("max_position_embeddings", 77);
  c.vocab_size = f.count("vocab_size", 49408);
  // 2 stands in old files, wrongly, for the end token; transformers then takes the largest id.
  const index_t end = f.count("eos_token_id", 49407);
  if (end != 2) c.end_token = end;
  return c;
}

/// Old files hold the towers twice; transformers lets `<tower>_config_dict` win as a whole.
inline config_fields hugging_face_tower(const config_fields& f, const char* dict, const char* key) {
  static const nlohmann::json all_defaults = nlohmann::json::object();
  if (f.has(dict)) return f.object(dict);
  return f.has(key) ? f.object(key) : config_fields(all_defaults, key);
}

inline clip_config hugging_face_config(const config_fields& f) {
  clip_config c;
  c.layout = "Hugging Face";
  c.d_joint = f.count("projection_dim", 512);
  const std::string type = f.text("model_type", "");
  if (type == "clip") {
    c.vision = hugging_face_vision(hugging_face_tower(f, "vision_config_dict", "vision_config"));
    c.text = hugging_face_text(hugging_face_tower(f, "text_config_dict", "text_config"));
  } else if (type == "clip_vision_model") {
    c.vision = hugging_face_vision(f);
  } else if (type == "clip_text_model") {
    c.text = hugging_face_text(f);
  } else {
    f.refuse("model_type", "clip, clip_vision_model or clip_text_model");
  }
  return c;
}

/// Options of open_clip's blocks that compute something other than CLIP's.
inline void refuse_other_blocks(const config_fields& f) {
  f.must_be_off({"ls_init_value", "qk_norm", "scaled_cosine_attn", "scale_heads",
                 "scale_attn_inner", "scale_attn", "scale_fc", "final_ln_after_pool"});
}

inline activation open_clip_activation(const config_fields& tower, bool quick_gelu) {
  if (!tower.has("act_kwargs")) return quick_gelu ? activation::quick_gelu : activation::gelu;
  const config_fields kwargs = tower.object("act_kwargs");
  kwargs.know_only({"approximate"});
  const std::string kind = kwargs.text("approximate", "none");
  if (quick_gelu) tower.refuse("act_kwargs", "none beside quick_gelu");
  if (kind == "none") return activation::gelu;
  if (kind == "tanh") return activation::gelu_tanh;
  kwargs.refuse("approximate", "none or tanh");
}

inline double open_clip_eps(const config_fields& tower) {
  if (!tower.has("norm_kwargs")) return 1e-5;
  const config_fields kwargs = tower.object("norm_kwargs");
  kwargs.know_only({"eps"});
  return kwargs.positive("eps", 1e-5);
}

/// @throws format_error for a ratio that leaves no neuron, or more than a count can be
inline index_t open_clip_d_mlp(const config_fields& f, index_t d_model) {
  const double width = static_cast<double>(d_model) * f.positive("mlp_ratio", 4);
  if (width < 1 || width > 1e9) f.wrong("mlp_ratio", "MLPs of 1 to 1000000000 neurons");
  return static_cast<index_t>(width);
}

inline vision_config open_clip_vision(const config_fields& f, bool quick_gelu) {
  f.must_be_off({"timm_model_name", "attentional_pool", "no_ln_pre"});
  f.know_only({"layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size",
               "act_kwargs", "norm_kwargs", "pool_type", "pos_embed_type", "block_type",
               // off, or without effect on what a trained tower computes
               "ls_init_value", "patch_dropout", "attentional_pool", "attn_pooler_queries",
               "attn_pooler_heads", "no_ln_pre", "final_ln_after_pool", "output_tokens", "qk_norm",
               "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc",
               "timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj",
               "timm_proj_bias", "timm_drop", "timm_drop_path"});
  refuse_other_blocks(f);
  if (f.text("pool_type", "tok") != "tok") f.refuse("pool_type", "\"tok\"");
  if (f.text("pos_embed_type", "learnable") != "learnable") {
    f.refuse("pos_embed_type", "\"learnable\"");
  }
  vision_config c;
  c.n_layers = f.count("layers", 12);
  c.d_model = f.count("width", 768);
  c.n_heads = c.d_model / f.count("head_width", 64);
  check_heads(c, f, "head_width");
  c.d_mlp = open_clip_d_mlp(f, c.d_model);
  c.act = open_clip_activation(f, quick_gelu);
  c.eps = open_clip_eps(f);
  c.image_size = f.side("image_size", 224);
  c.patch_size = f.side("patch_size", 16);
  if (c.patch_size > c.image_size) f.wrong("patch_size", "a patch no larger than the image");
  return c;
}

inline text_config open_clip_text(const config_fields& f, bool quick_gelu) {
  f.must_be_off({"hf_model_name", "no_causal_mask", "embed_cls", "proj_bias"});
  f.know_only({"layers", "width", "heads", "mlp_ratio", "context_length", "vocab_size",
               "act_kwargs", "norm_kwargs", "pool_type", "eos_id", "proj_type", "block_type",
               // off, or the tokenizer's business
               "ls_init_value", "embed_cls", "no_causal_mask", "final_ln_after_pool", "proj_bias",
               "output_tokens", "qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner",
               "scale_attn", "scale_fc", "hf_tokenizer_name", "tokenizer_mode", "tokenizer_kwargs",
               "pad_id", "hf_model_name", "hf_model_pretrained", "hf_proj_type", "hf_pooler_type"});
  refuse_other_blocks(f);
  if (f.text("proj_type", "linear") != "linear") f.refuse("proj_type", "\"linear\"");
  text_config c;
  c.n_layers = f.count("layers", 12);
  c.d_model = f.count("width", 512);
  c.n_heads = f.count("heads", 8);
  check_heads(c, f, "heads");
  c.d_mlp = open_clip_d_mlp(f, c.d_model);
  c.act = open_clip_activation(f, quick_gelu);
  c.eps = open_clip_eps(f);
  c.context_length = f.count("context_length", 77);
  c.vocab_size = f.count("vocab_size", 49408);
  const std::string pool = f.text("pool_type", "argmax");
  if (pool == "eos") {
    c.end_token = f.count("eos_id", 2);
  } else if (pool != "argmax") {
    f.refuse("pool_type", "\"argmax\" or \"eos\"");
  }
  return c;
}

/// @param f  what open_clip_config.json holds under model_cfg, or that on its own
inline clip_config open_clip_config(const config_fields& f) {
  f.must_be_off({"multimodal_cfg"});
  f.know_only({"embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text",
               // of the logits, not of the representations
               "init_logit_scale", "init_logit_bias", "nonscalar_logit_scale", "multimodal_cfg"});
  const bool quick_gelu = f.flag("quick_gelu");
  clip_config c;
  c.layout = "open_clip";
  c.d_joint = f.count("embed_dim");
  c.vision = open_clip_vision(f.object("vision_cfg"), quick_gelu);
  c.text = open_clip_text(f.object("text_cfg"), quick_gelu);
  return c;
}

}  // namespace detail

/// The configuration in a JSON text of either library: config.json of transformers,
/// open_clip_config.json, or open_clip's model_cfg on its own.
/// @param name  of the file, for messages
/// @throws format_error for what is no such file, not_supported naming the option for a model that
///         is not CLIP's vision and text transformer
inline clip_config parse_clip_config(std::string_view text, const std::string& name) {
  const auto json = detail::parse_json_object(text, detail::config_fields::operation, name);
  const detail::config_fields file(json, name);
  if (file.has("model_type")) return detail::hugging_face_config(file);
  if (file.has("model_cfg")) return detail::open_clip_config(file.object("model_cfg"));
  if (file.has("vision_cfg")) return detail::open_clip_config(file);
  throw format_error(detail::config_fields::operation,
                     "model_type (transformers) or vision_cfg (open_clip)", "neither", name);
}

/// @throws io_error and what parse_clip_config throws
inline clip_config read_clip_config(const std::filesystem::path& path) {
  const mapped_file file(path);
  return parse_clip_config({reinterpret_cast<const char*>(file.bytes().data()), file.size()},
                           path.string());
}

}  // namespace solens
