#pragma once

#include <optional>
#include <vector>

#include <solens/backend/concept.hpp>
#include <solens/model/config.hpp>

namespace solens {

/// One pre-LN block. Matrices are [output, input], as every layout of CLIP stores them.
template <tensor_backend B>
struct block_weights {
  using tensor = typename B::tensor;
  tensor ln_1_weight, ln_1_bias;  ///< [d_model]
  tensor
      qkv_weight;  ///< [3 d_model, d_model]: all queries, all keys, all values; by head within each
  tensor qkv_bias;                ///< [3 d_model]
  tensor out_weight, out_bias;    ///< [d_model, d_model], [d_model]
  tensor ln_2_weight, ln_2_bias;  ///< [d_model]
  tensor fc_weight, fc_bias;      ///< [d_mlp, d_model], [d_mlp]
  tensor proj_weight, proj_bias;  ///< [d_model, d_mlp], [d_model]
};

template <tensor_backend B>
struct vision_weights {
  using tensor = typename B::tensor;
  tensor patch_weight;                ///< [d_model, 3 * patch * patch]
  tensor class_embedding;             ///< [d_model]
  tensor positional_embedding;        ///< [n_tokens, d_model]
  tensor ln_pre_weight, ln_pre_bias;  ///< [d_model]
  std::vector<block_weights<B>> blocks;
  tensor ln_post_weight, ln_post_bias;  ///< [d_model]
  tensor projection;                    ///< [d_model, d_joint]
};

template <tensor_backend B>
struct text_weights {
  using tensor = typename B::tensor;
  tensor token_embedding;       ///< [vocab_size, d_model]
  tensor positional_embedding;  ///< [context_length, d_model]
  std::vector<block_weights<B>> blocks;
  tensor ln_final_weight, ln_final_bias;  ///< [d_model]
  tensor projection;                      ///< [d_model, d_joint]
};

/// The weights of a CLIP on one backend, in one form whatever file they came from.
template <tensor_backend B>
struct clip_weights {
  std::optional<vision_weights<B>> vision;
  std::optional<text_weights<B>> text;
  std::optional<typename B::scalar> logit_scale;  ///< natural logarithm, as stored
};

}  // namespace solens
