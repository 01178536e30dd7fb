#pragma once

#include <algorithm>  // std::min_element
#include <string>
#include <vector>

#include <solens/model/activation_cache.hpp>
#include <solens/model/lens_inputs.hpp>
#include <solens/model/vision_tower.hpp>

/// What the lens reads, seen in our own vision tower and its activations.
namespace solens {

/// The tower's weights as the lens sees them, with neurons as the writers. Valid as long as the
/// tower is.
template <tensor_backend B>
lens_weights<B> lens_weights_of(const vision_tower<B>& tower) {
  const vision_config& c = tower.config();
  const index_t dh = c.d_head();
  lens_weights<B> result;
  for (const block_weights<B>& b : tower.weights().blocks) {
    const shape by_head{c.n_heads, dh, c.d_model};
    result.blocks.push_back(
        {.ln_1_weight = b.ln_1_weight.view(),
         .ln_1_bias = b.ln_1_bias.view(),
         .value_weight =
             b.qkv_weight.view().slice(0, 2 * c.d_model, 3 * c.d_model).reshaped(by_head),
         .value_bias = b.qkv_bias.view().slice(0, 2 * c.d_model, 3 * c.d_model).split(0, dh),
         .output_weight = b.out_weight.view().split(1, dh).permuted({1, 0, 2}),
         .output_bias = b.out_bias.view(),
         .writer_directions = b.proj_weight.view().transposed(),
         .writer_bias = b.proj_bias.view()});
  }
  result.ln_post_weight = tower.weights().ln_post_weight.view();
  result.ln_post_bias = tower.weights().ln_post_bias.view();
  result.projection = tower.weights().projection.view();
  return result;
}

/// A batch's activations as the lens sees them; a view is empty where its site was not kept.
/// Valid until the next batch.
template <tensor_backend B>
lens_activations<B> lens_activations_of(const activation_cache<B>& cache) {
  lens_activations<B> result;
  for (index_t l = 0; l < cache.extents().n_layers; ++l) {
    result.blocks.push_back({.ln_1_mean = cache.find({site_kind::ln_1_mean, l}),
                             .ln_1_scale = cache.find({site_kind::ln_1_scale, l}),
                             .class_attention = cache.find({site_kind::pattern, l, true}),
                             .values = cache.find({site_kind::values, l}),
                             .writers = cache.find({site_kind::mlp_post, l}),
                             .mlp_out = cache.find({site_kind::mlp_out, l, true})});
  }
  result.embedding = cache.find({site_kind::resid_pre, 0, true});
  result.ln_post_mean = cache.find({site_kind::ln_final_mean});
  result.ln_post_scale = cache.find({site_kind::ln_final_scale});
  result.representation = cache.find({site_kind::representation});
  return result;
}

/// What every question about the output needs: the final LayerNorm and the representation.
inline std::vector<site> readout_sites() {
  return {{site_kind::ln_final_mean}, {site_kind::ln_final_scale}, {site_kind::representation}};
}

/// What the second-order effects of the neurons of `layers` need, in either convention.
/// @throws argument_error for a layer that has no later block
inline std::vector<site> second_order_sites(const vision_config& c,
                                            const std::vector<index_t>& layers) {
  std::vector<site> sites = readout_sites();
  for (const index_t l : layers) {
    if (l < 0 || l + 1 >= c.n_layers) {
      throw argument_error(
          "second_order_sites",
          "layers below " + std::to_string(c.n_layers - 1) + ", which have a later block",
          std::to_string(l), "layers");
    }
    sites.push_back({site_kind::mlp_post, l});
  }
  const index_t first =
      layers.empty() ? c.n_layers : *std::min_element(layers.begin(), layers.end()) + 1;
  for (index_t l = first; l < c.n_layers; ++l) {
    sites.push_back({site_kind::ln_1_mean, l});
    sites.push_back({site_kind::ln_1_scale, l});
    sites.push_back({site_kind::pattern, l, true});
  }
  return sites;
}

/// What the decomposition of the representation into heads, tokens and MLPs needs.
inline std::vector<site> decomposition_sites(const vision_config& c) {
  std::vector<site> sites = readout_sites();
  sites.push_back({site_kind::resid_pre, 0, true});
  for (index_t l = 0; l < c.n_layers; ++l) {
    sites.push_back({site_kind::pattern, l, true});
    sites.push_back({site_kind::values, l});
    sites.push_back({site_kind::mlp_out, l, true});
  }
  return sites;
}

}  // namespace solens
