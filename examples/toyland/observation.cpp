#include "observation.hpp"

#include <algorithm>  // std::max, std::min
#include <cstddef>    // std::size_t
#include <iterator>   // std::ssize
#include <utility>    // std::as_const, std::move

#include <solens/backend/normalize_rows.hpp>
#include <solens/findings/centered_effects.hpp>
#include <solens/findings/direction.hpp>
#include <solens/findings/selectivity.hpp>

#include "painter.hpp"

namespace toyland {

using solens::host_view, solens::index_t, solens::site_kind;
using backend = clip::backend;
using tensor = solens::host_tensor<float>;
using in = solens::const_view_of<backend>;

namespace {

constexpr index_t at_once = 50;  // scenes in a batch

/// The largest and the mean activation over the tokens, in columns of [n_neurons, n_scenes].
/// @param writers  [n, n_tokens, n_neurons]
void pool(in writers, index_t first, tensor& largest, tensor& mean) {
  const index_t tokens = writers.extent(1);
  for (index_t i = 0; i < writers.extent(0); ++i) {
    for (index_t n = 0; n < writers.extent(2); ++n) {
      float most = writers(i, 0, n), sum = 0;
      for (index_t t = 0; t < tokens; ++t) {
        most = std::max(most, writers(i, t, n));
        sum += writers(i, t, n);
      }
      largest(n, first + i) = most;
      mean(n, first + i) = sum / static_cast<float>(tokens);
    }
  }
}

}  // namespace

void for_each_batch(
    const clip& model, const data_set_options& o, std::span<const solens::site> sites,
    const std::function<void(index_t, const solens::activation_cache<backend>&)>& f) {
  const backend& be = model.be();
  const index_t side = model.vision().config().image_size;
  auto work = model.vision().make_workspace(be, at_once);
  auto cache = model.vision().make_cache(be, at_once, sites);
  tensor pixels({at_once, 3, side, side}), representation({at_once, model.vision().d_joint()});
  for (index_t first = 0; first < o.n; first += at_once) {
    const index_t n = std::min<index_t>(at_once, o.n - first);
    for (index_t i = 0; i < n; ++i) {
      model.prepare(paint(scene_of(o, static_cast<int>(first + i)), o.side).image,
                    pixels.view()[i]);
    }
    model.vision().forward(be, pixels.view().slice(0, 0, n), work,
                           representation.view().slice(0, 0, n), &cache);
    f(first, std::as_const(cache));
  }
}

seen_scenes::seen_scenes(const clip& model, const data_set_options& o,
                         const std::vector<index_t>& layers)
    : be_(model.be()),
      weights_(lens_weights_of(model.vision())),
      heads_(be_, weights_, solens::convention::centered),
      representations_({o.n, model.vision().d_joint()}) {
  for (const index_t l : layers) {
    seen_layer& of =
        layers_.emplace_back(seen_layer{{be_, heads_, weights_, l}, {be_, heads_, weights_, l}});
    const index_t n = of.second_order.n_writers();
    of.coefficients = tensor({n, o.n, of.second_order.n_sources()});
    of.direct_coefficients = tensor({n, o.n, 1});
    of.largest = tensor({n, o.n});
    of.mean = tensor({n, o.n});
  }
  const auto sites = solens::second_order_sites(model.vision().config(), layers);
  for_each_batch(model, o, sites, [&](index_t first, const auto& cache) { take(first, cache); });
  solens::normalize_rows(be_, representations_.view());
}

void seen_scenes::take(index_t first, const solens::activation_cache<backend>& cache) {
  const auto activations = solens::lens_activations_of(cache);
  routes_.update(be_, activations, 1 + layers_.front().second_order.layer());
  const index_t last = first + routes_.n_images();
  be_.copy(activations.representation, representations_.view().slice(0, first, last));
  for (seen_layer& of : layers_) {
    const in writers =
        activations.blocks[static_cast<std::size_t>(of.second_order.layer())].writers;
    of.second_order.coefficients(be_, routes_, writers,
                                 of.coefficients.view().slice(1, first, last).permuted({1, 2, 0}));
    be_.multiply(writers.select(1, 0).transposed(),
                 routes_.readout().gain().repeated(of.largest.extent(0)),
                 of.direct_coefficients.view().slice(1, first, last).select(2, 0));
    of.mean_writers.add(be_, writers);
    pool(writers, first, of.largest, of.mean);
  }
}

tensor seen_scenes::indirect_effects(const clip& model, const data_set_options& o, seen_layer& of,
                                     std::span<const index_t> neurons) const {
  const index_t layer = of.second_order.layer(), n = std::ssize(neurons);
  solens::indirect_map<backend> map(be_, heads_, weights_, layer, neurons, {});
  auto work = model.vision().make_workspace(be_, n);
  tensor effects({n, o.n, model.vision().d_joint()});
  auto sites = solens::readout_sites();
  sites.push_back({site_kind::mlp_post, layer});
  sites.push_back({site_kind::resid_post, layer});
  for_each_batch(model, o, sites, [&](index_t first, const auto& cache) {
    const auto activations = solens::lens_activations_of(cache);
    const index_t last = first + activations.representation.extent(0);
    map.effects(
        be_, activations, cache.at({site_kind::resid_post, layer}),
        cache.at({site_kind::mlp_post, layer}), of.mean_writers.by_token(),
        [&](auto residual, auto representation) {
          model.vision().forward_from(be_, layer + 1, solens::entry::block, residual, work,
                                      representation);
        },
        effects.view().slice(1, first, last).permuted({1, 0, 2}));
  });
  return effects;
}

found_directions find_directions(const backend& be, host_view<float> coefficients, in directions) {
  const index_t n = coefficients.extent(0), m = coefficients.extent(1), k = coefficients.extent(2);
  const index_t top = std::max<index_t>(1, m / 50);
  for (index_t w = 0; w < n; ++w) {
    for (index_t j = 0; j < k; ++j) {
      double sum = 0;
      for (index_t i = 0; i < m; ++i) sum += static_cast<double>(coefficients(w, i, j));
      const auto mean = static_cast<float>(sum / static_cast<double>(m));
      for (index_t i = 0; i < m; ++i) coefficients(w, i, j) -= mean;
    }
  }
  solens::centered_effects<backend> effects;
  effects.begin(be, directions, m, false);
  solens::scratch<backend> memory;
  tensor added({n, m, k});
  be.copy(coefficients, added.view());
  effects.add(be, 0, 0, added.view(), {}, memory);
  auto selective = solens::selectivity(be, effects.norms(), top);
  tensor chosen({n, top, k});
  for (index_t w = 0; w < n; ++w) {
    be.gather(coefficients[w], std::as_const(selective.top_images).view()[w], chosen.view()[w]);
  }
  auto found = solens::principal_direction(be, effects, std::as_const(chosen).view(), {});
  return {std::move(found.direction), std::move(found.explained_variance),
          std::move(found.explained_variance_all), std::move(selective.top_share)};
}

}  // namespace toyland
