#pragma once

#include <optional>
#include <string>

#include <solens/backend/concept.hpp>
#include <solens/core/shape.hpp>

namespace solens {

/// The shape of one transformer of CLIP: pre-LN blocks of attention and MLP.
struct transformer_config {
  index_t n_layers = 0;
  index_t n_heads = 0;
  index_t d_model = 0;  ///< width of the residual stream
  index_t d_mlp = 0;    ///< neurons of each MLP
  activation act = activation::gelu;
  double eps = 1e-5;  ///< of every LayerNorm

  index_t d_head() const { return d_model / n_heads; }
};

struct vision_config : transformer_config {
  index_t image_size = 0;  ///< pixels a side
  index_t patch_size = 0;

  index_t grid() const { return image_size / patch_size; }
  index_t n_tokens() const { return 1 + grid() * grid(); }  ///< class token first
};

struct text_config : transformer_config {
  index_t context_length = 0;
  index_t vocab_size = 0;
  /// The token at which a text's features are read: the first one with this id, or, when not
  /// set, the one with the largest id (OpenAI's rule, the same for CLIP's own vocabulary).
  std::optional<index_t> end_token;
};

/// What is known of a CLIP before its weights are read.
struct clip_config {
  index_t d_joint = 0;              ///< width of the joint image-text space
  vision_config vision;             ///< n_layers is 0 for a text tower on its own
  std::optional<text_config> text;  ///< not set for a vision tower on its own
  std::string layout;  ///< where it came from, for `info`: "Hugging Face", "open_clip", "OpenAI"
};

}  // namespace solens
