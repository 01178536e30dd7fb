#pragma once

#include <vector>

#include <solens/lens/frozen_norm.hpp>

#include "lens/tiny_clip.hpp"

/// The quantities of the lens written out term by term, in double: slow and as the papers have
/// them (arXiv 2310.05916, arXiv 2406.04341), one vector at a time.
namespace solens::test {

using vector = std::vector<double>;

inline double norm_of(const matrix& x, index_t row) {
  double sum = 0;
  for (index_t e = 0; e < x.extent(1); ++e) sum += x(row, e) * x(row, e);
  return std::sqrt(sum);
}

/// weight * (x - mean share) / scale + bias share: one source through a LayerNorm.
inline vector through_norm(const vector& x, const matrix& weight, const matrix& bias, double mean,
                           double scale, double share, convention how) {
  double own_mean = 0;
  for (double v : x) own_mean += v / static_cast<double>(x.size());
  vector y(x.size());
  for (std::size_t c = 0; c < x.size(); ++c) {
    const auto i = static_cast<index_t>(c);
    y[c] = how == convention::centered
               ? weight(i) * (x[c] - own_mean) / scale
               : weight(i) * (x[c] - share * mean) / scale + share * bias(i);
  }
  return y;
}

/// 100 / ||M|| * ln_post(x) P for a part x of the class token with its share of the rest.
inline vector to_representation(const tiny_clip& m, const tiny_trace& trace, index_t image,
                                const vector& x, double share, convention how) {
  const vector y = through_norm(x, m.ln_post_weight, m.ln_post_bias, trace.post_mean(image),
                                trace.post_scale(image), share, how);
  vector out(static_cast<std::size_t>(m.d_joint()), 0.0);
  const double scale = 100 / norm_of(trace.representation, image);
  for (index_t c = 0; c < m.width(); ++c) {
    for (index_t e = 0; e < m.d_joint(); ++e) {
      out[static_cast<std::size_t>(e)] +=
          scale * y[static_cast<std::size_t>(c)] * m.projection(c, e);
    }
  }
  return out;
}

/// W_O W_V of a head applied to a vector, plus the value bias times a share.
inline vector through_head(const tiny_clip& m, index_t block, index_t h, const vector& x,
                           double bias_share) {
  vector r(static_cast<std::size_t>(m.width()), 0.0);
  for (index_t i = 0; i < m.d_head(); ++i) {
    double v = bias_share * m.value_bias(block, h, i);
    for (index_t c = 0; c < m.width(); ++c) {
      v += m.value_weight(block, h, i, c) * x[static_cast<std::size_t>(c)];
    }
    for (index_t c = 0; c < m.width(); ++c) {
      r[static_cast<std::size_t>(c)] += m.output_weight(block, h, c, i) * v;
    }
  }
  return r;
}

/// The second-order term, through head h of `block`, of what is added to the residual stream at
/// each token: contributions [tokens][width] of one of `n` writers.
inline vector second_order_term(const tiny_clip& m, const tiny_trace& trace, index_t image,
                                const std::vector<vector>& added, double n, index_t block,
                                index_t h, convention how) {
  const bool reference = how == convention::reference;
  const auto before = static_cast<double>(1 + 2 * block);
  const auto all = static_cast<double>(1 + 2 * m.layers());
  const auto heads = static_cast<double>(m.heads);
  const auto& a = trace.at(block);
  vector r(static_cast<std::size_t>(m.width()), 0.0);
  for (index_t t = 0; t < trace.tokens(); ++t) {
    const vector x = through_norm(added[static_cast<std::size_t>(t)], m.at(block).ln_1_weight,
                                  m.at(block).ln_1_bias, a.mean(image, t), a.scale(image, t),
                                  1 / (before * n), how);
    const vector moved = through_head(m, block, h, x, reference ? 1 / (before * n) : 0);
    for (std::size_t c = 0; c < r.size(); ++c) r[c] += a.attention(image, h, t) * moved[c];
  }
  if (reference) {
    for (index_t c = 0; c < m.width(); ++c) {
      r[static_cast<std::size_t>(c)] += m.at(block).out_bias(c) / (before * heads * n);
    }
  }
  return to_representation(m, trace, image, r, 1 / (before * all * heads * n), how);
}

/// What neuron n of a layer adds at each token; in the reference convention with its share of
/// the output bias.
inline std::vector<vector> neuron_writes(const tiny_clip& m, const tiny_trace& trace, index_t image,
                                         index_t layer, index_t n, convention how) {
  std::vector<vector> x;
  for (index_t t = 0; t < trace.tokens(); ++t) {
    x.emplace_back();
    for (index_t c = 0; c < m.width(); ++c) {
      const double bias = m.at(layer).proj_bias(c) / static_cast<double>(m.neurons());
      x.back().push_back(trace.at(layer).neurons(image, t, n) * m.at(layer).proj_weight(c, n) +
                         (how == convention::reference ? bias : 0));
    }
  }
  return x;
}

}  // namespace solens::test
