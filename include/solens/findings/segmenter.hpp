#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>  // std::move
#include <variant>
#include <vector>

#include <solens/findings/segmentation.hpp>
#include <solens/findings/token_maps.hpp>
#include <solens/model/lens_views.hpp>

namespace solens {

/// What a map over patches is made of.
enum class map_source {
  neurons,    ///< activations of neurons whose directions lie along the class: `segmentation`
  random,     ///< the same of random neurons
  attention,  ///< the class token's attention in the last block: `attention_map`
  rollout,    ///< attention through all blocks: `attention_rollout`
  direct,     ///< the direct decomposition by token: `token_contributions`
  patches,    ///< cosines of patch tokens and class: `patch_similarity`
};

inline constexpr std::string_view map_source_names[] = {"neurons", "random", "attention",
                                                        "rollout", "direct", "patches"};

inline std::string_view name_of(map_source source) {
  return map_source_names[static_cast<std::size_t>(source)];
}

/// @throws argument_error for an unknown name
inline map_source parse_map_source(std::string_view name) {
  std::string known;
  for (std::size_t i = 0; i < std::size(map_source_names); ++i) {
    if (map_source_names[i] == name) return static_cast<map_source>(i);
    known += (i == 0 ? "" : ", ") + std::string(map_source_names[i]);
  }
  throw argument_error("map_source", known, std::string(name));
}

/// Whether it reads the directions of neurons.
inline bool needs_directions(map_source source) {
  return source == map_source::neurons || source == map_source::random;
}

/// Maps over the patches of images from one of the sources, out of a pass of our vision tower.
///
///     segmenter<B> s(be, tower, map_source::neurons, layers, classifier);
///     auto cache = tower.make_cache(be, batch, s.sites());      // for several, the sites of all
///     tower.forward(be, pixels, work, representation, &cache);
///     s.maps(be, cache, classes, out);
template <tensor_backend B>
class segmenter {
 public:
  using scalar = typename B::scalar;

  /// @param tower       outlives this
  /// @param layers      directions of their neurons, for those sources that read them
  /// @param classifier  unit columns, [d_joint, n_classes]
  /// @throws as `segmentation` does
  segmenter(const B& be, const vision_tower<B>& tower, map_source source,
            std::span<const directions_of_layer<scalar>> layers, const_view_of<B> classifier,
            segmentation_options options = {})
      : config_(&tower.config()), kind_(source), source_(source) {
    const lens_weights<B> weights = lens_weights_of(tower);
    if (source == map_source::random && !options.random) options.random = 0;
    if (source == map_source::neurons) options.random.reset();
    if (needs_directions(source)) {
      source_.template emplace<segmentation<B>>(be, layers, classifier, options);
    } else if (source == map_source::direct) {
      source_.template emplace<token_contributions<B>>(be, weights, classifier);
    } else if (source == map_source::patches) {
      source_.template emplace<patch_similarity<B>>(be, weights, config_->eps, classifier);
    }
  }

  map_source source() const { return kind_; }

  /// The sites of a forward pass that the maps are made from.
  std::vector<site> sites() const {
    std::vector<site> sites;
    const index_t last = config_->n_layers - 1;
    if (const auto* of = std::get_if<segmentation<B>>(&source_)) {
      for (const index_t l : of->layers()) sites.push_back({site_kind::mlp_post, l});
    } else if (kind_ == map_source::patches) {
      sites.push_back({site_kind::resid_post, last});
    } else {
      sites.push_back({site_kind::pattern, last, true});
      for (index_t l = 0; l <= last && kind_ != map_source::attention; ++l) {
        const bool row = kind_ == map_source::direct;
        if (row) sites.push_back({site_kind::values, l});
        if (l < last) sites.push_back({site_kind::pattern, l, row});
      }
    }
    return sites;
  }

  /// The neurons that stand for a class, where neurons do; else none.
  std::span<const chosen_writer> neurons(index_t c) const {
    const auto* of = std::get_if<segmentation<B>>(&source_);
    return of == nullptr ? std::span<const chosen_writer>() : of->chosen(c);
  }

  /// @param cache    of the pass, with `sites()`
  /// @param classes  those to draw
  /// @param out      overwritten, [cache.n_images(), as many as classes, n_patches]
  /// @throws argument_error for a site that is not kept, shape_error
  void maps(const B& be, const activation_cache<B>& cache, std::span<const index_t> classes,
            view_of<B> out) {
    const index_t tokens = config_->n_tokens(), last = config_->n_layers - 1;
    checks::same("segmenter", shape{cache.n_images(), std::ssize(classes), tokens - 1},
                 out.extents(), "out");
    if (auto* neurons = std::get_if<segmentation<B>>(&source_)) {
      neurons->maps(be, lens_activations_of(cache), classes, out);
    } else if (auto* direct = std::get_if<token_contributions<B>>(&source_)) {
      direct->maps(be, lens_activations_of(cache), classes, out);
    } else if (auto* patches = std::get_if<patch_similarity<B>>(&source_)) {
      patches->maps(be, cache.at({site_kind::resid_post, last}), classes, out);
    } else if (kind_ == map_source::attention) {
      attention_map<B>(be, cache.at({site_kind::pattern, last, true}), out);
    } else {
      std::vector<const_view_of<B>> patterns;
      for (index_t l = 0; l < last; ++l) patterns.push_back(cache.at({site_kind::pattern, l}));
      patterns.push_back(cache.at({site_kind::pattern, last, true}));
      attention_rollout<B>(be, patterns, out);
    }
  }

 private:
  const vision_config* config_;
  map_source kind_;
  /// `map_source` alone where there is nothing to keep.
  std::variant<map_source, segmentation<B>, token_contributions<B>, patch_similarity<B>> source_;
};

}  // namespace solens
