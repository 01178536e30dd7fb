#include <solens/lens/direct.hpp>
#include <solens/lens/second_order.hpp>

#include "array_output.hpp"
#include "commands.hpp"
#include "indirect_pass.hpp"
#include "lens_run.hpp"

namespace solens::program {
namespace {

struct effects_call {
  common_options common;
  model_options model;
  image_options input;
  index_t layer = 0;
  std::string kind = "second-order";  ///< or "direct", "indirect"
  std::vector<index_t> neurons;       ///< empty: all
  bool per_head = false;              ///< second-order only
  bool one_mean = false;              ///< indirect only: one mean over tokens, not one a token
  convention how = convention::centered;
  double coefficient = 100;
  std::string out;
};

void declare(option_group command, effects_call& o) {
  add_model(command, o.model);
  add_input(command, o.input);
  command.number("--layer", o.layer, "The layer, from 0", "L").required();
  command.text("--kind", o.kind, "second-order, direct or indirect [second-order]", "KIND")
      .among({"second-order", "direct", "indirect"});
  command.numbers("--neurons", o.neurons, "Neurons, as in 0,5,10-20 [all]");
  command.flag("--per-head", o.per_head, "Second-order effects through each later head");
  command.flag("--one-mean", o.one_mean,
               "Indirect effects: one mean for all tokens, not one for each");
  add_lens(command, o.how, o.coefficient);
  add_array_output(command, o.out, "[images, neurons, E]");
  add_common(command, o.common);
}

void check(const effects_call& o) {
  if (o.per_head && o.kind != "second-order") {
    throw usage_error("--per-head: goes with --kind second-order");
  }
  if (o.one_mean && o.kind != "indirect") {
    throw usage_error("--one-mean: goes with --kind indirect");
  }
}

/// What all three kinds have at hand.
struct task {
  const effects_call& call;
  const clip_source& model;
  array_output& out;
  index_t n_neurons;  ///< the selected ones

  std::unique_ptr<image_input> images(index_t at_once) const {
    return open_images(call.input, preprocess_of(model), at_once, threads_of(call.common));
  }
};

template <tensor_backend B>
void write(const B& be, const_view_of<B> rows, array_output& out) {
  host_tensor<float> host(rows.extents());
  be.download(rows, host.view());
  out.append(0, host.view());
}

template <tensor_backend B>
void second_order(const B& be, const task& t) {
  const vision_config& c = vision_of(t.model);
  const auto input = t.images(t.call.common.batch);
  const auto sites = second_order_sites(c, {t.call.layer});
  lens_run<B> run(be, load_vision_tower(be, t.model), std::min(t.call.common.batch, input->size()),
                  sites);
  const auto weights = lens_weights_of(run.tower());
  const head_maps<B> heads(be, weights, t.call.how);
  second_order_map<B> map(be, heads, weights, t.call.layer, t.call.neurons);
  attention_routes<B> routes(t.call.coefficient);
  const index_t k = map.n_sources(), e = map.d_joint();
  const index_t images_at_once =
      bounded_batch(t.call.common.batch, t.n_neurons * e * (t.call.per_head ? k : 1));
  for_each_batch(*input, "effects", t.call.common.quiet, [&](const image_input::batch& batch) {
    const auto activations = run(batch.pixels);
    const index_t n = batch.pixels.extent(0);
    routes.update(be, activations, t.call.layer + 1);
    auto s = be.allocate({n, k, t.n_neurons});
    map.coefficients(be, routes, activations.blocks[static_cast<std::size_t>(t.call.layer)].writers,
                     s.view());
    auto rest = be.allocate(t.call.per_head ? shape{n, k, e} : shape{n, e});
    if (t.call.per_head) {
      map.rest_terms(be, routes, activations, rest.view());
    } else {
      map.rest(be, routes, activations, rest.view());
    }
    for (index_t i = 0; i < n; i += images_at_once) {
      const index_t end = std::min(n, i + images_at_once);
      const const_view_of<B> part = s.view().slice(0, i, end);
      const const_view_of<B> of_part = rest.view().slice(0, i, end);
      if (t.call.per_head) {
        auto effects = be.allocate({end - i, k, t.n_neurons, e});
        map.effect_terms(be, part, of_part, effects.view());
        write(be, const_view_of<B>(effects.view()), t.out);
      } else {
        auto effects = be.allocate({end - i, t.n_neurons, e});
        map.effects(be, part, of_part, effects.view());
        write(be, const_view_of<B>(effects.view()), t.out);
      }
      throw_if_stopped();
    }
  });
}

template <tensor_backend B>
void direct(const B& be, const task& t) {
  const index_t e = t.model.config.d_joint;
  const index_t at_once = bounded_batch(t.call.common.batch, t.n_neurons * e);
  const auto input = t.images(at_once);
  std::vector<site> sites = readout_sites();
  sites.push_back({site_kind::mlp_post, t.call.layer});
  lens_run<B> run(be, load_vision_tower(be, t.model), std::min(at_once, input->size()), sites);
  const auto weights = lens_weights_of(run.tower());
  const head_maps<B> heads(be, weights, t.call.how);
  direct_map<B> map(be, heads, weights, t.call.layer, t.call.neurons);
  readout_scales<B> readout(t.call.coefficient);
  for_each_batch(*input, "effects", t.call.common.quiet, [&](const image_input::batch& batch) {
    const auto activations = run(batch.pixels);
    readout.update(be, activations);
    auto effects = be.allocate({batch.pixels.extent(0), t.n_neurons, e});
    map.effects(be, readout, activations,
                activations.blocks[static_cast<std::size_t>(t.call.layer)].writers, effects.view());
    write(be, const_view_of<B>(effects.view()), t.out);
  });
}

template <tensor_backend B>
void indirect(const B& be, const task& t) {
  indirect_pass(be, t.call.common, t.call.input, t.model,
                {t.call.layer, t.call.neurons, t.call.one_mean, t.call.coefficient},
                [&](const_view_of<B> effects) { write(be, effects, t.out); });
}

void run_effects(const effects_call& call) {
  const clip_source model = open_model(call.model);
  const vision_config& c = vision_of(model);
  const bool second = call.kind == "second-order";
  const index_t n_layers = second ? c.n_layers - 1 : c.n_layers;
  if (call.layer < 0 || call.layer >= n_layers) {
    throw argument_error("effects",
                         "a layer from 0 to " + std::to_string(n_layers - 1) +
                             (second ? ", which has later blocks" : ""),
                         std::to_string(call.layer), "--layer");
  }
  for (const index_t n : call.neurons) {
    if (n < 0 || n >= c.d_mlp) {
      throw argument_error("effects", "neurons from 0 to " + std::to_string(c.d_mlp - 1),
                           std::to_string(n), "--neurons");
    }
  }
  const index_t n = call.neurons.empty() ? c.d_mlp : static_cast<index_t>(call.neurons.size());
  const index_t e = model.config.d_joint;
  const index_t k = (c.n_layers - 1 - call.layer) * c.n_heads;
  array_output out(call.out, {"effects", call.per_head ? shape{k, n, e} : shape{n, e}});
  const task t{call, model, out, n};
  with_backend(call.common, [&]<tensor_backend B>(const B& be) {
    if (second) return second_order(be, t);
    call.kind == "direct" ? direct(be, t) : indirect(be, t);
  });
  out.finish();
}

}  // namespace

void add_effects(command_line& line) {
  line.add("effects", "--model M (--images PATH | --pixels F) --layer L --out FILE [options]",
           "Effects of neurons of one MLP on the representation", declare, run_effects, check);
}

}  // namespace solens::program
