#pragma once

#include <cstddef>  // std::size_t
#include <optional>
#include <string>
#include <utility>  // std::move
#include <vector>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/error.hpp>
#include <solens/lens/attention_routes.hpp>
#include <solens/lens/head_map.hpp>
#include <solens/lens/scratch.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

/// One attention head of a model.
struct head_place {
  index_t layer, head;
  friend auto operator<=>(const head_place&, const head_place&) = default;
};

/// What attention heads write to the representation, summed over tokens, in factored form.
///
/// Head k of some blocks contributes W[k] x[k], with x[k] = gain sum_t a[k, t] v[k, t]: the
/// coordinates x, d_head numbers, hold all that an image brings, and W all that the weights do. So
/// means and covariances of contributions are those of coordinates, which are small.
/// Contributions are the attention parts of `residual_decomposition`, summed over tokens, in the
/// centered convention; what the reference convention adds to them is of no head alone.
/// Source: arXiv 2310.05916, eq. 8.
template <tensor_backend B>
class head_outputs {
 public:
  /// @param heads        kept by reference, so it must outlive this; of the centered convention
  /// @param places       of the heads to look at, in the order of sources; may be none
  /// @param coefficient  the norm that representations are scaled to; not set for raw units
  /// @throws argument_error for a head that is not there, or the reference convention
  head_outputs(const head_maps<B>& heads, std::vector<head_place> places,
               std::optional<double> coefficient = 100.0)
      : heads_(&heads), places_(std::move(places)), readout_(coefficient) {
    if (heads.how() != convention::centered) {
      throw argument_error("head_outputs", "maps of the centered convention", "the reference one",
                           "heads");
    }
    for (const head_place& p : places_) {
      if (p.layer >= 0 && p.layer < heads.n_layers() && p.head >= 0 && p.head < heads.n_heads()) {
        continue;
      }
      throw argument_error("head_outputs",
                           "heads 0.0 to " + std::to_string(heads.n_layers() - 1) + "." +
                               std::to_string(heads.n_heads() - 1),
                           std::to_string(p.layer) + "." + std::to_string(p.head), "places");
    }
  }
  head_outputs(head_maps<B>&&, std::vector<head_place>, std::optional<double> = {}) = delete;

  const std::vector<head_place>& places() const { return places_; }
  index_t n_sources() const { return std::ssize(places_); }
  index_t d_head() const { return heads_->d_head(); }
  index_t d_joint() const { return heads_->d_joint(); }

  /// W of a source, [d_joint, d_head].
  const_view_of<B> map(index_t source) const {
    const head_place& p = places_[static_cast<std::size_t>(source)];
    return heads_->outputs(p.layer)[p.head];
  }

  /// The coordinates of a batch.
  ///
  /// @param activations  of the blocks of the heads: class_attention [n_images, n_heads, n_tokens],
  ///                     values [n_images, n_tokens, n_heads, d_head]; besides representation and
  ///                     ln_post_scale
  /// @returns            [n_images, n_sources, d_head], until the next call
  /// @throws shape_error naming the activation that does not fit
  /// @note costs 2 * n_tokens * d_head flops a head and image; allocates nothing after the first
  ///       batch
  template <lens_activations_for<B> A>
  const_view_of<B> coordinates(const B& be, const A& activations) {
    checks::same("head_outputs", shape{heads_->n_layers()},
                 shape{static_cast<index_t>(activations.blocks.size())}, "blocks");
    readout_.update(be, activations);
    const index_t images = readout_.n_images();
    const view_of<B> out = coordinates_.get(be, shape{images, n_sources(), d_head()});
    for (index_t k = 0; k < n_sources(); ++k) {
      const head_place& p = places_[static_cast<std::size_t>(k)];
      const auto a = activation_views<B>(activations.blocks[static_cast<std::size_t>(p.layer)]);
      const std::string name = "blocks." + std::to_string(p.layer) + ".";
      const index_t tokens = a.class_attention.rank() == 3 ? a.class_attention.extent(2) : 0;
      checks::same("head_outputs", shape{images, heads_->n_heads(), tokens},
                   a.class_attention.extents(), name + "class_attention");
      checks::same("head_outputs", shape{images, tokens, heads_->n_heads(), d_head()},
                   a.values.extents(), name + "values");
      be.batched_gemm(1, a.class_attention.slice(1, p.head, p.head + 1), a.values.select(2, p.head),
                      0, out.slice(1, k, k + 1));
    }
    const const_view_of<B> gain = readout_.gain();
    be.multiply(out, gain.repeated(d_head()).repeated(n_sources()).permuted({2, 0, 1}), out);
    return out;
  }

  /// The scales of the batch last seen.
  const readout_scales<B>& readout() const { return readout_; }

 private:
  const head_maps<B>* heads_;
  std::vector<head_place> places_;
  readout_scales<B> readout_;
  scratch<B> coordinates_;
};

/// Every head of some blocks, block by block.
inline std::vector<head_place> heads_of(const std::vector<index_t>& layers, index_t n_heads) {
  std::vector<head_place> places;
  for (const index_t layer : layers) {
    for (index_t head = 0; head < n_heads; ++head) places.push_back({layer, head});
  }
  return places;
}

}  // namespace solens
