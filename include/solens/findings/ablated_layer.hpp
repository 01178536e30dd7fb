#pragma once

#include <cstddef>  // std::size_t
#include <cstdint>
#include <string>
#include <vector>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/findings/found_layer.hpp>
#include <solens/findings/writer_directions.hpp>
#include <solens/lens/effect_norms.hpp>
#include <solens/lens/head_map.hpp>
#include <solens/lens/second_order.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

/// A layer and what an analysis found about its writers, for an ablation; views, read while it is
/// made.
template <class T>
struct layer_to_ablate {
  index_t layer = 0;
  host_view<const T> mean_effect{};        ///< [n_writers, d_joint]
  host_view<const T> mean_coefficients{};  ///< [n_writers, later heads]
  host_view<const T> threshold{};          ///< [n_writers]
  /// Of each effect only the part along these is kept, a row of results for each set.
  std::vector<writer_directions<T>> directions = {};

  found_layer<T> found() const { return {layer, mean_effect, mean_coefficients, threshold}; }
};

/// What an ablation keeps of a layer.
template <tensor_backend B>
struct ablated_layer {
  using scalar = typename B::scalar;
  using tensor = typename B::tensor;

  /// @param heads  kept by reference, so it must outlive this
  /// @param seed   of the random directions, which are the last set
  /// @throws argument_error for a layer without later blocks; shape_error naming the finding that
  ///         does not fit it
  /// @note costs the directions and Gram matrices of all writers
  template <lens_weights_for<B> W>
  ablated_layer(const B& be, const head_maps<B>& heads, const W& weights,
                const layer_to_ablate<scalar>& found, std::uint64_t seed)
      : map(be, heads, weights, found.layer),
        directions(upload_directions(be, map, found, seed)),
        norms(make_norms(be, heads, weights, found.layer, directions)),
        writers(be.allocate({map.n_writers(), heads.d_model()})),
        mean_coefficients(be.allocate({map.n_writers(), map.n_sources()})),
        mean_rest(be.allocate({map.d_joint()})),
        mean_total(be.allocate({map.d_joint()})),
        threshold(tolerant_threshold(found.found())) {
    const auto w = weight_views<B>(weights.blocks[static_cast<std::size_t>(found.layer)]);
    bias = w.writer_bias;
    be.copy(w.writer_directions, writers.view());
    be.upload(found.mean_coefficients, mean_coefficients.view());
    split_mean(be, found.found());
    for (const auto& d : found.directions) names.push_back(d.name);
  }

  /// Bytes that a layer takes, with so many sets of directions beside the random ones.
  static std::size_t memory(index_t n_writers, index_t n_sources, index_t d_model, index_t d_joint,
                            index_t n_directions, convention how) {
    const bool joint = how == convention::reference || n_sources >= d_joint;
    const index_t columns = (joint ? d_joint : n_sources) + n_directions + 1;
    return sizeof(scalar) * static_cast<std::size_t>(n_writers) *
           static_cast<std::size_t>(n_sources * (columns + 1) + d_model +
                                    (n_directions + 1) * d_joint);
  }

  second_order_map<B> map;
  tensor directions;               ///< [R, n_writers, d_joint]
  effect_norms<B> norms;           ///< and products with the directions
  tensor writers;                  ///< [n_writers, d_model], contiguous to gather from
  tensor mean_coefficients;        ///< [n_writers, n_sources]
  tensor mean_rest;                ///< [d_joint]; zero in the centered convention
  tensor mean_total;               ///< [d_joint]: of the sum of effects, without rests
  const_view_of<B> bias;           ///< [d_model], or empty
  host_tensor<scalar> threshold;   ///< [n_writers], raised by what rounding may do
  std::vector<std::string> names;  ///< of the sets of directions but the random one

 private:
  static tensor upload_directions(const B& be, const second_order_map<B>& map,
                                  const layer_to_ablate<scalar>& found, std::uint64_t seed) {
    const index_t n = map.n_writers(), e = map.d_joint(), given = std::ssize(found.directions);
    const std::string name = "layer " + std::to_string(found.layer) + ": ";
    check_fit("ablation", found.found(), n, map.n_sources(), e);
    tensor all = be.allocate({given + 1, n, e});
    for (index_t r = 0; r < given; ++r) {
      const auto& set = found.directions[static_cast<std::size_t>(r)];
      checks::same("ablation", shape{n, e}, set.vectors.extents(), name + set.name);
      be.upload(set.vectors, all.view()[r]);
    }
    const auto drawn =
        random_directions<scalar>(n, e, {seed, static_cast<std::uint64_t>(found.layer)});
    be.upload(host_view<const scalar>(drawn), all.view()[given]);
    return all;
  }

  /// From a map of its own, whose memory for building goes with it.
  template <class W>
  static effect_norms<B> make_norms(const B& be, const head_maps<B>& heads, const W& weights,
                                    index_t layer, const tensor& directions) {
    second_order_map<B> map(be, heads, weights, layer);
    return effect_norms<B>(be, map, directions.view());
  }

  /// Splits the sum of the mean effects into what comes from coefficients, D^T mean(s), and the
  /// rest, which is the same for every writer.
  void split_mean(const B& be, const found_layer<scalar>& found) {
    const index_t n = map.n_writers(), e = map.d_joint();
    const host_tensor<double> beside = rest_of_means(be, map, mean_coefficients.view(), found);
    host_tensor<scalar> total({e}), rest({e});
    for (index_t j = 0; j < e; ++j) {
      double all = 0;
      for (index_t w = 0; w < n; ++w) all += static_cast<double>(found.mean_effect(w, j));
      total(j) = static_cast<scalar>(all - static_cast<double>(n) * beside(j));
      rest(j) = static_cast<scalar>(beside(j));
    }
    be.upload(host_view<const scalar>(total), mean_total.view());
    be.upload(host_view<const scalar>(rest), mean_rest.view());
  }
};

}  // namespace solens
