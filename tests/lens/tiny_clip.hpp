#pragma once

#include <cmath>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <solens/backend/concept.hpp>
#include <solens/model/lens_inputs.hpp>
#include <solens/weights/safetensors.hpp>

#include "support/backends.hpp"
#include "support/test.hpp"

namespace solens::test {

using matrix = host_tensor<double>;

/// The float tensors of a safetensors file, in double.
inline std::map<std::string, matrix> read_tensors(const std::filesystem::path& path) {
  const safetensors_file file(path);
  std::map<std::string, matrix> tensors;
  for (const tensor_info& info : file.tensors()) {
    if (info.type == dtype::f32) tensors.emplace(info.name, file.tensor<double>(info.name));
  }
  return tensors;
}

/// A vision tower in plain double loops: the oracle of the lens's tests and the source of
/// activations that are consistent with its weights to the last bit of a double.
struct tiny_clip {
  struct block {
    matrix ln_1_weight, ln_1_bias, qkv_weight, qkv_bias, out_weight, out_bias;
    matrix ln_2_weight, ln_2_bias, fc_weight, fc_bias, proj_weight, proj_bias;
  };
  std::vector<block> blocks;
  matrix ln_post_weight, ln_post_bias, projection;
  index_t heads = 0;
  bool quick_gelu = false;

  index_t layers() const { return static_cast<index_t>(blocks.size()); }
  index_t width() const { return projection.extent(0); }
  index_t d_joint() const { return projection.extent(1); }
  index_t d_head() const { return width() / heads; }
  index_t neurons() const { return blocks[0].fc_bias.extent(0); }
  const block& at(index_t l) const { return blocks[static_cast<std::size_t>(l)]; }

