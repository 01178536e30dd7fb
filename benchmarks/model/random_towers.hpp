#pragma once

#include <cmath>    // std::sqrt
#include <cstdint>  // std::uint32_t

#include <solens/model/text_tower.hpp>
#include <solens/model/vision_tower.hpp>

/// CLIP's towers at full size with random weights: speed does not depend on what they know.
namespace solens::bench {

/// The two sizes that are measured, as OpenAI trained them.
struct clip_size {
  const char* name;
  index_t d_joint;
  vision_config vision;
  text_config text;
};

inline const clip_size vit_b_32{"ViT-B-32",
                                512,
                                {{12, 12, 768, 3072, activation::quick_gelu, 1e-5}, 224, 32},
                                {{12, 8, 512, 2048, activation::quick_gelu, 1e-5}, 77, 49408, {}}};
inline const clip_size vit_l_14{"ViT-L-14",
                                768,
                                {{24, 16, 1024, 4096, activation::quick_gelu, 1e-5}, 224, 14},
                                {{12, 12, 768, 3072, activation::quick_gelu, 1e-5}, 77, 49408, {}}};

/// Numbers in [-size, size), the same every time.
template <tensor_backend B>
typename B::tensor random_weights(const B& be, const shape& extents, double size) {
  host_tensor<typename B::scalar> host(extents);
  std::uint32_t state = 12345;
  for (auto& x : host) {
    state = state * 1664525U + 1013904223U;
    x = static_cast<typename B::scalar>(size * (static_cast<double>(state) / 2147483648.0 - 1));
  }
  typename B::tensor result = be.allocate(extents);
  be.upload(host, result.view());
  return result;
}

/// A map that keeps the size of what it maps.
template <tensor_backend B>
typename B::tensor random_map(const B& be, index_t outputs, index_t inputs) {
  return random_weights(be, {outputs, inputs}, std::sqrt(3.0 / static_cast<double>(inputs)));
}

template <tensor_backend B>
std::vector<block_weights<B>> random_blocks(const B& be, const transformer_config& c) {
  const auto row = [&](index_t n) { return random_weights(be, {n}, 1); };
  std::vector<block_weights<B>> blocks;
  for (index_t l = 0; l < c.n_layers; ++l) {
    blocks.push_back({row(c.d_model), row(c.d_model), random_map(be, 3 * c.d_model, c.d_model),
                      row(3 * c.d_model), random_map(be, c.d_model, c.d_model), row(c.d_model),
                      row(c.d_model), row(c.d_model), random_map(be, c.d_mlp, c.d_model),
                      row(c.d_mlp), random_map(be, c.d_model, c.d_mlp), row(c.d_model)});
  }
  return blocks;
}

template <tensor_backend B>
vision_tower<B> random_vision_tower(const B& be, const clip_size& size) {
  const vision_config& c = size.vision;
  const auto row = [&] { return random_weights(be, {c.d_model}, 1); };
  return {c,
          {random_map(be, c.d_model, 3 * c.patch_size * c.patch_size), row(),
           random_weights(be, {c.n_tokens(), c.d_model}, 1), row(), row(), random_blocks(be, c),
           row(), row(), random_map(be, c.d_model, size.d_joint)}};
}

template <tensor_backend B>
text_tower<B> random_text_tower(const B& be, const clip_size& size) {
  const text_config& c = size.text;
  const auto row = [&] { return random_weights(be, {c.d_model}, 1); };
  return {c,
          {random_weights(be, {c.vocab_size, c.d_model}, 1),
           random_weights(be, {c.context_length, c.d_model}, 1), random_blocks(be, c), row(), row(),
           random_map(be, c.d_model, size.d_joint)}};
}

/// The products with weights of `rows` tokens, of which the last block pools `n` after its
/// values: what a forward pass cannot do without.
template <tensor_backend B>
void products_alone(const B& be, const transformer_config& c,
                    const std::vector<block_weights<B>>& blocks, index_t rows, index_t n,
                    view_of<B> stream, view_of<B> wide) {
  const auto product = [&](const typename B::tensor& w, index_t first, index_t end, index_t count,
                           view_of<B> from, view_of<B> to) {
    const index_t in = w.view().extent(1);
    be.gemm(1, from.slice(0, 0, count * in).reshaped({count, in}),
            w.view().slice(0, first, end).transposed(), 0,
            to.slice(0, 0, count * (end - first)).reshaped({count, end - first}));
  };
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    const bool last = l + 1 == blocks.size();
    const index_t after = last ? n : rows;
    const block_weights<B>& b = blocks[l];
    product(b.qkv_weight, last ? c.d_model : 0, 3 * c.d_model, rows, stream, wide);
    if (last) product(b.qkv_weight, 0, c.d_model, n, stream, wide);
    product(b.out_weight, 0, c.d_model, after, wide, stream);
    product(b.fc_weight, 0, c.d_mlp, after, stream, wide);
    product(b.proj_weight, 0, c.d_model, after, wide, stream);
  }
}

}  // namespace solens::bench
