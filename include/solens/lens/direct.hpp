#pragma once

#include <optional>
#include <span>
#include <string>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/lens/attention_routes.hpp>
#include <solens/lens/head_map.hpp>
#include <solens/lens/scratch.hpp>
#include <solens/lens/writer_selection.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

/// The direct (first-order) effects of the writers of one layer: what they add to the class
/// token, through ln_post and the projection only.
///   phi[n] = gain p[0, n] D[n]      D = ln_post' and projection of the writer's direction
/// In the reference convention each writer also has its share of the measured mean and of the
/// biases, so that the writers of a layer sum to its MLP in `residual_decomposition`.
/// Source: arXiv 2406.04341, section 3.2.
template <tensor_backend B>
class direct_map {
 public:
  /// @param heads    of the same weights; kept by reference, so it must outlive the map
  /// @param writers  the ones to look at, in this order; none for all
  /// @throws argument_error for a layer or a writer that is not there
  template <lens_weights_for<B> W>
  direct_map(const B& be, const head_maps<B>& heads, const W& weights, index_t layer,
             std::span<const index_t> writers = {})
      : heads_(&heads),
        layer_(layer),
        selection_(be, heads, weights, layer, writers),
        directions_(be.allocate(shape{selection_.size(), heads.d_joint()})),
        bias_image_(be.allocate(shape{heads.d_joint()})) {
    be.gemm(1, selection_.directions(), heads.post().map().transposed(), 0, directions_.view());
    if (selection_.bias().empty()) {
      be.fill(0, bias_image_.view());
    } else {
      be.gemm(1, selection_.bias().repeated(1), heads.post().map().transposed(), 0,
              bias_image_.view().reshaped(shape{1, heads.d_joint()}));
    }
  }
  direct_map(const B&, head_maps<B>&&, const auto&, index_t,
             std::span<const index_t> = {}) = delete;

  index_t layer() const { return layer_; }
  index_t n_writers() const { return selection_.size(); }

  /// D: [n_writers, d_joint]
  const_view_of<B> directions() const { return directions_.view(); }

  /// @param readout      of the batch
  /// @param activations  of the batch; ln_post_mean is read in the reference convention only
  /// @param writers      [n_images, n_tokens, all writers of the layer], class token first
  /// @param out          overwritten, [n_images, n_writers, d_joint]
  /// @throws shape_error when they do not fit
  template <lens_activations_for<B> A>
  void effects(const B& be, const readout_scales<B>& readout, const A& activations,
               const_view_of<B> writers, view_of<B> out) {
    const index_t images = readout.n_images(), n = n_writers(), e = heads_->d_joint();
    if (writers.rank() != 3 || writers.extent(0) != images || writers.extent(1) < 1 ||
        writers.extent(2) != selection_.all()) {
      throw shape_error("direct_map", to_string(shape{images, -1, selection_.all()}),
                        to_string(writers.extents()),
                        "blocks." + std::to_string(layer_) + ".writers");
    }
    checks::same("direct_map", shape{images, n, e}, out.extents(), "out");
    const view_of<B> p = values_.get(be, shape{images, n});
    selection_.pick(be, writers.select(1, 0), p);
    be.multiply(p, readout.gain().repeated(n).transposed(), p);
    be.multiply(const_view_of<B>(p).repeated(e).permuted({1, 2, 0}), directions().repeated(images),
                out);
    if (heads_->how() == convention::reference) {
      add_shares(be, readout, activations.ln_post_mean, out);
    }
  }

 private:
  /// (gain P^T ln_post' b_writers + (scale P b - gain mu P g) / (2 L + 1)) / N for each writer.
  void add_shares(const B& be, const readout_scales<B>& readout, const_view_of<B> post_mean,
                  view_of<B> out) {
    using scalar = typename B::scalar;
    const index_t images = readout.n_images(), e = heads_->d_joint();
    checks::same("direct_map", shape{images}, post_mean.extents(), "ln_post_mean");
    const double writers = static_cast<double>(selection_.all());
    const double q = writers * static_cast<double>(2 * heads_->n_layers() + 1);
    const view_of<B> share = share_.get(be, shape{images, e});
    const view_of<B> part = part_.get(be, shape{images, e});
    const auto along = [&](const_view_of<B> per_image) {
      return per_image.repeated(e).transposed();
    };
    const auto same = [&](const_view_of<B> vector) { return vector.repeated(images); };
    be.multiply(same(heads_->post().mean_image()), along(post_mean), share);
    be.axpby(static_cast<scalar>(1 / writers), same(bias_image_.view()),
             static_cast<scalar>(-1 / q), share);
    be.multiply(share, along(readout.gain()), share);
    be.multiply(same(heads_->post().bias_image()), along(readout.scale()), part);
    be.axpby(static_cast<scalar>(1 / q), part, 1, share);
    be.axpby(1, const_view_of<B>(share).repeated(n_writers()).permuted({1, 0, 2}), 1, out);
  }

  const head_maps<B>* heads_;
  index_t layer_;
  writer_selection<B> selection_;
  typename B::tensor directions_, bias_image_;
  scratch<B> values_, share_, part_;
};

}  // namespace solens
