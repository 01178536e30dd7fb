#pragma once

#include <optional>
#include <vector>

#include <solens/backend/concept.hpp>

/// The two plain things that the lens reads, whoever ran the transformer. Views; nothing is
/// copied and nothing is owned: what they point at must outlive them.
namespace solens {

/// Weights of one block, as far as the lens needs them.
template <tensor_backend B>
struct lens_block_weights {
  const_view_of<B> ln_1_weight, ln_1_bias;  ///< [d_model]
  const_view_of<B> value_weight;            ///< [n_heads, d_head, d_model]
  const_view_of<B> value_bias;              ///< [n_heads, d_head]
  const_view_of<B> output_weight;           ///< [n_heads, d_model, d_head]
  const_view_of<B> output_bias;             ///< [d_model], of the attention
  const_view_of<B>
      writer_directions;         ///< [n_writers, d_model]: what one unit of each writer adds to the
                                 ///< residual stream; for neurons, proj_weight transposed
  const_view_of<B> writer_bias;  ///< [d_model]: the bias of the MLP's output
};

template <tensor_backend B>
struct lens_weights {
  std::vector<lens_block_weights<B>> blocks;
  const_view_of<B> ln_post_weight, ln_post_bias;  ///< [d_model]
  const_view_of<B> projection;                    ///< [d_model, d_joint]
};

/// Activations of one block for a batch. A view that is not needed for a question may be empty.
template <tensor_backend B>
struct lens_block_activations {
  const_view_of<B> ln_1_mean, ln_1_scale;  ///< [n_images, n_tokens]; scale = sqrt(var + eps)
  const_view_of<B>
      class_attention;      ///< [n_images, n_heads, n_tokens]: row 0 of the pattern, after softmax
  const_view_of<B> values;  ///< [n_images, n_tokens, n_heads, d_head], bias included; for the
                            ///< direct decomposition
  const_view_of<B>
      writers;  ///< [n_images, n_tokens, n_writers]; for neurons, after the nonlinearity
  const_view_of<B>
      mlp_out;  ///< [n_images, d_model]: what the MLP adds to the class token, bias included
};

template <tensor_backend B>
struct lens_activations {
  std::vector<lens_block_activations<B>> blocks;
  const_view_of<B> embedding;  ///< [n_images, d_model]: the class token that enters block 0; for
                               ///< the direct decomposition
  const_view_of<B> ln_post_mean, ln_post_scale;  ///< [n_images]
  const_view_of<B> representation;               ///< [n_images, d_joint], not normalised
};

}  // namespace solens
