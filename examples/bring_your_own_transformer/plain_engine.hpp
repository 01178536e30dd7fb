#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <solens/weights/safetensors.hpp>

/// A vision transformer that knows nothing of solens's: plain loops, weights stored input by
/// output, activations token by token with the images inside. Only the file reader is shared.
namespace engine {

using floats = std::vector<float>;

inline floats read(const solens::safetensors_file& file, const std::string& name) {
  const auto tensor = file.tensor<float>(name);
  return {tensor.begin(), tensor.end()};
}

struct norm {
  floats weight, bias;

  /// y = (x - mean) / scale * weight + bias
  void operator()(const float* x, float* y, float& mean, float& scale) const {
    double sum = 0, squares = 0;
    const auto n = static_cast<double>(weight.size());
    for (std::size_t i = 0; i < weight.size(); ++i) sum += static_cast<double>(x[i]);
    mean = static_cast<float>(sum / n);
    for (std::size_t i = 0; i < weight.size(); ++i) squares += std::pow(double(x[i] - mean), 2);
    scale = static_cast<float>(std::sqrt(squares / n + 1e-5));
    for (std::size_t i = 0; i < weight.size(); ++i) {
      y[i] = (x[i] - mean) / scale * weight[i] + bias[i];
    }
  }
};

struct linear {
  floats weight;  ///< [n_in, n_out]: the other way round than in the file
  floats bias;    ///< [n_out]

  linear() = default;
  linear(const solens::safetensors_file& file, const std::string& weight_name,
         const std::string& bias_name)
      : weight(read(file, weight_name)), bias(read(file, bias_name)) {
    const floats rows = weight;
    const std::size_t n_out = bias.size(), n_in = rows.size() / n_out;
    for (std::size_t i = 0; i < rows.size(); ++i) weight[i % n_in * n_out + i / n_in] = rows[i];
  }

  floats operator()(const float* x) const {
    floats y = bias;
    for (std::size_t i = 0; i < weight.size(); ++i) y[i % y.size()] += x[i / y.size()] * weight[i];
    return y;
  }
};

struct block {
  norm ln_1, ln_2;
  linear qkv, out, fc, proj;
  // What the last run left behind.
  floats mean, scale;  ///< [tokens, images], of ln_1
  floats attention;    ///< [heads, tokens, images], of the class token
  floats neurons;      ///< [tokens, images, neurons]
};

/// quick_gelu, as OpenAI's models have it.
class vision_transformer {
 public:
  std::size_t heads, width, tokens = 0, images = 0;
  std::vector<block> blocks;
  norm ln_pre, ln_post;
  floats patch, class_token, positions, projection;
  floats post_mean, post_scale, representation;  ///< [images], [images], [images, joint width]

  vision_transformer(const solens::safetensors_file& file, std::size_t n_heads)
      : heads(n_heads),
        ln_pre{read(file, "visual.ln_pre.weight"), read(file, "visual.ln_pre.bias")},
        ln_post{read(file, "visual.ln_post.weight"), read(file, "visual.ln_post.bias")},
        patch(read(file, "visual.conv1.weight")),
        class_token(read(file, "visual.class_embedding")),
        positions(read(file, "visual.positional_embedding")),
        projection(read(file, "visual.proj")) {
    width = class_token.size();
    tokens = positions.size() / width;
    for (std::size_t l = 0;; ++l) {
      const std::string name = "visual.transformer.resblocks." + std::to_string(l) + ".";
      if (!file.contains(name + "ln_1.weight")) break;
      const auto map = [&](const std::string& of) {
        return linear(file, name + of + "weight", name + of + "bias");
      };
      blocks.push_back({{read(file, name + "ln_1.weight"), read(file, name + "ln_1.bias")},
                        {read(file, name + "ln_2.weight"), read(file, name + "ln_2.bias")},
                        map("attn.in_proj_"),
                        map("attn.out_proj."),
                        map("mlp.c_fc."),
                        map("mlp.c_proj."),
                        {},
                        {},
                        {},
                        {}});
    }
  }

