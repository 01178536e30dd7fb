#pragma once

#include <algorithm>  // std::any_of
#include <string>
#include <string_view>
#include <vector>

#include <solens/core/error.hpp>
#include <solens/weights/weight_source.hpp>

/// What the layouts of CLIP call the tensors of `clip_weights`.
namespace solens {

/// Names of a tower's parts; of a LayerNorm or a linear map without `.weight` and `.bias`.
struct tower_names {
  std::string positional_embedding;
  std::string blocks;  ///< a block's number follows
  std::string last_norm;
  std::string projection;
};

struct vision_names : tower_names {
  std::string patch, class_embedding, first_norm;
};

struct text_names : tower_names {
  std::string token_embedding;
};

/// Names within a block.
struct block_names {
  std::string ln_1, attention, ln_2, fc, proj;
};

struct clip_names {
  vision_names vision;
  text_names text;
  block_names block;
  bool hugging_face = false;
  bool projections_transposed = false;  ///< [d_joint, d_model], as of a linear map

  /// Known, and nothing that a tower computes with: buffers, and the scale of the logits' bias.
  std::vector<std::string> ignored;
};

/// transformers' CLIPModel, CLIPVisionModelWithProjection and CLIPTextModelWithProjection.
inline clip_names hugging_face_names() {
  clip_names n;
  n.hugging_face = n.projections_transposed = true;
  const auto tower = [](const std::string& at, const char* last_norm, const char* projection) {
    return tower_names{at + "embeddings.position_embedding.weight", at + "encoder.layers.",
                       at + last_norm, projection};
  };
  const std::string vision = "vision_model.", text = "text_model.";
  n.vision = {tower(vision, "post_layernorm", "visual_projection.weight"),
              vision + "embeddings.patch_embedding.weight", vision + "embeddings.class_embedding",
              vision + "pre_layrnorm"};  // spelt so in every file
  n.text = {tower(text, "final_layer_norm", "text_projection.weight"),
            text + "embeddings.token_embedding.weight"};
  n.block = {"layer_norm1", "self_attn", "layer_norm2", "mlp.fc1", "mlp.fc2"};
  n.ignored = {vision + "embeddings.position_ids", text + "embeddings.position_ids"};
  return n;
}

/// open_clip and OpenAI.
/// @param text  what the text tower's names begin with: nothing, or `text.` (CustomTextCLIP)
inline clip_names open_clip_names(const std::string& text) {
  clip_names n;
  const std::string vision = "visual.";
  n.vision = {{vision + "positional_embedding", vision + "transformer.resblocks.",
               vision + "ln_post", vision + "proj"},
              vision + "conv1.weight",
              vision + "class_embedding",
              vision + "ln_pre"};
  n.text = {{text + "positional_embedding", text + "transformer.resblocks.", text + "ln_final",
             text + "text_projection"},
            text + "token_embedding.weight"};
  n.block = {"ln_1", "attn", "ln_2", "mlp.c_fc", "mlp.c_proj"};
  n.ignored = {"input_resolution", "context_length", "vocab_size", "logit_bias"};
  return n;
}

/// The names that a file uses.
/// @param file  for messages
/// @throws not_supported for a file that holds no CLIP vision or text transformer
inline clip_names names_in(const std::vector<tensor_info>& tensors, const std::string& file) {
  const auto any = [&](std::string_view start) {
    return std::any_of(tensors.begin(), tensors.end(), [&](const tensor_info& info) {
      return std::string_view(info.name).starts_with(start);
    });
  };
  if (any("vision_model.embeddings.patch_embedding") || any("text_model.embeddings")) {
    return hugging_face_names();
  }
  if (any("visual.conv1.weight") && !any("visual.layer1.")) {
    return open_clip_names(any("text.") ? "text." : "");
  }
  const std::string found = any("visual.layer1.")  ? "a ResNet"
                            : any("visual.trunk.") ? "a tower of timm"
                            : tensors.empty()      ? "no tensors"
                                                   : "'" + tensors.front().name + "' and others";
  throw not_supported("load model",
                      "a CLIP with a vision transformer, under names of open_clip, "
                      "Hugging Face or OpenAI",
                      found, file);
}

}  // namespace solens
