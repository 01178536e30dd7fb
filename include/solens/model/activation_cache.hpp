#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include <solens/backend/concept.hpp>
#include <solens/core/site.hpp>
#include <solens/model/config.hpp>

namespace solens {

/// The extents of a vision tower's sites, for batches of `n_images`.
inline site_extents site_extents_of(const vision_config& c, index_t d_joint, index_t n_images) {
  return {c.n_layers, n_images, c.n_heads, c.n_tokens(), c.d_head(), c.d_model, c.d_mlp, d_joint};
}

/// The activations of one batch, at the sites that were asked for and no others.
///
/// Memory is allocated once, for the largest batch; a smaller one gives smaller views. Each
/// forward pass overwrites what the last one left.
template <tensor_backend B>
class activation_cache {
 public:
  /// @param largest  extents with the largest batch as n_images
  /// @throws argument_error for a site that this tower has not
  activation_cache(const B& be, const site_extents& largest, std::span<const site> sites)
      : largest_(largest) {
    for (const site& s : sites) {
      if (!kept_.contains(s)) kept_.emplace(s, be.allocate(shape_of(s, largest)));
    }
  }

  const site_extents& extents() const { return largest_; }
  index_t max_images() const { return largest_.n_images; }
  index_t n_images() const { return n_images_; }  ///< of the last batch

  /// Whether this very site was asked for.
  bool keeps(const site& s) const { return kept_.contains(s); }

  std::vector<site> sites() const {
    std::vector<site> result;
    for (const auto& [s, tensor] : kept_) result.push_back(s);
    return result;
  }

  /// The value of a site for the last batch; empty where it is not kept. A class token's row
  /// is also found where all tokens are kept.
  const_view_of<B> find(const site& s) const {
    if (const auto it = kept_.find(s); it != kept_.end()) {
      return it->second.view().slice(0, 0, n_images_);
    }
    if (!s.class_token) return {};
    const const_view_of<B> wide = find({s.kind, s.layer, false});
    return wide.rank() == 0 ? wide : wide.select(s.kind == site_kind::pattern ? 2 : 1, 0);
  }

  /// @throws argument_error when the site is not kept
  const_view_of<B> at(const site& s) const {
    const const_view_of<B> value = find(s);
    if (value.rank() == 0) {
      throw argument_error("activation_cache", "a site that was asked for", to_string(s));
    }
    return value;
  }
  const_view_of<B> at(std::string_view name) const { return at(parse_site(name)); }

  /// For the tower: a batch of `n_images` begins.
  /// @throws shape_error when it is larger than there is room for
  void begin_batch(index_t n_images) {
    if (n_images < 0 || n_images > max_images()) {
      throw shape_error("activation_cache", "at most " + std::to_string(max_images()) + " images",
                        std::to_string(n_images));
    }
    n_images_ = n_images;
  }

  /// For the tower: where the value of a site goes; empty where it is not kept.
  view_of<B> slot(const site& s) {
    const auto it = kept_.find(s);
    if (it == kept_.end()) return {};
    return it->second.view().slice(0, 0, n_images_);
  }

 private:
  site_extents largest_;
  std::map<site, typename B::tensor> kept_;
  index_t n_images_ = 0;
};

}  // namespace solens
