#pragma once

#include <algorithm>  // std::min
#include <concepts>
#include <optional>
#include <span>
#include <utility>  // std::as_const

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/lens/attention_routes.hpp>
#include <solens/lens/head_map.hpp>
#include <solens/lens/scratch.hpp>
#include <solens/lens/writer_selection.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

/// The mean activation of each writer over a data set, batch by batch: what mean ablation puts
/// in the place of an activation.
template <tensor_backend B>
class writer_mean {
 public:
  /// @param writers  [n_images, n_tokens, n_writers], the last two as in the first batch
  void add(const B& be, const_view_of<B> writers) {
    if (writers.rank() != 3 || writers.extent(0) == 0) {
      throw shape_error("writer_mean", "[n_images, n_tokens, n_writers], one image or more",
                        to_string(writers.extents()), "writers");
    }
    const shape per_image = writers.extents().without(0);
    if (!mean_) {
      mean_.emplace(be.allocate(per_image));
      be.fill(0, mean_->view());
    }
    checks::same("writer_mean", mean_->view().extents(), per_image, "writers");
    n_images_ += writers.extent(0);
    // A running mean: sums of many images would lose the small ones in float.
    using scalar = typename B::scalar;
    const auto weight = static_cast<scalar>(1.0 / static_cast<double>(n_images_));
    const auto old = static_cast<scalar>(static_cast<double>(n_images_ - writers.extent(0)) /
                                         static_cast<double>(n_images_));
    be.axpby(weight, writers[0], old, mean_->view());
    for (index_t i = 1; i < writers.extent(0); ++i) be.axpby(weight, writers[i], 1, mean_->view());
  }

  index_t n_images() const { return n_images_; }

  /// One mean a token: [n_tokens, n_writers].
  /// @throws argument_error before the first batch
  const_view_of<B> by_token() const {
    if (!mean_) throw argument_error("writer_mean", "one batch or more", "none");
    return std::as_const(*mean_).view();
  }

  /// One mean over images and tokens, in the same extents: [n_tokens, n_writers].
  const_view_of<B> overall(const B& be) {
    const index_t tokens = by_token().extent(0), n = by_token().extent(1);
    const view_of<B> ones = ones_.get(be, shape{1, tokens});
    const view_of<B> mean = overall_.get(be, shape{1, n});
    be.fill(1, ones);
    be.gemm(static_cast<typename B::scalar>(1.0 / static_cast<double>(tokens)), ones, by_token(), 0,
            mean);
    return const_view_of<B>(mean).select(0, 0).repeated(tokens);
  }

 private:
  index_t n_images_ = 0;
  std::optional<typename B::tensor> mean_;
  scratch<B> ones_, overall_;
};

/// Who can finish a forward pass: `finish(streams, representations)` takes residual streams
/// [n, n_tokens, d_model] that enter the block after the ablated layer, which it may overwrite,
/// and writes the representations [n, d_joint].
template <class F, class B>
concept finishes_forward_pass = tensor_backend<B> && std::invocable<F&, view_of<B>, view_of<B>>;

/// The indirect effects of the writers of one layer, by mean ablation: the representation less
/// the one that a second forward pass gives, from the layer on, with one writer held at its mean.
///   phi[n] = scale (M - M(p[:, n] := mean[:, n]))
/// Nothing is linearised here; what the transformer does with the difference is all in it.
/// Source: arXiv 2406.04341, section 3.2.
template <tensor_backend B>
class indirect_map {
 public:
  struct options {
    std::optional<double> coefficient = 100.0;  ///< not set: raw units
    index_t batch = 32;                         ///< streams run through the rest at a time
  };

  /// @param writers  the ones to look at, in this order; none for all
  /// @throws argument_error for a layer or a writer that is not there, or a batch below 1
  template <lens_weights_for<B> W>
  indirect_map(const B& be, const head_maps<B>& heads, const W& weights, index_t layer,
               std::span<const index_t> writers, options how)
      : selection_(be, heads, weights, layer, writers),
        readout_(how.coefficient),
        batch_(how.batch) {
    if (batch_ < 1)
      throw argument_error("indirect_map", "a batch of 1 or more", std::to_string(batch_), "batch");
  }

  index_t n_writers() const { return selection_.size(); }

  /// @param activations  of the batch: representation and ln_post_scale are read
  /// @param streams      [n_images, n_tokens, d_model]: as they leave the layer's block
  /// @param writers      [n_images, n_tokens, all writers of the layer]
  /// @param means        [n_tokens, all writers of the layer]
  /// @param out          overwritten, [n_images, n_writers, d_joint]
  /// @throws shape_error when they do not fit
  /// @note one pass through the later blocks for each image and writer; in the residual stream a
  ///       writer's change is a product of rank one
  template <lens_activations_for<B> A, finishes_forward_pass<B> F>
  void effects(const B& be, const A& activations, const_view_of<B> streams,
               const_view_of<B> writers, const_view_of<B> means, F&& finish, view_of<B> out) {
    readout_.update(be, activations);
    const const_view_of<B> representation = activations.representation;
    const index_t images = readout_.n_images(), e = representation.extent(1);
    const index_t width = selection_.directions().extent(1), n = n_writers();
    const index_t tokens = means.rank() == 2 ? means.extent(0) : 0;
    checks::same("indirect_map", shape{tokens, selection_.all()}, means.extents(), "means");
    checks::same("indirect_map", shape{images, tokens, selection_.all()}, writers.extents(),
                 "writers");
    checks::same("indirect_map", shape{images, tokens, width}, streams.extents(), "streams");
    checks::same("indirect_map", shape{images, n, e}, out.extents(), "out");

    const view_of<B> mean = mean_.get(be, shape{tokens, n});
    const view_of<B> change = change_.get(be, shape{n, tokens});
    selection_.pick(be, means, mean);
    for (index_t image = 0; image < images; ++image) {
      selection_.pick(be, writers[image], change.transposed());
      be.axpby(1, const_view_of<B>(mean).transposed(), -1, change);
      for (index_t begin = 0; begin < n; begin += batch_) {
        const index_t end = std::min(begin + batch_, n);
        const view_of<B> ablated = ablated_.get(be, shape{end - begin, tokens, width});
        be.copy(streams[image].repeated(end - begin), ablated);
        be.batched_gemm(1, const_view_of<B>(change).slice(0, begin, end).split(1, 1),
                        selection_.directions().slice(0, begin, end).split(1, width), 1, ablated);
        finish(ablated, out[image].slice(0, begin, end));
      }
    }
    be.axpby(1, representation.repeated(n).permuted({1, 0, 2}), -1, out);
    const const_view_of<B> scale(readout_.scale().data(), shape{images, n, e}, shape{1, 0, 0});
    be.multiply(out, scale, out);
  }

 private:
  writer_selection<B> selection_;
  readout_scales<B> readout_;
  index_t batch_;
  scratch<B> mean_, change_, ablated_;
};

}  // namespace solens
