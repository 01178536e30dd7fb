#pragma once

#include <cstddef>   // std::size_t
#include <iterator>  // std::size
#include <span>
#include <string>
#include <string_view>
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

/// The sites of a forward pass that maps of a source are made from.
/// @param layers  whose neurons are read, where the source reads some
inline std::vector<site> segmentation_sites(const vision_config& c, map_source source,
                                            std::span<const index_t> layers) {
  const index_t last = c.n_layers - 1;
  std::vector<site> sites;
  if (needs_directions(source)) {
    for (const index_t l : layers) sites.push_back({site_kind::mlp_post, l});
    return sites;
  }
  if (source == map_source::patches) return {{site_kind::resid_post, last}};
  sites.push_back({site_kind::pattern, last, true});
  if (source == map_source::direct) sites.push_back({site_kind::values, last});
  for (index_t l = 0; l < last && source != map_source::attention; ++l) {
    sites.push_back({site_kind::pattern, l, source == map_source::direct});
    if (source == map_source::direct) sites.push_back({site_kind::values, l});
  }
  return sites;
}

/// Maps over the patches of images from one of the sources, out of a pass of our vision tower.
///
///     segmenter<B> s(be, tower, map_source::neurons, layers, classifier);
///     tower.forward(be, pixels, work, representation, &cache);  // keeps `segmentation_sites`
///     s.maps(be, cache, classes, out);
///
/// One pass serves as many of them as its cache holds the sites of.
template <tensor_backend B>
class segmenter {
 public:
  using scalar = typename B::scalar;

  /// @param tower       whose weights outlive this
  /// @param layers      directions of their neurons, for those sources that read them
  /// @param classifier  unit columns, [d_joint, n_classes]
  /// @throws as `segmentation` does
  segmenter(const B& be, const vision_tower<B>& tower, map_source source,
            std::span<const directions_of_layer<scalar>> layers, const_view_of<B> classifier,
            segmentation_options options = {})
      : source_(source), parts_(source) {
    const lens_weights<B> weights = lens_weights_of(tower);
    if (source == map_source::random && !options.random) options.random = 0;
    if (source == map_source::neurons) options.random.reset();
    if (needs_directions(source)) {
      parts_.template emplace<segmentation<B>>(be, layers, classifier, options);
    } else if (source == map_source::direct) {
      parts_.template emplace<token_contributions<B>>(be, weights, classifier);
    } else if (source == map_source::patches) {
      parts_.template emplace<patch_similarity<B>>(be, weights, tower.config().eps, classifier);
    }
  }

  map_source source() const { return source_; }

  /// The neurons that stand for a class, first the one that ranks highest; of other sources none.
  std::span<const chosen_writer> neurons(index_t c) const {
    const auto* of = std::get_if<segmentation<B>>(&parts_);
    return of == nullptr ? std::span<const chosen_writer>() : of->chosen(c);
  }

  /// @param cache    of the pass, with `segmentation_sites`
  /// @param classes  those to draw
  /// @param out      overwritten, [cache.n_images(), as many as classes, n_patches]
  /// @throws argument_error for a site that is not kept, shape_error
  void maps(const B& be, const activation_cache<B>& cache, std::span<const index_t> classes,
            view_of<B> out) {
    const index_t tokens = cache.extents().n_tokens, last = cache.extents().n_layers - 1;
    checks::same("segmenter", shape{cache.n_images(), std::ssize(classes), tokens - 1},
                 out.extents(), "out");
    if (auto* neurons = std::get_if<segmentation<B>>(&parts_)) {
      neurons->maps(be, lens_activations_of(cache), classes, out);
    } else if (auto* direct = std::get_if<token_contributions<B>>(&parts_)) {
      direct->maps(be, lens_activations_of(cache), classes, out);
    } else if (auto* patches = std::get_if<patch_similarity<B>>(&parts_)) {
      patches->maps(be, cache.at({site_kind::resid_post, last}), classes, out);
    } else if (source_ == map_source::attention) {
      attention_map<B>(be, cache.at({site_kind::pattern, last, true}), out);
    } else {
      std::vector<const_view_of<B>> patterns;
      for (index_t l = 0; l < last; ++l) patterns.push_back(cache.at({site_kind::pattern, l}));
      patterns.push_back(cache.at({site_kind::pattern, last, true}));
      attention_rollout<B>(be, patterns, out);
    }
  }

 private:
  map_source source_;
  /// `map_source` alone where there is nothing to keep.
  std::variant<map_source, segmentation<B>, token_contributions<B>, patch_similarity<B>> parts_;
};

}  // namespace solens
