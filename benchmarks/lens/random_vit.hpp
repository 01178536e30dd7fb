#pragma once

#include <random>
#include <utility>  // std::as_const
#include <vector>

#include <solens/backend/eigen.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens::bench {

using backend = eigen_backend<float>;

/// A ViT-B/32 of random numbers, as far as the lens sees it: 12 blocks of 12 heads, 50 tokens.
/// One block's activations and most of its weights stand for all, which changes no extents; heads
/// are their own, so that directions are of full rank.
struct vit_b_32 {
  static constexpr index_t layers = 12, heads = 12, d_head = 64, width = 768, joint = 512;
  static constexpr index_t tokens = 50, neurons = 3072, images = 32;

  std::vector<host_tensor<float>> memory;
  lens_weights<backend> weights;
  lens_activations<backend> activations;

  vit_b_32() {
    lens_block_weights<backend> w{.ln_1_weight = normal({width}),
                                  .ln_1_bias = normal({width}),
                                  .value_weight = {},
                                  .value_bias = normal({heads, d_head}),
                                  .output_weight = {},
                                  .output_bias = normal({width}),
                                  .writer_directions = normal({width, neurons}).transposed(),
                                  .writer_bias = normal({width})};
    for (index_t l = 0; l < layers; ++l) {
      w.value_weight = normal({heads, d_head, width});
      w.output_weight = normal({heads, width, d_head});
      weights.blocks.push_back(w);
    }
    weights.ln_post_weight = normal({width});
    weights.ln_post_bias = normal({width});
    weights.projection = normal({width, joint});
    const auto positive = normal({images, tokens}, 1, 0.1f);
    const lens_block_activations<backend> a{
        .ln_1_mean = normal({images, tokens}),
        .ln_1_scale = positive,
        .class_attention = normal({images, heads, tokens}, 1.0f / tokens, 0.001f),
        .values = {},
        .writers = normal({images, tokens, neurons}),
        .mlp_out = {}};
    activations = {std::vector(layers, a),
                   {},
                   normal({images}),
                   normal({images}, 1, 0.1f),
                   normal({images, joint})};
  }

  host_view<const float> normal(const shape& extents, float mean = 0, float deviation = 0.1f) {
    static std::mt19937 generator(1);
    std::normal_distribution<float> numbers(mean, deviation);
    auto& tensor = memory.emplace_back(extents);
    for (float& value : tensor) value = numbers(generator);
    return std::as_const(tensor).view();
  }
};

inline vit_b_32& model() {
  static vit_b_32 shared;
  return shared;
}

}  // namespace solens::bench
