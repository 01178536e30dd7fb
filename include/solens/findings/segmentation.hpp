#pragma once

#include <algorithm>  // std::min, std::partial_sort
#include <cmath>      // std::abs, std::isnan
#include <cstdint>
#include <limits>
#include <numeric>  // std::iota
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/findings/writer_directions.hpp>
#include <solens/lens/scratch.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

/// What is known of the writers of one layer: the direction that each pushes representations in.
template <class T>
struct directions_of_layer {
  index_t layer;
  host_view<const T> vectors;  ///< [n_writers, d_joint], as `analysis` finds them
};

/// How writers are chosen for a class and what is made of their activations.
struct segmentation_options {
  index_t n_writers =
      200;  ///< chosen for each class, over all layers together; fewer where fewer are
  bool by_magnitude = true;  ///< ranked by |r . t|; if not, by r . t
  bool weighted = false;     ///< a sum weighted by r . t, magnitudes summing to 1; if not, a mean
  std::optional<std::uint64_t> random = {};  ///< a seed: drawn instead of ranked, as a control
};

/// A writer that speaks for a class, or against it.
struct chosen_writer {
  index_t layer, writer;
  double product;  ///< of its direction with the class: r . t
};

/// Where in an image a class is, by the writers whose directions lie along the class's text: maps
/// over the patches of their activations.
///
///   map_c[t] = sum over the chosen writers n of w_n p[t, n]        t a patch
///
/// with w_n = 1 / count, or (r_n . t_c) / sum |r . t_c| where weighted. Any number of layers, any
/// number of classes; an image costs n_layers * n_patches * n_writers multiply-adds a class.
/// Source: arXiv 2406.04341, section 5.2, whose settings are the defaults, over layers 8 to 10 of
/// a ViT-B/32; ranking with the sign and weights are ours.
template <tensor_backend B>
class segmentation {
 public:
  using scalar = typename B::scalar;

