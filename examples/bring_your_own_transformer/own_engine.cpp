// The lens on a transformer that is not solens's own, without copying a tensor.
//
// usage: own_engine tiny-a.model.safetensors tiny-a.ref.safetensors

#include <cstdio>
#include <exception>

#include "lens_on_tensors.hpp"
#include "plain_engine.hpp"

namespace {

using backend = solens::reference_backend<float>;
using view = solens::host_view<const float>;
using solens::index_t;

/// A vector as it lies in memory, under the extents and strides that the lens asks for.
view seen(const engine::floats& x, const solens::shape& extents, const solens::shape& strides,
          index_t offset = 0) {
  return {x.data() + offset, extents, strides};
}
view seen(const engine::floats& x) { return {x.data(), {static_cast<index_t>(x.size())}}; }

/// The engine's weights are input-major, the lens asks for rows of outputs: strides do that.
solens::lens_weights<backend> weights_of(const engine::vision_transformer& m) {
  const auto c = static_cast<index_t>(m.width), h = static_cast<index_t>(m.heads), dh = c / h;
  solens::lens_weights<backend> w;
  for (const auto& b : m.blocks) {
    const auto n = static_cast<index_t>(b.fc.bias.size());
    w.blocks.push_back({.ln_1_weight = seen(b.ln_1.weight),
                        .ln_1_bias = seen(b.ln_1.bias),
                        .value_weight = seen(b.qkv.weight, {h, dh, c}, {dh, 1, 3 * c}, 2 * c),
                        .value_bias = seen(b.qkv.bias, {h, dh}, {dh, 1}, 2 * c),
                        .output_weight = seen(b.out.weight, {h, c, dh}, {dh * c, 1, c}),
                        .output_bias = seen(b.out.bias),
                        .writer_directions = seen(b.proj.weight, {n, c}, {c, 1}),
                        .writer_bias = seen(b.proj.bias)});
  }
  w.ln_post_weight = seen(m.ln_post.weight);
  w.ln_post_bias = seen(m.ln_post.bias);
  w.projection = view(m.projection.data(), {c, static_cast<index_t>(m.projection.size()) / c});
  return w;
}

/// The engine keeps the images innermost but one; the lens asks for them first.
solens::lens_activations<backend> activations_of(const engine::vision_transformer& m) {
  const auto images = static_cast<index_t>(m.images), tokens = static_cast<index_t>(m.tokens);
  const auto heads = static_cast<index_t>(m.heads);
  solens::lens_activations<backend> a;
  for (const auto& b : m.blocks) {
    const auto n = static_cast<index_t>(b.fc.bias.size());
    a.blocks.push_back({.ln_1_mean = seen(b.mean, {images, tokens}, {1, images}),
                        .ln_1_scale = seen(b.scale, {images, tokens}, {1, images}),
                        .class_attention = seen(b.attention, {images, heads, tokens},
                                                {1, tokens * images, images}),
                        .values = {},  // for the direct decomposition only
                        .writers = seen(b.neurons, {images, tokens, n}, {n, images * n, 1}),
                        .mlp_out = {}});
  }
  a.ln_post_mean = seen(m.post_mean);
  a.ln_post_scale = seen(m.post_scale);
  a.representation = view(m.representation.data(),
                          {images, static_cast<index_t>(m.representation.size()) / images});
  return a;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: own_engine tiny-a.model.safetensors tiny-a.ref.safetensors\n", stderr);
    return 2;
  }
  try {
    const solens::safetensors_file reference{argv[2]};
    engine::vision_transformer model{solens::safetensors_file{argv[1]}, 4};
    const auto pixels = reference.tensor<float>("images");
    model.run({pixels.begin(), pixels.end()}, static_cast<std::size_t>(pixels.extent(0)),
              static_cast<std::size_t>(pixels.extent(2)));
    constexpr index_t layer = 1;
    return show_second_order(weights_of(model), activations_of(model), layer,
                             reference.tensor<float>("second_order.1"));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "own_engine: %s\n", e.what());
    return 1;
  }
}
