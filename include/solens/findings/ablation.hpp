#pragma once

#include <algorithm>  // std::min
#include <cmath>      // std::isfinite
#include <cstdint>
#include <memory>  // std::unique_ptr: maps hold references to the heads
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/findings/ablated_layer.hpp>
#include <solens/findings/writer_directions.hpp>
#include <solens/lens/attention_routes.hpp>
#include <solens/lens/effect_norms.hpp>
#include <solens/lens/head_map.hpp>
#include <solens/lens/head_readout.hpp>
#include <solens/lens/second_order.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

struct ablation_options {
  convention how = convention::centered;
  double coefficient = 100;  ///< the norm that a representation is scaled to
  std::uint64_t seed = 0;    ///< of the random controls
};

/// The names of an ablation's rows, in order; `ablation` says what they are.
/// @param sets  names of the sets of directions
inline std::vector<std::string> ablation_rows(const std::vector<std::string>& sets) {
  std::vector<std::string> names{"baseline", "without_neurons", "without_significant",
                                 "without_insignificant"};
  names.insert(names.end(), sets.begin(), sets.end());
  names.insert(names.end(), {"random_directions", "random_neurons", "random_neurons_kept"});
  return names;
}

/// What is left of representations when writers are mean-ablated, in one pass over a stream.
///
/// Of each image and layer, with M the representation scaled to the norm `coefficient`, phi the
/// effects of the writers, phi~ those less their means over the data set that was analysed, and
/// "significant" an effect whose phi~ is longer than the writer's threshold:
///   baseline                M
///   without_neurons         M - sum phi~
///   without_significant     M - sum of the significant phi~
///   without_insignificant   M - sum of the others
///   each set of directions  M - sum phi~ + sum (phi~ . r) r
///                           (principal directions, or what codes say in their place)
///   random_directions       the same with random unit vectors
///   random_neurons          M - sum of phi~ of as many random writers as are significant
///   random_neurons_kept     M - sum of phi~ of all but these
///
/// Nothing of [n_images, n_writers, d_joint] is formed. Lengths and inner products come from
/// coefficients (`effect_norms`); sums over writers, all of them or a few, are taken in the
/// residual stream and go through the later heads once. With K later heads, T tokens, N writers,
/// of which a share q is significant, C = d_model, E = d_joint and R sets of directions, an image
/// costs, in multiply-adds beside its coefficients' K T N,
///   K N (K + R)                  lengths and inner products
///   R N E                        sums along directions
///   2 q K N C                    sums over significant and random writers
///   K T C                        sum over all writers, from the layer's outputs; without these
///                                K N C or T N C + K T C, whichever is less
///   3 K (d_head (C + E))         through the later heads
/// In the reference convention lengths are measured in the joint space and cost K N E.
/// Source: arXiv 2406.04341, sections 3.3 and 4; the random controls are ours.
template <tensor_backend B>
class ablation {
 public:
  using scalar = typename B::scalar;

  /// @param weights  what they view must outlive the ablation
  /// @param layers   one or more, each with later blocks
  /// @throws argument_error for no layer or one without later blocks; shape_error naming the
  ///         finding that does not fit its layer
  /// @note keeps what `ablated_layer::memory` says of each layer, whatever the number of images
  template <lens_weights_for<B> W>
  ablation(const B& be, const W& weights, const std::vector<layer_to_ablate<scalar>>& layers,
           const ablation_options& options)
      : options_(options),
        heads_(std::make_unique<head_maps<B>>(be, weights, options.how)),
        routes_(options.coefficient) {
    if (layers.empty()) throw argument_error("ablation", "one layer or more", "none");
    layers_.reserve(layers.size());
    first_block_ = heads_->n_layers();
    for (const auto& l : layers) {
      layers_.emplace_back(be, *heads_, weights, l, options.seed);
      n_significant_.push_back(0);
      first_block_ = std::min(first_block_, l.layer + 1);
    }
    readout_.emplace(be, *heads_, first_block_);
  }

