#pragma once

#include <optional>
#include <string>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/lens/scratch.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

/// The factors that turn contributions to the class token into parts of the representation.
///
/// scale = coefficient / ||M||: parts then sum to the representation scaled to the norm
/// `coefficient`. gain = scale / ln_post_scale. Not setting the coefficient keeps raw units,
/// scale = 1.
template <tensor_backend B>
class readout_scales {
 public:
  explicit readout_scales(std::optional<double> coefficient = 100.0) : coefficient_(coefficient) {}

  /// Takes over a batch's representation [n_images, d_joint] and ln_post_scale [n_images].
  /// @throws shape_error when they do not fit
  template <lens_activations_for<B> A>
  void update(const B& be, const A& activations) {
    const const_view_of<B> representation = activations.representation;
    const const_view_of<B> sigma = activations.ln_post_scale;
    if (representation.rank() != 2) {
      throw shape_error("readout_scales", "[n_images, d_joint]",
                        to_string(representation.extents()), "representation");
    }
    n_images_ = representation.extent(0);
    checks::same("readout_scales", shape{n_images_}, sigma.extents(), "ln_post_scale");
    const view_of<B> norm = norm_.get(be, shape{n_images_});
    scale_view_ = scale_.get(be, shape{n_images_});
    gain_view_ = gain_.get(be, shape{n_images_});
    using scalar = typename B::scalar;
    be.fill(coefficient_ ? static_cast<scalar>(*coefficient_) : scalar{1}, scale_view_);
    if (coefficient_) {
      be.row_norms(representation, norm);
      be.divide(scale_view_, norm, scale_view_);
    }
    be.divide(scale_view_, sigma, gain_view_);
  }

  index_t n_images() const { return n_images_; }
  const_view_of<B> scale() const { return scale_view_; }  ///< [n_images]
  const_view_of<B> gain() const { return gain_view_; }    ///< [n_images]

 private:
  std::optional<double> coefficient_;
  index_t n_images_ = 0;
  scratch<B> norm_, scale_, gain_;
  view_of<B> scale_view_, gain_view_;
};

/// How much of what a block adds at each token reaches the representation through each later
/// head: u[k, t] = gain * class attention[k, t] / ln_1_scale[t], with k = (layer, head), later
/// block outermost. The part of a second-order effect that depends on the image but not on the
/// writer; made once for a batch and shared by all layers.
///
/// Source: arXiv 2406.04341, eq. 5 and 11.
template <tensor_backend B>
class attention_routes {
 public:
  explicit attention_routes(std::optional<double> coefficient = 100.0) : readout_(coefficient) {}

  /// Takes over a batch, for the heads of the blocks from `first` to the last.
  ///
  /// @param activations  of those blocks: ln_1_scale [n_images, n_tokens] and class_attention
  ///                     [n_images, n_heads, n_tokens]; besides representation, ln_post_scale
  /// @throws shape_error naming the activation that does not fit; argument_error for a block
  ///                     that is not there
  /// @note costs one multiplication a head and token; allocates nothing after the first batch
  template <lens_activations_for<B> A>
  void update(const B& be, const A& activations, index_t first) {
    const auto n_blocks = static_cast<index_t>(activations.blocks.size());
    if (first < 0 || first >= n_blocks) {
      throw argument_error("attention_routes", "a first block below " + std::to_string(n_blocks),
                           std::to_string(first), "first");
    }
    readout_.update(be, activations);
    const const_view_of<B> pattern = block(activations, first).class_attention;
    if (pattern.rank() != 3) {
      throw shape_error("attention_routes", "[n_images, n_heads, n_tokens]",
                        to_string(pattern.extents()), name(first) + "class_attention");
    }
    const index_t images = readout_.n_images(), heads = pattern.extent(1);
    const index_t tokens = pattern.extent(2), later = n_blocks - first;
    first_ = first;
    n_heads_ = heads;
    // Token by token, as products with what is written there read them fastest.
    view_ = routes_.get(be, shape{images, tokens, later * heads}).transposed();
    const view_of<B> weight = weight_.get(be, shape{images, tokens});
    for (index_t i = 0; i < later; ++i) {
      const auto a = block(activations, first + i);
      checks::same("attention_routes", shape{images, tokens}, a.ln_1_scale.extents(),
                   name(first + i) + "ln_1_scale");
      checks::same("attention_routes", shape{images, heads, tokens}, a.class_attention.extents(),
                   name(first + i) + "class_attention");
      be.divide(readout_.gain().repeated(tokens).transposed(), a.ln_1_scale, weight);
      be.multiply(a.class_attention, const_view_of<B>(weight).repeated(heads).permuted({1, 0, 2}),
                  view_.slice(1, i * heads, (i + 1) * heads));
    }
  }

  index_t n_images() const { return readout_.n_images(); }
  const readout_scales<B>& readout() const { return readout_; }

  /// The routes through the heads of the blocks after `layer`: [n_images, sources, n_tokens],
  /// until the next update.
  /// @throws argument_error when the routes start later
  const_view_of<B> after(index_t layer) const {
    if (layer + 1 < first_) {
      throw argument_error("attention_routes", "a block from " + std::to_string(first_) + " on",
                           std::to_string(layer + 1), "layer");
    }
    const const_view_of<B> all = view_;
    return all.slice(1, (layer + 1 - first_) * n_heads_, all.extent(1));
  }

 private:
  template <class A>
  static lens_block_activations<B> block(const A& activations, index_t layer) {
    return activation_views<B>(activations.blocks[static_cast<std::size_t>(layer)]);
  }
  static std::string name(index_t layer) { return "blocks." + std::to_string(layer) + "."; }

  readout_scales<B> readout_;
  index_t first_ = 0, n_heads_ = 0;
  scratch<B> routes_, weight_;
  view_of<B> view_;
};

}  // namespace solens
