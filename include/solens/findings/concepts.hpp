#pragma once

#include <algorithm>  // std::min, std::stable_sort
#include <cmath>      // std::isfinite
#include <cstddef>    // std::size_t
#include <memory>     // std::unique_ptr: maps hold references to the heads
#include <span>
#include <string>
#include <unordered_map>
#include <utility>  // std::pair
#include <vector>

#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/findings/found_layer.hpp>
#include <solens/findings/said_words.hpp>
#include <solens/lens/attention_routes.hpp>
#include <solens/lens/effect_norms.hpp>
#include <solens/lens/head_map.hpp>
#include <solens/lens/second_order.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

/// The writers whose effects on an image are significant: longer, less the mean effect over the
/// images of the analysis, than the writer's threshold. Their words are the image's concepts:
///
///     words_said_by(significant(be, activations)[image], codes)
///
/// Source: arXiv 2406.04341, appendix A.5.
template <tensor_backend B>
class significant_writers {
 public:
  using scalar = typename B::scalar;

  /// @param weights      what they view must outlive this
  /// @param layers       one or more, each with later blocks
  /// @param coefficient  the norm of the analysis that a representation is scaled to
  /// @throws argument_error for no layer or one without later blocks; shape_error naming the
  ///         finding that does not fit its layer
  /// @note keeps what `memory` says of each layer
  template <lens_weights_for<B> W>
  significant_writers(const B& be, const W& weights, const std::vector<found_layer<scalar>>& layers,
                      convention how = convention::centered, double coefficient = 100)
      : heads_(std::make_unique<head_maps<B>>(be, weights, how)), routes_(coefficient) {
    if (layers.empty()) throw argument_error("significant_writers", "one layer or more", "none");
    layers_.reserve(layers.size());
    first_block_ = heads_->n_layers();
    for (const auto& found : layers) {
      layers_.emplace_back(be, *heads_, weights, found);
      first_block_ = std::min(first_block_, found.layer + 1);
    }
  }

  /// Bytes that a layer takes.
  static std::size_t memory(index_t n_writers, index_t n_sources, index_t d_joint, convention how) {
    const bool joint = how == convention::reference || n_sources >= d_joint;
    return sizeof(scalar) * static_cast<std::size_t>(n_writers) *
           static_cast<std::size_t>(n_sources * ((joint ? d_joint : n_sources) + 1));
  }

  /// @param activations  of a batch: writers of the layers; ln_1_scale and class_attention of all
  ///                     later blocks; ln_post_scale and representation; the means too in the
  ///                     reference convention
  /// @param names        of the images, for messages; may be empty
  /// @returns            by image, with the lengths of the centered effects; layers in the order
  ///                     of the constructor's, writers ascending
  /// @throws format_error naming image and layer where something is NaN or infinite
  template <lens_activations_for<B> A>
  std::vector<std::vector<weighted_writer>> operator()(const B& be, const A& activations,
                                                       std::span<const std::string> names = {}) {
    routes_.update(be, activations, first_block_);
    std::vector<std::vector<weighted_writer>> significant(
        static_cast<std::size_t>(routes_.n_images()));
    for (layer_state& of : layers_) {
      const host_tensor<scalar> norms = measure(be, of, activations);
      for (index_t w = 0; w < norms.extent(0); ++w) {
        for (index_t i = 0; i < norms.extent(1); ++i) {
          if (!std::isfinite(norms(w, i))) refuse(i, of.map.layer(), names);
          if (norms(w, i) <= of.threshold(w)) continue;
          significant[static_cast<std::size_t>(i)].push_back(
              {of.map.layer(), w, static_cast<double>(norms(w, i))});
        }
      }
    }
    return significant;
  }