  /// @param layers      one or more, in the order that decides between equal products
  /// @param classifier  unit columns, [d_joint, n_classes]: embeddings of the classes' texts
  /// @throws argument_error without layers, writers or classes, or for a layer named twice;
  ///         shape_error naming the layer whose directions have another width
  /// @note keeps n_classes * n_writers numbers a layer
  segmentation(const B& be, std::span<const directions_of_layer<scalar>> layers,
               const_view_of<B> classifier, const segmentation_options& options)
      : options_(options), n_classes_(classifier.rank() == 2 ? classifier.extent(1) : 0) {
    check(layers, classifier);
    std::vector<host_tensor<scalar>> products;
    for (const auto& l : layers) products.push_back(products_of(be, l, classifier));
    std::vector<host_tensor<scalar>> weights;
    for (const auto& l : layers) {
      weights.emplace_back(shape{n_classes_, l.vectors.extent(0)}, scalar{0});
    }
    for (index_t c = 0; c < n_classes_; ++c) choose(layers, products, c, weights);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      layers_.push_back({layers[i].layer, be.allocate(weights[i].extents())});
      be.upload(host_view<const scalar>(weights[i]), layers_.back().weights.view());
    }
  }

  index_t n_classes() const { return n_classes_; }

  /// The writers of a class, first the one that ranks highest.
  const std::vector<chosen_writer>& chosen(index_t c) const {
    return chosen_.at(static_cast<std::size_t>(c));
  }

  /// @param activations  writers [n_images, n_tokens, n_writers] of the layers, class token first
  /// @param classes      those to draw, each below n_classes()
  /// @param out          overwritten, [n_images, as many as classes, n_tokens - 1]
  /// @throws shape_error naming the layer whose writers do not fit
  template <lens_activations_for<B> A>
  void maps(const B& be, const A& activations, std::span<const index_t> classes, view_of<B> out) {
    const index_t n = std::ssize(classes);
    auto rows = be.allocate_indices({n});
    be.upload(host_view<const index_t>(classes.data(), {n}), rows.view());
    scalar beta = 0;
    for (layer_weights& l : layers_) {
      const auto writers =
          activation_views<B>(activations.blocks.at(static_cast<std::size_t>(l.layer))).writers;
      const index_t count = const_view_of<B>(l.weights.view()).extent(1);
      checks::same("segmentation", shape{out.extent(0), out.extent(2) + 1, count},
                   writers.extents(), "layer " + std::to_string(l.layer) + ": writers");
      const view_of<B> asked = asked_.get(be, {n, count});
      be.gather(l.weights.view(), const_index_view_of<B>(rows.view()), asked);
      be.batched_gemm(1, const_view_of<B>(asked).repeated(out.extent(0)),
                      writers.slice(1, 1, writers.extent(1)).transposed(), beta, out);
      beta = 1;
    }
  }

 private:
  struct layer_weights {
    index_t layer;
    typename B::tensor weights;  ///< [n_classes, n_writers], 0 for those that are not chosen
  };

  void check(std::span<const directions_of_layer<scalar>> layers,
             const_view_of<B> classifier) const {
    if (layers.empty()) throw argument_error("segmentation", "one layer or more", "none");
    if (n_classes_ < 1) {
      throw argument_error("segmentation", "[d_joint, one class or more]",
                           to_string(classifier.extents()), "classifier");
    }
    if (options_.n_writers < 1) {
      throw argument_error("segmentation", "one writer or more", std::to_string(options_.n_writers),
                           "n_writers");
    }
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const std::string name = "layer " + std::to_string(layers[i].layer);
      const auto& vectors = layers[i].vectors;
      if (vectors.rank() != 2 || vectors.extent(1) != classifier.extent(0)) {
        throw shape_error("segmentation", to_string(shape{-1, classifier.extent(0)}),
                          to_string(vectors.extents()), name + ": directions");
      }
      for (std::size_t j = 0; j < i; ++j) {
        if (layers[j].layer != layers[i].layer) continue;
        throw argument_error("segmentation", "each layer once", name + " again", "layers");
      }
    }
  }

  /// r . t for all writers of a layer and all classes: [n_writers, n_classes].
  host_tensor<scalar> products_of(const B& be, const directions_of_layer<scalar>& of,
                                  const_view_of<B> classifier) const {
    auto vectors = be.allocate(of.vectors.extents());
    auto products = be.allocate({of.vectors.extent(0), n_classes_});
    be.upload(of.vectors, vectors.view());
    be.gemm(1, const_view_of<B>(vectors.view()), classifier, 0, products.view());
    host_tensor<scalar> host(products.view().extents());
    be.download(const_view_of<B>(products.view()), host);
    return host;
  }

  /// Chooses the writers of class `c`, and weighs them.
  void choose(std::span<const directions_of_layer<scalar>> layers,
              const std::vector<host_tensor<scalar>>& products, index_t c,
              std::vector<host_tensor<scalar>>& weights) {
    std::vector<chosen_writer> all;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      for (index_t n = 0; n < products[i].extent(0); ++n) {
        all.push_back({layers[i].layer, n, static_cast<double>(products[i](n, c))});
      }
    }
    auto& chosen = chosen_.emplace_back();
    for (const index_t i : ranked(all, c)) chosen.push_back(all[static_cast<std::size_t>(i)]);
    double total = 0;
    for (const chosen_writer& w : chosen) total += std::abs(w.product);
    for (const chosen_writer& w : chosen) {
      std::size_t i = 0;
      while (layers[i].layer != w.layer) ++i;
      const double equal = 1 / static_cast<double>(chosen.size());
      const double weight = options_.weighted && total > 0 ? w.product / total : equal;
      weights[i](c, w.writer) = static_cast<scalar>(weight);
    }
  }

  /// Positions among `all` of those that class `c` gets, by falling rank.
  std::vector<index_t> ranked(const std::vector<chosen_writer>& all, index_t c) const {
    const index_t count = std::min(options_.n_writers, std::ssize(all));
    if (options_.random) {
      return random_subset(std::ssize(all), count,
                           {*options_.random, static_cast<std::uint64_t>(c)});
    }
    const auto rank = [&](index_t i) {
      const double product = all[static_cast<std::size_t>(i)].product;
      if (std::isnan(product)) return -std::numeric_limits<double>::infinity();
      return options_.by_magnitude ? std::abs(product) : product;
    };
    std::vector<index_t> order(all.size());
    std::iota(order.begin(), order.end(), index_t{0});
    std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](index_t a, index_t b) {
      const double x = rank(a), y = rank(b);
      return x > y || (x == y && a < b);
    });
    order.resize(static_cast<std::size_t>(count));
    return order;
  }

  segmentation_options options_;
  index_t n_classes_;
  std::vector<layer_weights> layers_;
  std::vector<std::vector<chosen_writer>> chosen_;
  scratch<B> asked_;
};

}  // namespace solens