  /// @param pixels  [n, 3, side, side], normalised
  void run(const floats& pixels, std::size_t n, std::size_t side) {
    images = n;
    post_mean.assign(n, 0);
    post_scale.assign(n, 0);
    representation.assign(n * projection.size() / width, 0);
    for (block& b : blocks) {
      b.mean.assign(tokens * n, 0);
      b.scale.assign(tokens * n, 0);
      b.attention.assign(heads * tokens * n, 0);
      b.neurons.assign(tokens * n * b.fc.bias.size(), 0);
    }
    for (std::size_t image = 0; image < n; ++image) {
      floats z = embed(&pixels[image * 3 * side * side], side);
      for (block& b : blocks) run_block(b, image, z);
      floats y(width);
      ln_post(z.data(), y.data(), post_mean[image], post_scale[image]);
      const std::size_t joint = projection.size() / width;
      for (std::size_t i = 0; i < projection.size(); ++i) {
        representation[image * joint + i % joint] += y[i / joint] * projection[i];
      }
    }
  }

 private:
  floats embed(const float* pixels, std::size_t side) const {
    const auto size = static_cast<std::size_t>(std::sqrt(patch.size() / width / 3));
    floats z = positions, normed(z.size());
    for (std::size_t c = 0; c < width; ++c) z[c] += class_token[c];
    for (std::size_t t = 1; t < tokens; ++t) {
      const std::size_t top = (t - 1) / (side / size) * size, left = (t - 1) % (side / size) * size;
      for (std::size_t i = 0; i < patch.size(); ++i) {
        const std::size_t x = i % size, y = i / size % size, channel = i / size / size % 3;
        z[t * width + i / size / size / 3] +=
            patch[i] * pixels[(channel * side + top + y) * side + left + x];
      }
    }
    float unused_mean, unused_scale;
    for (std::size_t t = 0; t < tokens; ++t) {
      ln_pre(&z[t * width], &normed[t * width], unused_mean, unused_scale);
    }
    return normed;
  }

  void run_block(block& b, std::size_t image, floats& z) const {
    const std::size_t d_head = width / heads;
    std::vector<floats> qkv;
    floats x(width), pattern(tokens), mixed(tokens * width, 0.0f);
    for (std::size_t t = 0; t < tokens; ++t) {
      const std::size_t at = t * images + image;
      b.ln_1(&z[t * width], x.data(), b.mean[at], b.scale[at]);
      qkv.push_back(b.qkv(x.data()));
    }
    for (std::size_t h = 0; h < heads; ++h) {
      for (std::size_t q = 0; q < tokens; ++q) {
        float sum = 0;
        for (std::size_t t = 0; t < tokens; ++t) {
          float score = 0;
          for (std::size_t i = h * d_head; i < (h + 1) * d_head; ++i) {
            score += qkv[q][i] * qkv[t][width + i];
          }
          sum += pattern[t] = std::exp(score / std::sqrt(static_cast<float>(d_head)));
        }
        for (std::size_t t = 0; t < tokens; ++t) {
          pattern[t] /= sum;
          if (q == 0) b.attention[(h * tokens + t) * images + image] = pattern[t];
          for (std::size_t i = h * d_head; i < (h + 1) * d_head; ++i) {
            mixed[q * width + i] += pattern[t] * qkv[t][2 * width + i];
          }
        }
      }
    }
    float unused_mean, unused_scale;
    const auto add = [&](std::size_t t, const floats& y) {
      for (std::size_t c = 0; c < width; ++c) z[t * width + c] += y[c];
    };
    for (std::size_t t = 0; t < tokens; ++t) {
      add(t, b.out(&mixed[t * width]));
      b.ln_2(&z[t * width], x.data(), unused_mean, unused_scale);
      floats p = b.fc(x.data());
      for (float& value : p) value /= 1 + std::exp(-1.702f * value);
      for (std::size_t i = 0; i < p.size(); ++i) {
        b.neurons[(t * images + image) * p.size() + i] = p[i];
      }
      add(t, b.proj(p.data()));
    }
  }
};

}  // namespace engine