  index_t n_images() const { return n_images_; }

  /// The names of the rows of layer number `i` of the constructor's, in order.
  std::vector<std::string> rows(std::size_t i) const { return ablation_rows(layers_.at(i).names); }

  /// How many of its n_images() * n_writers effects were significant.
  index_t n_significant(std::size_t i) const { return n_significant_.at(i); }

  /// Ablates a batch.
  ///
  /// @param activations  writers of the layers; ln_1_scale and class_attention of all later
  ///                     blocks; ln_post_scale and representation; the means too in the reference
  ///                     convention
  /// @param take         called with (i, representations [n_rows, n_images, d_joint]) for each
  ///                     layer, which stay until it returns
  /// @param outputs      what all writers of each layer and the bias together add to the residual
  ///                     stream, [n_images, n_tokens, d_model]: `hook_mlp_out`. Computed where
  ///                     there is none
  /// @param names        of the images, for messages; may be empty
  /// @throws format_error naming image and layer where something is NaN or infinite
  template <lens_activations_for<B> A, class F>
  void add(const B& be, const A& activations, F&& take,
           std::span<const const_view_of<B>> outputs = {},
           std::span<const std::string> names = {}) {
    routes_.update(be, activations, first_block_);
    const index_t n = routes_.n_images(), e = heads_->d_joint();
    const view_of<B> base = base_.get(be, {n, e});
    be.multiply(activations.representation, routes_.readout().scale().repeated(e).transposed(),
                base);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      ablated_layer<B>& of = layers_[i];
      measure(be, of, activations, i < outputs.size() ? outputs[i] : const_view_of<B>{}, names);
      sum_chosen(be, of);
      for (const auto& writers : significant_) n_significant_[i] += std::ssize(writers);
      take(i, const_view_of<B>(compose(be, of, base)));
    }
    n_images_ += n;
  }

 private:
  /// The three sums that go through the later heads.
  enum part : index_t { everything, significant, random, n_parts };

  /// Coefficients, centered; of every effect its length and its products with the directions; of
  /// every image the writers that are significant on it and as many random ones.
  template <class A>
  void measure(const B& be, ablated_layer<B>& of, const A& activations, const_view_of<B> outputs,
               std::span<const std::string> names) {
    const index_t n = of.map.n_writers(), k = of.map.n_sources(), images = routes_.n_images();
    const auto writers =
        activation_views<B>(activations.blocks[static_cast<std::size_t>(of.map.layer())]).writers;
    s_ = coefficients_.get(be, {n, images, k});
    of.map.coefficients(be, routes_, writers, s_.permuted({1, 2, 0}));
    z_ = streams_.get(be, {n_parts * images, k, heads_->d_model()});
    sum_all(be, of, writers, outputs);

    rest_ = {};
    if (options_.how == convention::reference) {
      rest_ = rests_.get(be, {images, heads_->d_joint()});
      of.map.rest(be, routes_, activations, rest_);
      be.axpby(-1, const_view_of<B>(of.mean_rest.view()).repeated(images), 1, rest_);
    }
    const index_t r = of.norms.n_vectors();
    const view_of<B> norms = norms_.get(be, {n, images});
    products_ = products_memory_.get(be, {r, n, images});
    of.norms.for_blocks(images, [&](index_t begin, index_t end) {
      const auto mean = const_view_of<B>(of.mean_coefficients.view()).slice(0, begin, end);
      const view_of<B> s = s_.slice(0, begin, end);
      be.axpby(-1, mean.repeated(images).permuted({1, 0, 2}), 1, s);
      of.norms.measure(be, begin, s, rest_, norms.slice(0, begin, end),
                       products_.slice(1, begin, end));
    });
    if (!rest_.empty()) {
      be.batched_gemm(1, of.directions.view(), const_view_of<B>(rest_).transposed().repeated(r), 1,
                      products_);
    }
    choose(be, of, norms, names);
  }

  /// What all writers together send along each route, into the first part of z.
  void sum_all(const B& be, ablated_layer<B>& of, const_view_of<B> writers,
               const_view_of<B> outputs) {
    const const_view_of<B> u = routes_.after(of.map.layer());
    const index_t images = u.extent(0), k = u.extent(1), tokens = u.extent(2);
    const index_t d = heads_->d_model(), n = of.map.n_writers();
    const view_of<B> z = part_of(everything, z_);
    if (outputs.empty() && k <= tokens) {
      return be.gemm(1, const_view_of<B>(s_).reshaped({n, images * k}).transposed(),
                     of.writers.view(), 0, z.reshaped({images * k, d}));
    }
    if (outputs.empty()) {
      const view_of<B> written = written_.get(be, {images, tokens, d});
      be.batched_gemm(1, writers, const_view_of<B>(of.writers.view()).repeated(images), 0, written);
      return be.batched_gemm(1, u, written, 0, z);
    }
    checks::same("ablation", shape{images, tokens, d}, outputs.extents(),
                 "layer " + std::to_string(of.map.layer()) + ": outputs");
    be.batched_gemm(1, u, outputs, 0, z);
    if (of.bias.empty()) return;
    const view_of<B> ones = ones_.get(be, {tokens, 1}),
                     sums = sums_of_routes_.get(be, {images, k, 1});
    be.fill(1, ones);
    be.batched_gemm(1, u, const_view_of<B>(ones).repeated(images), 0, sums);
    be.batched_gemm(-1, sums, of.bias.repeated(1).repeated(images), 1, z);
  }

  void choose(const B& be, ablated_layer<B>& of, const_view_of<B> norms,
              std::span<const std::string> names) {
    const index_t n = norms.extent(0), images = norms.extent(1);
    host_tensor<scalar> host({n, images});
    be.download(norms, host);
    significant_.assign(static_cast<std::size_t>(images), {});
    random_.clear();
    for (index_t w = 0; w < n; ++w) {
      for (index_t i = 0; i < images; ++i) {
        if (!std::isfinite(host(w, i))) refuse(i, of.map.layer(), names);
        if (host(w, i) > of.threshold(w)) significant_[static_cast<std::size_t>(i)].push_back(w);
      }
    }
    for (index_t i = 0; i < images; ++i) {
      const index_t count = std::ssize(significant_[static_cast<std::size_t>(i)]);
      random_.push_back(random_subset(n, count,
                                      {options_.seed, static_cast<std::uint64_t>(of.map.layer()),
                                       static_cast<std::uint64_t>(n_images_ + i)}));
    }
  }

  [[noreturn]] void refuse(index_t image, index_t layer, std::span<const std::string> names) const {
    std::string name = "image " + std::to_string(n_images_ + image);
    if (!names.empty()) name += ", " + names[static_cast<std::size_t>(image)];
    throw format_error("ablation", "finite activations", "NaN or infinity",
                       name + ", layer " + std::to_string(layer));
  }

  /// What the significant writers, and the random ones, send along each route.
  void sum_chosen(const B& be, ablated_layer<B>& of) {
    const index_t images = std::ssize(significant_), k = of.map.n_sources();
    const auto sum = [&](index_t image, const std::vector<index_t>& writers, view_of<B> z) {
      const index_t n = std::ssize(writers);
      if (n == 0) return be.fill(0, z);
      auto positions = be.allocate_indices({n});
      be.upload(host_view<const index_t>(writers.data(), {n}), positions.view());
      const auto chosen = const_index_view_of<B>(positions.view());
      const view_of<B> w = chosen_writers_.get(be, {n, heads_->d_model()});
      const view_of<B> s = chosen_coefficients_.get(be, {n, k});
      be.gather(of.writers.view(), chosen, w);
      be.gather(s_.select(1, image), chosen, s);
      be.gemm(1, const_view_of<B>(s).transposed(), w, 0, z);
    };
    for (index_t i = 0; i < images; ++i) {
      sum(i, significant_[static_cast<std::size_t>(i)], part_of(significant, z_)[i]);
      sum(i, random_[static_cast<std::size_t>(i)], part_of(random, z_)[i]);
    }
  }

  /// The rows, [n_rows, n_images, d_joint].
  view_of<B> compose(const B& be, ablated_layer<B>& of, const_view_of<B> base) {
    const index_t images = base.extent(0), e = base.extent(1), r = of.norms.n_vectors();
    const view_of<B> sums = sums_.get(be, {n_parts * images, e});
    (*readout_)(be, z_, sums);
    be.axpby(-1, const_view_of<B>(of.mean_total.view()).repeated(images), 1,
             part_of(everything, sums));
    if (!rest_.empty()) add_rests(be, of, sums);

    const view_of<B> out = rows_.get(be, {6 + r, images, e});
    const auto difference = [&](const_view_of<B> x, double sign, part p, view_of<B> to) {
      be.copy(x, to);
      be.axpby(static_cast<scalar>(sign), part_of(p, sums), 1, to);
    };
    be.copy(base, out[0]);
    difference(base, -1, everything, out[1]);
    difference(base, -1, significant, out[2]);
    difference(out[1], 1, significant, out[3]);
    const view_of<B> along = out.slice(0, 4, 4 + r);
    be.copy(const_view_of<B>(out[1]).repeated(r), along);
    be.batched_gemm(1, const_view_of<B>(products_).transposed(), of.directions.view(), 1, along);
    difference(base, -1, random, out[4 + r]);
    difference(out[1], 1, random, out[5 + r]);
    return out;
  }

  /// The rests of the writers that are summed over, as many times as there are writers.
  void add_rests(const B& be, const ablated_layer<B>& of, view_of<B> sums) {
    const index_t images = std::ssize(significant_), e = heads_->d_joint();
    be.axpby(static_cast<scalar>(of.map.n_writers()), rest_, 1, part_of(everything, sums));
    host_tensor<scalar> host({images});
    for (index_t i = 0; i < images; ++i) {
      host(i) = static_cast<scalar>(significant_[static_cast<std::size_t>(i)].size());
    }
    const view_of<B> counts = counts_.get(be, {images}), times = times_.get(be, {images, e});
    be.upload(host_view<const scalar>(host), counts);
    be.multiply(rest_, const_view_of<B>(counts).repeated(e).transposed(), times);
    be.axpby(1, times, 1, part_of(significant, sums));
    be.axpby(1, times, 1, part_of(random, sums));
  }

  /// One of the parts that stand one after the other along the first axis.
  static view_of<B> part_of(part p, view_of<B> x) {
    const index_t n = x.extent(0) / n_parts;
    return x.slice(0, p * n, (p + 1) * n);
  }

  ablation_options options_;
  std::unique_ptr<head_maps<B>> heads_;
  attention_routes<B> routes_;
  std::vector<ablated_layer<B>> layers_;
  std::vector<index_t> n_significant_;  ///< by layer
  index_t first_block_ = 0;             ///< that any layer reaches
  std::optional<head_readout<B>> readout_;
  index_t n_images_ = 0;

  // Of the batch and layer in hand.
  view_of<B> s_;         ///< [n_writers, n_images, n_sources], centered
  view_of<B> products_;  ///< [R, n_writers, n_images]
  view_of<B> rest_;      ///< [n_images, d_joint], centered; empty in the centered convention
  view_of<B> z_;         ///< [n_parts * n_images, n_sources, d_model]
  std::vector<std::vector<index_t>> significant_, random_;  ///< writers by image
  scratch<B> base_, coefficients_, streams_, rests_, norms_, products_memory_, written_, ones_,
      sums_of_routes_, chosen_writers_, chosen_coefficients_, sums_, rows_, counts_, times_;
};

}  // namespace solens