  /// W_V of head h, element (i, c), and the others likewise.
  double value_weight(index_t l, index_t h, index_t i, index_t c) const {
    return at(l).qkv_weight(2 * width() + h * d_head() + i, c);
  }
  double value_bias(index_t l, index_t h, index_t i) const {
    return at(l).qkv_bias(2 * width() + h * d_head() + i);
  }
  double output_weight(index_t l, index_t h, index_t c, index_t i) const {
    return at(l).out_weight(c, h * d_head() + i);
  }
  double activated(double x) const {
    return quick_gelu ? x / (1 + std::exp(-1.702 * x))
                      : 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  }
};

/// What a forward pass through the blocks from the first one on left behind, per block.
struct tiny_trace {
  struct block {
    matrix stream;       ///< [images, tokens, width], entering the block
    matrix mean, scale;  ///< [images, tokens]
    matrix attention;    ///< [images, heads, tokens] of the class token
    matrix values;       ///< [images, tokens, heads, d_head]
    matrix neurons;      ///< [images, tokens, neurons]
    matrix mlp_out;      ///< [images, width], of the class token
    matrix pattern;      ///< [images, heads, tokens, tokens]: attention of every token
  };
  std::vector<block> blocks;
  matrix stream;  ///< leaving the last block
  matrix post_mean, post_scale, representation;
  const block& at(index_t l) const { return blocks[static_cast<std::size_t>(l)]; }
  index_t images() const { return representation.extent(0); }
  index_t tokens() const { return stream.extent(1); }
};

/// y = (x - mean) / scale * weight + bias for one vector; the statistics are returned.
inline std::pair<double, double> plain_layer_norm(const double* x, const matrix& weight,
                                                  const matrix& bias, double* y) {
  const index_t n = weight.size();
  double mean = 0, variance = 0;
  for (index_t i = 0; i < n; ++i) mean += x[i] / static_cast<double>(n);
  for (index_t i = 0; i < n; ++i) variance += (x[i] - mean) * (x[i] - mean);
  const double scale = std::sqrt(variance / static_cast<double>(n) + 1e-5);
  for (index_t i = 0; i < n; ++i) y[i] = (x[i] - mean) / scale * weight(i) + bias(i);
  return {mean, scale};
}

/// y = W x + b
inline std::vector<double> plain_linear(const matrix& weight, const matrix& bias,
                                        const std::vector<double>& x) {
  std::vector<double> y(static_cast<std::size_t>(weight.extent(0)));
  for (index_t r = 0; r < weight.extent(0); ++r) {
    double sum = bias(r);
    for (index_t c = 0; c < weight.extent(1); ++c) {
      sum += weight(r, c) * x[static_cast<std::size_t>(c)];
    }
    y[static_cast<std::size_t>(r)] = sum;
  }
  return y;
}

/// One block of one image, in place.
inline void plain_block(const tiny_clip& m, index_t l, index_t image, matrix& z,
                        tiny_trace::block& trace) {
  const auto& w = m.at(l);
  const index_t tokens = z.extent(1), width = m.width(), dh = m.d_head();
  std::vector<std::vector<double>> qkv, mixed;
  std::vector<double> x(static_cast<std::size_t>(width));
  for (index_t t = 0; t < tokens; ++t) {
    const auto [mean, scale] =
        plain_layer_norm(&z(image, t, 0), w.ln_1_weight, w.ln_1_bias, x.data());
    trace.mean(image, t) = mean;
    trace.scale(image, t) = scale;
    qkv.push_back(plain_linear(w.qkv_weight, w.qkv_bias, x));
    mixed.emplace_back(static_cast<std::size_t>(width), 0.0);
    for (index_t h = 0; h < m.heads; ++h) {
      for (index_t i = 0; i < dh; ++i) {
        trace.values(image, t, h, i) = qkv.back()[static_cast<std::size_t>(2 * width + h * dh + i)];
      }
    }
  }
  const auto at = [&](index_t t, index_t part, index_t h, index_t i) {
    return qkv[static_cast<std::size_t>(t)][static_cast<std::size_t>(part * width + h * dh + i)];
  };
  for (index_t h = 0; h < m.heads; ++h) {
    for (index_t q = 0; q < tokens; ++q) {
      std::vector<double> e;
      double sum = 0;
      for (index_t t = 0; t < tokens; ++t) {
        double score = 0;
        for (index_t i = 0; i < dh; ++i) score += at(q, 0, h, i) * at(t, 1, h, i);
        e.push_back(std::exp(score / std::sqrt(static_cast<double>(dh))));
        sum += e.back();
      }
      for (index_t t = 0; t < tokens; ++t) {
        const double a = e[static_cast<std::size_t>(t)] / sum;
        if (q == 0) trace.attention(image, h, t) = a;
        trace.pattern(image, h, q, t) = a;
        for (index_t i = 0; i < dh; ++i) {
          mixed[static_cast<std::size_t>(q)][static_cast<std::size_t>(h * dh + i)] +=
              a * at(t, 2, h, i);
        }
      }
    }
  }
  for (index_t t = 0; t < tokens; ++t) {
    const auto add = [&](const std::vector<double>& y) {
      for (index_t c = 0; c < width; ++c) z(image, t, c) += y[static_cast<std::size_t>(c)];
    };
    add(plain_linear(w.out_weight, w.out_bias, mixed[static_cast<std::size_t>(t)]));
    plain_layer_norm(&z(image, t, 0), w.ln_2_weight, w.ln_2_bias, x.data());
    auto p = plain_linear(w.fc_weight, w.fc_bias, x);
    for (double& value : p) value = m.activated(value);
    std::copy(p.begin(), p.end(), &trace.neurons(image, t, 0));
    const auto out = plain_linear(w.proj_weight, w.proj_bias, p);
    if (t == 0) std::copy(out.begin(), out.end(), &trace.mlp_out(image, 0));
    add(out);
  }
}

/// The residual streams [images, tokens, width] that enter block `first`, through the rest.
inline tiny_trace plain_forward(const tiny_clip& m, matrix z, index_t first = 0) {
  const index_t images = z.extent(0), tokens = z.extent(1), width = m.width();
  tiny_trace trace;
  for (index_t l = first; l < m.layers(); ++l) {
    tiny_trace::block b{z.clone(),
                        matrix(shape{images, tokens}),
                        matrix(shape{images, tokens}),
                        matrix(shape{images, m.heads, tokens}),
                        matrix(shape{images, tokens, m.heads, m.d_head()}),
                        matrix(shape{images, tokens, m.neurons()}),
                        matrix(shape{images, width}),
                        matrix(shape{images, m.heads, tokens, tokens})};
    for (index_t i = 0; i < images; ++i) plain_block(m, l, i, z, b);
    trace.blocks.push_back(std::move(b));
  }
  trace.post_mean = matrix(shape{images});
  trace.post_scale = matrix(shape{images});
  trace.representation = matrix(shape{images, m.d_joint()}, 0.0);
  std::vector<double> x(static_cast<std::size_t>(width));
  for (index_t i = 0; i < images; ++i) {
    std::tie(trace.post_mean(i), trace.post_scale(i)) =
        plain_layer_norm(&z(i, 0, 0), m.ln_post_weight, m.ln_post_bias, x.data());
    for (index_t c = 0; c < width; ++c) {
      for (index_t e = 0; e < m.d_joint(); ++e) {
        trace.representation(i, e) += x[static_cast<std::size_t>(c)] * m.projection(c, e);
      }
    }
  }
  trace.stream = std::move(z);
  return trace;
}

/// A model of the fixtures with the published code's numbers for it, and our own trace of it.
struct tiny_fixture {
  tiny_clip model;
  std::map<std::string, matrix> reference;
  tiny_trace trace;
};

inline tiny_fixture load_tiny(const std::string& name) {
  auto w = read_tensors(data(name + ".model.safetensors"));
  tiny_fixture f{{}, read_tensors(data(name + ".ref.safetensors")), {}};
  const std::string prefix = "visual.transformer.resblocks.";
  for (std::size_t l = 0; w.contains(prefix + std::to_string(l) + ".ln_1.weight"); ++l) {
    const auto take = [&](const char* part) {
      return std::move(w.at(prefix + std::to_string(l) + "." + part));
    };
    f.model.blocks.push_back({take("ln_1.weight"), take("ln_1.bias"), take("attn.in_proj_weight"),
                              take("attn.in_proj_bias"), take("attn.out_proj.weight"),
                              take("attn.out_proj.bias"), take("ln_2.weight"), take("ln_2.bias"),
                              take("mlp.c_fc.weight"), take("mlp.c_fc.bias"),
                              take("mlp.c_proj.weight"), take("mlp.c_proj.bias")});
  }
  f.model.ln_post_weight = std::move(w.at("visual.ln_post.weight"));
  f.model.ln_post_bias = std::move(w.at("visual.ln_post.bias"));
  f.model.projection = std::move(w.at("visual.proj"));
  f.model.heads = f.reference.at("attention").extent(2);
  f.model.quick_gelu = name == "tiny-a";
  matrix z(f.reference.at("residual_stream").extents().without(0));
  std::copy_n(f.reference.at("residual_stream").data(), z.size(), z.data());
  f.trace = plain_forward(f.model, std::move(z));
  return f;
}

/// The three models; read and run once.
inline const tiny_fixture& tiny(const std::string& name) {
  static std::map<std::string, tiny_fixture> loaded;
  const auto found = loaded.find(name);
  return found != loaded.end() ? found->second
                               : loaded.emplace(name, load_tiny(name)).first->second;
}

/// A tensor on a backend.
template <tensor_backend B>
typename B::tensor put(const B& be, host_view<const double> x) {
  host_tensor<typename B::scalar> cast(x.extents());
  for (index_t r = 0; r < row_count(x); ++r) {
    const auto from = row_of(x, r);
    const auto to = row_of(cast.view(), r);
    for (index_t i = 0; i < from.size; ++i) to[i] = static_cast<typename B::scalar>(from[i]);
  }
  return on_backend(be, cast);
}

/// A tensor of a backend, back in double.
template <tensor_backend B>
matrix get(const B& be, const_view_of<B> x) {
  const auto host = on_host(be, x);
  matrix result(x.extents());
  std::copy(host.begin(), host.end(), result.begin());
  return result;
}

/// The lens's inputs on a backend.
template <tensor_backend B>
struct lens_inputs {
  lens_weights<B> weights;
  lens_activations<B> activations;
  std::vector<typename B::tensor> memory;

