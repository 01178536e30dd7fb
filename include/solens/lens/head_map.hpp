#pragma once

#include <string>
#include <utility>  // std::move
#include <vector>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/lens/frozen_norm.hpp>
#include <solens/lens/scratch.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

/// A linear map of low rank as the product left right; views of factors kept elsewhere.
template <tensor_backend B>
struct factored_map {
  const_view_of<B> left;   ///< [d_out, rank]
  const_view_of<B> right;  ///< [rank, d_in]
};

/// out = x map^T, for rows x of vectors.
///
/// @param x     [n, d_in]
/// @param work  holds n * rank numbers
/// @param out   [n, d_out]
/// @note costs 2 * n * rank * (d_in + d_out) flops; the product of the factors is never formed
template <tensor_backend B>
void apply(const B& be, const factored_map<B>& map, const_view_of<B> x, scratch<B>& work,
           view_of<B> out) {
  const view_of<B> inner = work.get(be, shape{x.extent(0), map.right.extent(0)});
  be.gemm(1, x, map.right.transposed(), 0, inner);
  be.gemm(1, inner, map.left.transposed(), 0, out);
}

/// The map that does `first` and then `second`, still factored.
///
/// @param right  overwritten: [rank of second, d_in of first], the right factor of the result,
///               whose left factor is that of `second`
template <tensor_backend B>
factored_map<B> compose(const B& be, const factored_map<B>& second, const factored_map<B>& first,
                        scratch<B>& work, view_of<B> right) {
  const view_of<B> inner =
      work.get(be, shape{second.right.extent(0), first.left.extent(1)});  // [rank, rank]
  be.gemm(1, second.right, first.left, 0, inner);
  be.gemm(1, inner, first.right, 0, right);
  return {second.left, right};
}

/// The dense map, for those who ask for it.
/// @param out  [d_out, d_in]
template <tensor_backend B>
void multiply_out(const B& be, const factored_map<B>& map, view_of<B> out) {
  be.gemm(1, map.left, map.right, 0, out);
}

/// The heads of a transformer as maps from the residual stream to the representation:
///   P^T diag(ln_post) C W_O  W_V diag(ln_1) C     [d_joint, d_head] x [d_head, d_model]
/// without the measured scales, which belong to an image; C centers, in the centered convention.
/// Depends on the weights alone: made once for a model and shared by all layers and questions.
template <tensor_backend B>
class head_maps {
 public:
  /// @throws shape_error naming the weight that does not fit
  /// @note costs 2 * d_joint * d_model^2 flops a block; keeps d_model * (d_model + d_joint)
  ///       numbers a block
  template <lens_weights_for<B> W>
  head_maps(const B& be, const W& weights, convention how)
      : convention_(how), post_(read_post(be, weights, how)) {
    blocks_.reserve(weights.blocks.size());
    for (const auto& w : weights.blocks) {
      add_block(be, weight_views<B>(w), "blocks." + std::to_string(blocks_.size()));
    }
  }

  convention how() const { return convention_; }
  index_t n_layers() const { return static_cast<index_t>(blocks_.size()); }
  index_t n_heads() const { return block(0).values.map().extent(0); }
  index_t d_head() const { return block(0).values.map().extent(1); }
  index_t d_model() const { return post_.map().extent(1); }
  index_t d_joint() const { return post_.map().extent(0); }

  /// ln_post read by the projection: map [d_joint, d_model].
  const frozen_norm<B>& post() const { return post_; }
  /// ln_1 read by the values of a block's heads: map [n_heads, d_head, d_model].
  const frozen_norm<B>& values(index_t layer) const { return block(layer).values; }
  /// [n_heads, d_head], the bias of the values as the weights have it
  const_view_of<B> value_bias(index_t layer) const { return block(layer).value_bias.view(); }
  /// From each head's values to the representation: [n_heads, d_joint, d_head].
  const_view_of<B> outputs(index_t layer) const { return block(layer).outputs.view(); }
  /// [d_joint]: what the heads' shared output bias adds, through ln_post and the projection
  const_view_of<B> output_bias_image(index_t layer) const {
    return block(layer).output_bias_image.view();
  }

  /// One head, [d_joint, d_head] x [d_head, d_model].
  factored_map<B> head(index_t layer, index_t h) const {
    return {outputs(layer)[h], values(layer).map()[h]};
  }

 private:
  using tensor = typename B::tensor;
  struct block_maps {
    frozen_norm<B> values;
    tensor value_bias, outputs, output_bias_image;
  };

  const block_maps& block(index_t layer) const {
    if (layer < 0 || layer >= n_layers()) {
      throw argument_error("head_maps", "a layer below " + std::to_string(n_layers()),
                           std::to_string(layer), "layer");
    }
    return blocks_[static_cast<std::size_t>(layer)];
  }

  template <class W>
  static frozen_norm<B> read_post(const B& be, const W& weights, convention how) {
    const const_view_of<B> projection = weights.projection;
    if (projection.rank() != 2 || weights.blocks.empty()) {
      throw shape_error("head_maps", "a projection [d_model, d_joint] and one block or more",
                        to_string(projection.extents()) + " and " +
                            std::to_string(weights.blocks.size()) + " blocks",
                        "projection");
    }
    return frozen_norm<B>(be, how, weights.ln_post_weight, weights.ln_post_bias,
                          projection.transposed());
  }

  void add_block(const B& be, const lens_block_weights<B>& w, const std::string& name) {
    const index_t d = d_model(), e = d_joint();
    if (w.value_weight.rank() != 3) {
      throw shape_error("head_maps", "[n_heads, d_head, d_model]",
                        to_string(w.value_weight.extents()), name + ".value_weight");
    }
    const index_t n = blocks_.empty() ? w.value_weight.extent(0) : n_heads();
    const index_t dh = blocks_.empty() ? w.value_weight.extent(1) : d_head();
    checks::same("head_maps", shape{d}, w.ln_1_weight.extents(), name + ".ln_1_weight");
    checks::same("head_maps", shape{d}, w.ln_1_bias.extents(), name + ".ln_1_bias");
    checks::same("head_maps", shape{n, dh, d}, w.value_weight.extents(), name + ".value_weight");
    checks::same("head_maps", shape{n, dh}, w.value_bias.extents(), name + ".value_bias");
    checks::same("head_maps", shape{n, d, dh}, w.output_weight.extents(), name + ".output_weight");
    checks::same("head_maps", shape{d}, w.output_bias.extents(), name + ".output_bias");

    block_maps maps{frozen_norm<B>(be, convention_, w.ln_1_weight, w.ln_1_bias, w.value_weight),
                    be.allocate(shape{n, dh}), be.allocate(shape{n, e, dh}), be.allocate(shape{e})};
    be.copy(w.value_bias, maps.value_bias.view());
    be.batched_gemm(1, post_.map().repeated(n), w.output_weight, 0, maps.outputs.view());
    be.gemm(1, post_.map(), w.output_bias.repeated(1).transposed(), 0,
            maps.output_bias_image.view().reshaped(shape{e, 1}));
    blocks_.push_back(std::move(maps));
  }

  convention convention_;
  frozen_norm<B> post_;
  std::vector<block_maps> blocks_;
};

}  // namespace solens
