#pragma once

#include <string>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/lens/attention_routes.hpp>
#include <solens/lens/head_map.hpp>
#include <solens/lens/scratch.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

/// The part of a second-order effect that does not hold the writer's activation: the equal
/// shares of measured means and of biases that the reference convention gives each writer.
/// One vector rho_k an image and later head, the same for every writer of the layer.
///
/// With nt = (1 + 2 l') N and nt2 = (1 + 2 l') (1 + 2 L) H N, for N writers and head (l', h):
///   rho = gain O (V b / N A0 - V' / nt A1 + (V'' + b_V) / nt A2)
///       + gain (P b_O H / nt H' - P g mu_p / nt2) + scale P b / nt2
/// where A0, A1, A2 sum attention / sigma, attention mu / sigma and attention over tokens, V',
/// V'' are the values of ln_1's weight and bias, and P g, P b are ln_post's weight and bias
/// under the projection. Each of the six vectors is made once; an image brings six numbers.
/// Source: the authors' code, yossigandelsman/second_order_lens at 1d4fe4d.
template <tensor_backend B>
class reference_shares {
 public:
  static constexpr index_t n_parts = 6;

  /// @param layer        whose writers share
  /// @param n_writers    how many they are
  /// @param writer_bias  [d_model], of the layer's MLP; an empty view for none
  reference_shares(const B& be, const head_maps<B>& heads, index_t layer, index_t n_writers,
                   const_view_of<B> writer_bias)
      : first_(layer + 1),
        n_heads_(heads.n_heads()),
        vectors_(
            be.allocate(shape{(heads.n_layers() - first_) * n_heads_, n_parts, heads.d_joint()})) {
    for (index_t block = first_; block < heads.n_layers(); ++block) {
      const index_t k = (block - first_) * n_heads_;
      fill_block(be, heads, block, static_cast<double>(n_writers), writer_bias,
                 vectors_.view().slice(0, k, k + n_heads_));
    }
  }

  /// @param out  overwritten, [n_images, sources, d_joint]: rho of each later head
  template <lens_activations_for<B> A>
  void terms(const B& be, const attention_routes<B>& routes, const A& activations, view_of<B> out) {
    const const_view_of<B> weights = measure(be, routes, activations);
    be.batched_gemm(1, weights.permuted({1, 0, 2}), vectors_.view(), 0, out.permuted({1, 0, 2}));
  }

  /// @param out  overwritten, [n_images, d_joint]: rho summed over the later heads
  template <lens_activations_for<B> A>
  void total(const B& be, const attention_routes<B>& routes, const A& activations, view_of<B> out) {
    const const_view_of<B> weights = measure(be, routes, activations);
    const index_t n = vectors_.view().extent(0) * n_parts;
    be.gemm(1, weights.reshaped(shape{weights.extent(0), n}),
            vectors_.view().reshaped(shape{n, vectors_.view().extent(2)}), 0, out);
  }

 private:
  using scalar = typename B::scalar;

  /// @param out  [n_heads, n_parts, d_joint]
  static void fill_block(const B& be, const head_maps<B>& heads, index_t block, double n,
                         const_view_of<B> writer_bias, view_of<B> out) {
    const index_t n_heads = heads.n_heads(), d_head = heads.d_head();
    const auto sources_before = static_cast<double>(1 + 2 * block);
    const auto sources = static_cast<double>(1 + 2 * heads.n_layers());
    const double nt = sources_before * n;
    const double per_head = nt * static_cast<double>(n_heads), nt2 = per_head * sources;

    auto inner = be.allocate(shape{n_heads, d_head, 3});
    const auto part = [&](index_t i) { return inner.view().select(2, i); };
    const frozen_norm<B>& values = heads.values(block);
    if (writer_bias.empty()) {
      be.fill(0, part(0));
    } else {
      be.batched_gemm(static_cast<scalar>(1 / n), values.map(),
                      writer_bias.repeated(1).transposed().repeated(n_heads), 0,
                      inner.view().slice(2, 0, 1));
    }
    be.axpby(static_cast<scalar>(-1 / nt), values.mean_image(), 0, part(1));
    be.axpby(static_cast<scalar>(1 / nt), values.bias_image(), 0, part(2));
    be.axpby(static_cast<scalar>(1 / nt), heads.value_bias(block), 1, part(2));
    be.batched_gemm(1, heads.outputs(block), inner.view(), 0, out.slice(1, 0, 3).transposed());

    const auto share = [&](double factor, const_view_of<B> vector, index_t i) {
      be.axpby(static_cast<scalar>(factor), vector.repeated(n_heads), 0, out.select(1, i));
    };
    share(1 / per_head, heads.output_bias_image(block), 3);
    share(-1 / nt2, heads.post().mean_image(), 4);
    share(1 / nt2, heads.post().bias_image(), 5);
  }

  /// The six numbers of each image and later head: [n_images, sources, n_parts].
  template <class A>
  const_view_of<B> measure(const B& be, const attention_routes<B>& routes, const A& activations) {
    const const_view_of<B> u = routes.after(first_ - 1);
    const const_view_of<B> gain = routes.readout().gain(), scale = routes.readout().scale();
    const index_t images = u.extent(0), sources = u.extent(1), tokens = u.extent(2);
    checks::same("reference_shares", shape{vectors_.view().extent(0)}, shape{sources}, "routes");
    const view_of<B> weights = weights_.get(be, shape{images, sources, n_parts});
    const view_of<B> ones = ones_.get(be, shape{tokens, 1});
    be.fill(1, ones);
    be.batched_gemm(1, u, const_view_of<B>(ones).repeated(images), 0, weights.slice(2, 0, 1));
    for (index_t k = 0; k < sources; k += n_heads_) {
      const auto a =
          activation_views<B>(activations.blocks[static_cast<std::size_t>(first_ + k / n_heads_)]);
      checks::same("reference_shares", shape{images, tokens}, a.ln_1_mean.extents(),
                   "blocks." + std::to_string(first_ + k / n_heads_) + ".ln_1_mean");
      const view_of<B> to = weights.slice(1, k, k + n_heads_);
      be.batched_gemm(1, u.slice(1, k, k + n_heads_), a.ln_1_mean.split(1, 1), 0,
                      to.slice(2, 1, 2));
      be.batched_gemm(1, a.class_attention, const_view_of<B>(ones).repeated(images), 0,
                      to.slice(2, 2, 3));
    }
    const auto all_heads = [&](const_view_of<B> per_image) {
      return per_image.repeated(sources).transposed();
    };
    be.multiply(weights.select(2, 2), all_heads(gain), weights.select(2, 2));
    be.copy(all_heads(gain), weights.select(2, 3));
    be.multiply(all_heads(gain), all_heads(activations.ln_post_mean), weights.select(2, 4));
    be.copy(all_heads(scale), weights.select(2, 5));
    return weights;
  }

  index_t first_, n_heads_;
  typename B::tensor vectors_;  ///< [sources, n_parts, d_joint]
  scratch<B> weights_, ones_;
};

}  // namespace solens
