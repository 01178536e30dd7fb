// The lens on a vision transformer that runs in LibTorch: its tensors are read where they lie.
//
// usage: libtorch_engine tiny-a.model.safetensors tiny-a.ref.safetensors

#include <torch/torch.h>

#include <cmath>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "lens_on_tensors.hpp"

#include <solens/weights/safetensors.hpp>

namespace {

using backend = solens::reference_backend<float>;

/// A tensor of Torch as the lens sees it: the same memory, the same strides.
solens::host_view<const float> seen(const torch::Tensor& x) {
  TORCH_CHECK(x.device().is_cpu() && x.scalar_type() == torch::kFloat32,
              "a float tensor on the CPU");
  solens::shape extents, strides;
  for (int64_t axis = 0; axis < x.dim(); ++axis) {
    extents.push_back(x.size(axis));
    strides.push_back(x.stride(axis));
  }
  return {x.data_ptr<float>(), extents, strides};
}

torch::Tensor load(const solens::safetensors_file& file, const std::string& name) {
  const auto tensor = file.tensor<float>(name);
  const std::vector<int64_t> sizes(tensor.extents().begin(), tensor.extents().end());
  return torch::from_blob(const_cast<float*>(tensor.data()), sizes, torch::kFloat32).clone();
}

struct norm {
  torch::Tensor weight, bias;
  torch::Tensor mean, scale;  ///< of the last input

  torch::Tensor operator()(const torch::Tensor& x) {
    mean = x.mean(-1);
    scale = (x.var(-1, false) + 1e-5).sqrt();
    return torch::layer_norm(x, {x.size(-1)}, weight, bias, 1e-5);
  }
};

struct block {
  norm ln_1, ln_2;
  torch::Tensor qkv_weight, qkv_bias, out_weight, out_bias;
  torch::Tensor fc_weight, fc_bias, proj_weight, proj_bias;
  torch::Tensor pattern;  ///< [images, heads, tokens, tokens]
  torch::Tensor neurons;  ///< [images, tokens, neurons]

  torch::Tensor operator()(torch::Tensor z, int64_t heads) {
    const auto images = z.size(0), tokens = z.size(1), width = z.size(2), d_head = width / heads;
    const auto qkv = torch::linear(ln_1(z), qkv_weight, qkv_bias)
                         .view({images, tokens, 3, heads, d_head})
                         .permute({2, 0, 3, 1, 4});
    pattern = torch::softmax(
        torch::matmul(qkv[0], qkv[1].transpose(-2, -1)) / std::sqrt(double(d_head)), -1);
    const auto mixed =
        torch::matmul(pattern, qkv[2]).transpose(1, 2).reshape({images, tokens, width});
    z = z + torch::linear(mixed, out_weight, out_bias);
    const auto x = torch::linear(ln_2(z), fc_weight, fc_bias);
    neurons = x * torch::sigmoid(1.702 * x);
    return z + torch::linear(neurons, proj_weight, proj_bias);
  }
};

struct vision_transformer {
  int64_t heads;
  std::vector<block> blocks;
  norm ln_pre, ln_post;
  torch::Tensor patch, class_token, positions, projection, representation;

  vision_transformer(const solens::safetensors_file& file, int64_t n_heads) : heads(n_heads) {
    const auto get = [&](const std::string& name) { return load(file, "visual." + name); };
    for (int l = 0;; ++l) {
      const std::string p = "transformer.resblocks." + std::to_string(l) + ".";
      if (!file.contains("visual." + p + "ln_1.weight")) break;
      blocks.push_back({{get(p + "ln_1.weight"), get(p + "ln_1.bias"), {}, {}},
                        {get(p + "ln_2.weight"), get(p + "ln_2.bias"), {}, {}},
                        get(p + "attn.in_proj_weight"),
                        get(p + "attn.in_proj_bias"),
                        get(p + "attn.out_proj.weight"),
                        get(p + "attn.out_proj.bias"),
                        get(p + "mlp.c_fc.weight"),
                        get(p + "mlp.c_fc.bias"),
                        get(p + "mlp.c_proj.weight"),
                        get(p + "mlp.c_proj.bias"),
                        {},
                        {}});
    }
    ln_pre = {get("ln_pre.weight"), get("ln_pre.bias"), {}, {}};
    ln_post = {get("ln_post.weight"), get("ln_post.bias"), {}, {}};
    patch = get("conv1.weight");
    class_token = get("class_embedding");
    positions = get("positional_embedding");
    projection = get("proj");
  }

  void run(const torch::Tensor& pixels) {
    const auto patches =
        torch::conv2d(pixels, patch, {}, patch.size(-1)).flatten(2).transpose(1, 2);
    const auto first = class_token.expand({pixels.size(0), 1, class_token.size(0)});
    auto z = ln_pre(torch::cat({first, patches}, 1) + positions);
    for (block& b : blocks) z = b(z, heads);
    representation = torch::matmul(ln_post(z.select(1, 0)), projection);
  }
};

solens::lens_weights<backend> weights_of(const vision_transformer& m) {
  solens::lens_weights<backend> w;
  for (const block& b : m.blocks) {
    const auto width = b.qkv_weight.size(1), d_head = width / m.heads;
    w.blocks.push_back(
        {.ln_1_weight = seen(b.ln_1.weight),
         .ln_1_bias = seen(b.ln_1.bias),
         .value_weight = seen(b.qkv_weight.slice(0, 2 * width).view({m.heads, d_head, width})),
         .value_bias = seen(b.qkv_bias.slice(0, 2 * width).view({m.heads, d_head})),
         .output_weight = seen(b.out_weight.view({width, m.heads, d_head}).transpose(0, 1)),
         .output_bias = seen(b.out_bias),
         .writer_directions = seen(b.proj_weight.t()),
         .writer_bias = seen(b.proj_bias)});
  }
  w.ln_post_weight = seen(m.ln_post.weight);
  w.ln_post_bias = seen(m.ln_post.bias);
  w.projection = seen(m.projection);
  return w;
}

solens::lens_activations<backend> activations_of(const vision_transformer& m) {
  solens::lens_activations<backend> a;
  for (const block& b : m.blocks) {
    a.blocks.push_back({.ln_1_mean = seen(b.ln_1.mean),
                        .ln_1_scale = seen(b.ln_1.scale),
                        .class_attention = seen(b.pattern.select(2, 0)),
                        .values = {},  // for the direct decomposition only
                        .writers = seen(b.neurons),
                        .mlp_out = {}});
  }
  a.ln_post_mean = seen(m.ln_post.mean);
  a.ln_post_scale = seen(m.ln_post.scale);
  a.representation = seen(m.representation);
  return a;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: libtorch_engine tiny-a.model.safetensors tiny-a.ref.safetensors\n", stderr);
    return 2;
  }
  try {
    const torch::NoGradGuard no_grad;
    const solens::safetensors_file reference{argv[2]};
    vision_transformer model{solens::safetensors_file{argv[1]}, 4};
    model.run(load(reference, "images"));
    return show_second_order(weights_of(model), activations_of(model), 1,
                             reference.tensor<float>("second_order.1"));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "libtorch_engine: %s\n", e.what());
    return 1;
  }
}
