#include <solens/lens/decomposition.hpp>

#include "array_output.hpp"
#include "commands.hpp"
#include "lens_run.hpp"

namespace solens::program {
namespace {

struct decompose_call {
  common_options common;
  model_options model;
  image_options input;
  convention how = convention::centered;
  double coefficient = 100;
  std::string out;
};

void declare(option_group command, decompose_call& o) {
  add_model(command, o.model);
  add_input(command, o.input);
  add_lens(command, o.how, o.coefficient);
  command.text("--out", o.out, "Where attention, mlp and biases go: .safetensors", "FILE")
      .ends_in({".safetensors"})
      .required();
  add_common(command, o.common);
}

std::vector<array_output::array> arrays_of(const vision_config& c, index_t e, convention how) {
  std::vector<array_output::array> arrays{{"attention", {c.n_layers, c.n_tokens(), c.n_heads, e}},
                                          {"mlp", {c.n_layers + 1, e}}};
  if (how == convention::centered) {
    arrays.push_back({"attention_bias", {c.n_layers, e}});
    arrays.push_back({"bias", {e}});
  }
  return arrays;
}

void run_decompose(const decompose_call& call) {
  const clip_source model = open_model(call.model);
  const vision_config& c = vision_of(model);
  const index_t e = model.config.d_joint;
  const auto arrays = arrays_of(c, e, call.how);
  const index_t at_once = bounded_batch(call.common.batch, arrays[0].row.size());
  const auto input =
      open_images(call.input, preprocess_of(model), at_once, threads_of(call.common));
  array_output out(call.out, arrays, input->size());
  with_backend(call.common, [&]<tensor_backend B>(const B& be) {
    lens_run<B> run(be, load_vision_tower(be, model), std::min(at_once, input->size()),
                    decomposition_sites(c));
    const head_maps<B> heads(be, lens_weights_of(run.tower()), call.how);
    residual_decomposer<B> decomposer(heads, call.coefficient);
    for_each_batch(*input, "decompose", call.common.quiet, [&](const image_input::batch& batch) {
      const auto parts = decomposer.decompose(be, run(batch.pixels));
      const auto append = [&](std::size_t which, const typename B::tensor& part) {
        host_tensor<float> host(part.view().extents());
        be.download(part.view(), host.view());
        out.append(which, host.view());
      };
      append(0, parts.attention);
      append(1, parts.mlp);
      if (parts.attention_bias) append(2, *parts.attention_bias);
      if (parts.bias) append(3, *parts.bias);
    });
  });
  out.finish();
}

}  // namespace

void add_decompose(command_line& line) {
  line.add("decompose", "--model M (--images PATH | --pixels F) --out FILE [options]",
           "Representations as sums over heads, tokens and MLPs", declare, run_decompose);
}

}  // namespace solens::program
