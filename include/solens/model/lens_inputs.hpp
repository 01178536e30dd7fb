#pragma once

#include <concepts>
#include <cstddef>  // std::size_t
#include <vector>

#include <solens/backend/concept.hpp>

/// The two plain things that the lens reads, whoever ran the transformer. Views; nothing is
/// copied and nothing is owned: what they point at must outlive them. The lens takes any type
/// with these members, whose tensors turn into views; the structs are the ones to use at hand.
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

/// The views of one block of anybody's lens weights.
template <tensor_backend B, class Block>
lens_block_weights<B> weight_views(const Block& b)
  requires requires {
    lens_block_weights<B>{b.ln_1_weight,   b.ln_1_bias,   b.value_weight,      b.value_bias,
                          b.output_weight, b.output_bias, b.writer_directions, b.writer_bias};
  }
{
  return {b.ln_1_weight,   b.ln_1_bias,   b.value_weight,      b.value_bias,
          b.output_weight, b.output_bias, b.writer_directions, b.writer_bias};
}

/// The views of one block of anybody's lens activations.
template <tensor_backend B, class Block>
lens_block_activations<B> activation_views(const Block& b)
  requires requires {
    lens_block_activations<B>{b.ln_1_mean, b.ln_1_scale, b.class_attention,
                              b.values,    b.writers,    b.mlp_out};
  }
{
  return {b.ln_1_mean, b.ln_1_scale, b.class_attention, b.values, b.writers, b.mlp_out};
}

/// What the lens asks of weights: the members of `lens_weights<B>`.
template <class W, class B>
concept lens_weights_for = tensor_backend<B> && requires(const W& w, std::size_t layer) {
  { w.blocks.size() } -> std::convertible_to<std::size_t>;
  weight_views<B>(w.blocks[layer]);
  { w.ln_post_weight } -> std::convertible_to<const_view_of<B>>;
  { w.ln_post_bias } -> std::convertible_to<const_view_of<B>>;
  { w.projection } -> std::convertible_to<const_view_of<B>>;
};

/// What the lens asks of activations: the members of `lens_activations<B>`.
template <class A, class B>
concept lens_activations_for = tensor_backend<B> && requires(const A& a, std::size_t layer) {
  { a.blocks.size() } -> std::convertible_to<std::size_t>;
  activation_views<B>(a.blocks[layer]);
  { a.embedding } -> std::convertible_to<const_view_of<B>>;
  { a.ln_post_mean } -> std::convertible_to<const_view_of<B>>;
  { a.ln_post_scale } -> std::convertible_to<const_view_of<B>>;
  { a.representation } -> std::convertible_to<const_view_of<B>>;
};

}  // namespace solens
