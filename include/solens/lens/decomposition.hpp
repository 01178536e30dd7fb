#pragma once

#include <optional>
#include <string>
#include <utility>  // std::move

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/lens/attention_routes.hpp>
#include <solens/lens/head_map.hpp>
#include <solens/lens/scratch.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

/// A batch's representations as sums over what wrote to the class token. All parts together
/// sum to the representation scaled to the norm `coefficient` (or unscaled, in raw units).
template <tensor_backend B>
struct residual_decomposition {
  typename B::tensor attention;  ///< [n_images, n_layers, n_tokens, n_heads, d_joint]
  typename B::tensor mlp;        ///< [n_images, n_layers + 1, d_joint]; row 0 is the embedding,
                                 ///< row l + 1 the MLP of block l, its bias included
  /// In the centered convention, sources of their own:
  std::optional<typename B::tensor> attention_bias;  ///< [n_images, n_layers, d_joint]: the heads'
                                                     ///< shared output bias
  std::optional<typename B::tensor> bias;            ///< [n_images, d_joint]: of ln_post
};

/// Takes representations apart. Keeps its workspace from batch to batch.
///
/// Source: arXiv 2310.05916, eq. 6 to 8; the reference convention shares out means and biases as
/// the authors' code does (yossigandelsman/second_order_lens at 1d4fe4d).
template <tensor_backend B>
class residual_decomposer {
 public:
  /// @param heads        kept by reference, so it must outlive the decomposer
  /// @param coefficient  the norm that all parts sum to; not set for raw units
  explicit residual_decomposer(const head_maps<B>& heads, std::optional<double> coefficient = 100.0)
      : heads_(&heads), readout_(coefficient) {}
  explicit residual_decomposer(head_maps<B>&&, std::optional<double> = {}) = delete;

  /// @param activations  of every block: class_attention [n_images, n_heads, n_tokens], values
  ///                     [n_images, n_tokens, n_heads, d_head], mlp_out [n_images, d_model];
  ///                     embedding, representation, ln_post_scale, and, in the reference
  ///                     convention, ln_post_mean
  /// @throws shape_error naming the activation that does not fit
  /// @note costs 2 * n_layers * n_tokens * d_model * d_joint flops an image
  template <lens_activations_for<B> A>
  residual_decomposition<B> decompose(const B& be, const A& activations) {
    const index_t layers = heads_->n_layers(), e = heads_->d_joint();
    checks::same("decompose", shape{layers}, shape{static_cast<index_t>(activations.blocks.size())},
                 "blocks");
    readout_.update(be, activations);
    const index_t images = readout_.n_images();
    const const_view_of<B> pattern = block(activations, 0).class_attention;
    if (pattern.rank() != 3) {
      throw shape_error("decompose", "[n_images, n_heads, n_tokens]", to_string(pattern.extents()),
                        "blocks.0.class_attention");
    }
    residual_decomposition<B> parts{
        be.allocate(shape{images, layers, pattern.extent(2), heads_->n_heads(), e}),
        be.allocate(shape{images, layers + 1, e}), std::nullopt, std::nullopt};
    const view_of<B> attention = parts.attention.view(), mlp = parts.mlp.view();
    for (index_t l = 0; l < layers; ++l) {
      attention_part(be, l, block(activations, l), attention.select(1, l));
      source_part(be, block(activations, l).mlp_out, "blocks." + std::to_string(l) + ".mlp_out",
                  mlp.select(1, l + 1));
    }
    source_part(be, activations.embedding, "embedding", mlp.select(1, 0));
    if (heads_->how() == convention::centered) {
      add_bias_sources(be, parts);
    } else {
      add_shares(be, activations.ln_post_mean, attention, mlp);
    }
    return parts;
  }

 private:
  using scalar = typename B::scalar;

  template <class A>
  static lens_block_activations<B> block(const A& activations, index_t layer) {
    return activation_views<B>(activations.blocks[static_cast<std::size_t>(layer)]);
  }