  const_view_of<B> keep(const B& be, host_view<const double> x) {
    memory.push_back(put(be, x));
    return std::as_const(memory.back()).view();
  }
};

template <tensor_backend B>
lens_inputs<B> upload(const B& be, const tiny_clip& m, const tiny_trace& trace) {
  lens_inputs<B> in;
  const index_t width = m.width(), dh = m.d_head();
  const auto keep = [&](host_view<const double> x) { return in.keep(be, x); };
  for (const auto& b : m.blocks) {
    in.weights.blocks.push_back(
        {keep(b.ln_1_weight), keep(b.ln_1_bias),
         keep(b.qkv_weight.view().slice(0, 2 * width, 3 * width)).split(0, dh),
         keep(b.qkv_bias.view().slice(0, 2 * width, 3 * width)).split(0, dh),
         keep(b.out_weight).split(1, dh).permuted({1, 0, 2}), keep(b.out_bias),
         keep(b.proj_weight).transposed(), keep(b.proj_bias)});
  }
  in.weights.ln_post_weight = keep(m.ln_post_weight);
  in.weights.ln_post_bias = keep(m.ln_post_bias);
  in.weights.projection = keep(m.projection);
  for (const auto& b : trace.blocks) {
    in.activations.blocks.push_back({keep(b.mean), keep(b.scale), keep(b.attention), keep(b.values),
                                     keep(b.neurons), keep(b.mlp_out)});
  }
  in.activations.embedding = keep(trace.blocks[0].stream).select(1, 0);
  in.activations.ln_post_mean = keep(trace.post_mean);
  in.activations.ln_post_scale = keep(trace.post_scale);
  in.activations.representation = keep(trace.representation);
  return in;
}

/// The bound that a backend's results are held to, relative to the largest magnitude: the sums
/// here have at most a few thousand terms of one magnitude.
template <class T>
constexpr double identity_bound = sizeof(T) == 4 ? 1e-5 : 1e-10;

}  // namespace solens::test
