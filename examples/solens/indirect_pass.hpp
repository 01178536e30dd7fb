#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include <solens/lens/indirect.hpp>

#include "lens_run.hpp"

namespace solens::program {

/// Whose indirect effects are looked at, and how.
struct indirect_task {
  index_t layer = 0;
  std::vector<index_t> neurons = {};  ///< empty: all
  bool one_mean = false;              ///< over tokens, too, not one a token
  double coefficient = 100;
};

/// Indirect effects of neurons of one layer, in two passes over the images: the means that stand in
/// for a neuron, then the effects.
/// @param take  called with [n, neurons, d_joint] for each batch, until it returns
template <tensor_backend B, class F>
void indirect_pass(const B& be, const common_options& common, const image_options& images,
                   const clip_source& model, const indirect_task& task, F&& take) {
  const index_t e = model.config.d_joint, layer = task.layer;
  const index_t n_neurons =
      task.neurons.empty() ? model.config.vision.d_mlp : std::ssize(task.neurons);
  const index_t at_once = bounded_batch(common.batch, n_neurons * e);
  const auto open = [&] {
    return open_images(images, preprocess_of(model), at_once, threads_of(common));
  };
  std::vector<site> sites = readout_sites();
  sites.push_back({site_kind::mlp_post, layer});
  sites.push_back({site_kind::resid_post, layer});
  auto input = open();
  lens_run<B> run(be, load_vision_tower(be, model), std::min(at_once, input->size()), sites);
  writer_mean<B> mean;
  for_each_batch(*input, "means", common.quiet, [&](const image_input::batch& batch) {
    run(batch.pixels);
    mean.add(be, run.cache().at({site_kind::mlp_post, layer}));
  });
  const const_view_of<B> means = task.one_mean ? mean.overall(be) : mean.by_token();

  const auto weights = lens_weights_of(run.tower());
  const head_maps<B> heads(be, weights, convention::centered);
  const index_t streams = std::min(common.batch, n_neurons);
  indirect_map<B> map(be, heads, weights, layer, task.neurons,
                      {.coefficient = task.coefficient, .batch = streams});
  auto rest_of_pass = run.tower().make_workspace(be, streams);
  const auto finish = [&](view_of<B> residual, view_of<B> representation) {
    throw_if_stopped();
    run.tower().forward_from(be, layer + 1, entry::block, residual, rest_of_pass, representation);
  };
  input = open();
  for_each_batch(*input, "effects", common.quiet, [&](const image_input::batch& batch) {
    const auto activations = run(batch.pixels);
    auto effects = be.allocate({batch.pixels.extent(0), n_neurons, e});
    map.effects(be, activations, run.cache().at({site_kind::resid_post, layer}),
                run.cache().at({site_kind::mlp_post, layer}), means, finish, effects.view());
    take(const_view_of<B>(effects.view()));
  });
}

}  // namespace solens::program