 private:
  struct layer_state {
    template <class W>
    layer_state(const B& be, const head_maps<B>& heads, const W& weights,
                const found_layer<scalar>& found)
        : map(be, heads, weights, found.layer),
          norms(frames(be, heads, weights, found)),
          mean_coefficients(be.allocate({map.n_writers(), map.n_sources()})),
          mean_rest(be.allocate({map.d_joint()})),
          threshold(tolerant_threshold(found)) {
      be.upload(found.mean_coefficients, mean_coefficients.view());
      const host_tensor<double> rest = rest_of_means(be, map, mean_coefficients.view(), found);
      host_tensor<scalar> rounded(rest.extents());
      for (index_t j = 0; j < rest.size(); ++j) rounded(j) = static_cast<scalar>(rest(j));
      be.upload(host_view<const scalar>(rounded), mean_rest.view());
    }

    /// From a map of its own, whose memory for building goes with it.
    template <class W>
    static effect_norms<B> frames(const B& be, const head_maps<B>& heads, const W& weights,
                                  const found_layer<scalar>& found) {
      second_order_map<B> map(be, heads, weights, found.layer);
      check_fit("significant_writers", found, map.n_writers(), map.n_sources(), map.d_joint());
      return effect_norms<B>(be, map);
    }

    second_order_map<B> map;
    effect_norms<B> norms;
    typename B::tensor mean_coefficients;  ///< [n_writers, n_sources]
    typename B::tensor mean_rest;          ///< [d_joint]; zero in the centered convention
    host_tensor<scalar> threshold;         ///< [n_writers], raised by what rounding may do
  };

  /// Lengths of the centered effects, [n_writers, n_images].
  template <class A>
  host_tensor<scalar> measure(const B& be, layer_state& of, const A& activations) {
    const index_t n = of.map.n_writers(), images = routes_.n_images();
    const auto writers =
        activation_views<B>(activations.blocks[static_cast<std::size_t>(of.map.layer())]).writers;
    const view_of<B> s = coefficients_.get(be, {n, images, of.map.n_sources()});
    of.map.coefficients(be, routes_, writers, s.permuted({1, 2, 0}));
    view_of<B> rest;
    if (of.map.how() == convention::reference) {
      rest = rests_.get(be, {images, of.map.d_joint()});
      of.map.rest(be, routes_, activations, rest);
      be.axpby(-1, const_view_of<B>(of.mean_rest.view()).repeated(images), 1, rest);
    }
    const view_of<B> norms = norms_.get(be, {n, images});
    of.norms.for_blocks(images, [&](index_t begin, index_t end) {
      const view_of<B> part = s.slice(0, begin, end);
      const auto mean = const_view_of<B>(of.mean_coefficients.view()).slice(0, begin, end);
      be.axpby(-1, mean.repeated(images).permuted({1, 0, 2}), 1, part);
      of.norms.measure(be, begin, part, rest, norms.slice(0, begin, end), {});
    });
    host_tensor<scalar> host({n, images});
    be.download(const_view_of<B>(norms), host);
    return host;
  }

  [[noreturn]] static void refuse(index_t image, index_t layer,
                                  std::span<const std::string> names) {
    const std::string name = names.empty() ? "image " + std::to_string(image) + " of the batch"
                                           : names[static_cast<std::size_t>(image)];
    throw format_error("significant_writers", "finite activations", "NaN or infinity",
                       name + ", layer " + std::to_string(layer));
  }

  std::unique_ptr<head_maps<B>> heads_;
  attention_routes<B> routes_;
  std::vector<layer_state> layers_;
  index_t first_block_ = 0;  ///< that any layer reaches
  scratch<B> coefficients_, rests_, norms_;
};

/// Which images hold a word, and how much.
class concept_index {
 public:
  /// @param words  of the image that are to be found, each once
  void add(index_t image, std::span<const said_word> words) {
    for (const said_word& w : words) images_[w.word].emplace_back(image, w.score);
  }

  /// The images that hold a word with their scores, the highest first; of equal ones, the first
  /// that was added.
  std::vector<std::pair<index_t, double>> find(index_t word) const {
    const auto found = images_.find(word);
    if (found == images_.end()) return {};
    auto ranked = found->second;
    std::stable_sort(ranked.begin(), ranked.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    return ranked;
  }

 private:
  std::unordered_map<index_t, std::vector<std::pair<index_t, double>>> images_;
};

}  // namespace solens
