#pragma once

#include <functional>  // std::function
#include <span>
#include <vector>

#include <solens/lens/attention_routes.hpp>
#include <solens/lens/direct.hpp>
#include <solens/lens/indirect.hpp>
#include <solens/lens/second_order.hpp>
#include <solens/model/lens_views.hpp>

#include "data_set.hpp"
#include "evaluation.hpp"

/// What neurons do on scenes that are painted for them, in memory.
namespace toyland {

/// Runs the vision tower over scenes and calls f(first, cache) for every batch of them.
/// @param sites  that the cache keeps
void for_each_batch(
    const clip&, const data_set_options&, std::span<const solens::site> sites,
    const std::function<void(solens::index_t, const solens::activation_cache<clip::backend>&)>& f);

/// Effects of one layer's neurons as coefficients of directions, and their activations.
struct seen_layer {
  solens::second_order_map<clip::backend> second_order;
  solens::direct_map<clip::backend> direct;
  solens::writer_mean<clip::backend> mean_writers = {};
  solens::host_tensor<float> coefficients = {};         ///< [n_neurons, n_scenes, later heads]
  solens::host_tensor<float> direct_coefficients = {};  ///< [n_neurons, n_scenes, 1]
  solens::host_tensor<float> largest = {}, mean = {};   ///< [n_neurons, n_scenes], over the tokens
};

/// What a pass over scenes leaves.
class seen_scenes {
 public:
  /// @param layers  ascending, with later blocks
  /// @throws solens::argument_error for other layers
  seen_scenes(const clip&, const data_set_options&, const std::vector<solens::index_t>& layers);
  seen_scenes(const seen_scenes&) = delete;
  seen_scenes& operator=(const seen_scenes&) = delete;

  std::vector<seen_layer>& layers() { return layers_; }
  /// [n_scenes, d_joint], of norm 1
  const solens::host_tensor<float>& representations() const { return representations_; }

  /// Indirect effects of some neurons on the first scenes, [n_neurons, n, d_joint]: a pass through
  /// the later blocks for each of them and each scene.
  solens::host_tensor<float> indirect_effects(const clip&, const data_set_options&, seen_layer&,
                                              std::span<const solens::index_t> neurons) const;

 private:
  void take(solens::index_t first, const solens::activation_cache<clip::backend>&);

  const clip::backend& be_;
  solens::lens_weights<clip::backend> weights_;
  solens::head_maps<clip::backend> heads_;
  solens::attention_routes<clip::backend> routes_;
  std::vector<seen_layer> layers_;
  solens::host_tensor<float> representations_;
};

/// The first directions of effects, and how simple these are.
struct found_directions {
  solens::host_tensor<float> direction;  ///< [n_neurons, d_joint]
  solens::host_tensor<float> explained_variance, explained_variance_all,
      top_share;  ///< [n_neurons]
};

/// Effect-norm thresholding on 2 % of the scenes, and the first principal direction on these.
/// @param coefficients  [n_neurons, n_scenes, k]; afterwards less their mean
/// @param directions    [n_neurons, k, d_joint]: effects are sums of coefficients times these
found_directions find_directions(const clip::backend&, solens::host_view<float> coefficients,
                                 solens::const_view_of<clip::backend> directions);

}  // namespace toyland