  /// gain * O_h (a_t v_t) for each token and head: out [n_images, n_tokens, n_heads, d_joint].
  void attention_part(const B& be, index_t layer, const lens_block_activations<B>& a,
                      view_of<B> out) {
    const index_t images = out.extent(0), tokens = out.extent(1), heads = out.extent(2);
    const index_t d_head = heads_->d_head();
    const std::string name = "blocks." + std::to_string(layer) + ".";
    checks::same("decompose", shape{images, heads, tokens}, a.class_attention.extents(),
                 name + "class_attention");
    checks::same("decompose", shape{images, tokens, heads, d_head}, a.values.extents(),
                 name + "values");
    const view_of<B> weight = weight_.get(be, shape{images, heads, tokens});
    be.multiply(a.class_attention, per_image(shape{heads, tokens}), weight);
    const view_of<B> moved = moved_.get(be, shape{images, tokens, heads, d_head});
    const const_view_of<B> w = weight;
    be.multiply(a.values, w.repeated(d_head).permuted({1, 3, 2, 0}), moved);
    be.batched_gemm(1, const_view_of<B>(moved).permuted({0, 2, 1, 3}),
                    heads_->outputs(layer).transposed().repeated(images), 0,
                    out.permuted({0, 2, 1, 3}));
  }

  /// gain * P^T ln_post' x for x [n_images, d_model].
  void source_part(const B& be, const_view_of<B> x, const std::string& name, view_of<B> out) {
    checks::same("decompose", shape{out.extent(0), heads_->d_model()}, x.extents(), name);
    be.gemm(1, x, heads_->post().map().transposed(), 0, out);
    be.multiply(out, per_image(shape{out.extent(1)}), out);
  }

  void add_bias_sources(const B& be, residual_decomposition<B>& parts) {
    const index_t images = readout_.n_images(), e = heads_->d_joint();
    parts.attention_bias.emplace(be.allocate(shape{images, heads_->n_layers(), e}));
    parts.bias.emplace(be.allocate(shape{images, e}));
    for (index_t l = 0; l < heads_->n_layers(); ++l) {
      be.multiply(heads_->output_bias_image(l).repeated(images), per_image(shape{e}),
                  parts.attention_bias->view().select(1, l));
    }
    be.multiply(heads_->post().bias_image().repeated(images),
                readout_.scale().repeated(e).transposed(), parts.bias->view());
  }

  /// The reference convention's equal shares: of ln_post's mean and bias for every source, of a
  /// block's output bias for its heads and tokens.
  void add_shares(const B& be, const_view_of<B> post_mean, view_of<B> attention, view_of<B> mlp) {
    const index_t images = mlp.extent(0), layers = heads_->n_layers(), e = heads_->d_joint();
    const index_t tokens = attention.extent(2), heads = attention.extent(3);
    checks::same("decompose", shape{images}, post_mean.extents(), "ln_post_mean");
    // whole = scale P b - gain mu P g: what all sources share.
    const view_of<B> whole = whole_.get(be, shape{images, e});
    const view_of<B> part = part_.get(be, shape{images, e});
    be.multiply(heads_->post().mean_image().repeated(images), per_image(shape{e}), whole);
    be.multiply(whole, post_mean.repeated(e).transposed(), whole);
    be.multiply(heads_->post().bias_image().repeated(images),
                readout_.scale().repeated(e).transposed(), part);
    be.axpby(1, part, -1, whole);

    const double sources = static_cast<double>(2 * layers + 1);
    const double cells = static_cast<double>(tokens * heads);
    const const_view_of<B> w = whole, p = part;
    be.axpby(static_cast<scalar>(1 / sources), w.repeated(layers + 1).permuted({1, 0, 2}), 1, mlp);
    for (index_t l = 0; l < layers; ++l) {
      be.multiply(heads_->output_bias_image(l).repeated(images), per_image(shape{e}), part);
      be.axpby(static_cast<scalar>(1 / (sources * cells)), w, static_cast<scalar>(1 / cells), part);
      be.axpby(1, p.repeated(heads).repeated(tokens).permuted({2, 0, 1, 3}), 1,
               attention.select(1, l));
    }
  }

  /// The gain of each image, repeated over other axes.
  const_view_of<B> per_image(const shape& others) const {
    shape extents{readout_.n_images()}, strides{readout_.gain().stride(0)};
    for (index_t n : others) {
      extents.push_back(n);
      strides.push_back(0);
    }
    return {readout_.gain().data(), extents, strides};
  }

  const head_maps<B>* heads_;
  readout_scales<B> readout_;
  scratch<B> weight_, moved_, whole_, part_;
};

}  // namespace solens
