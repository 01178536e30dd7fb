#include <solens/image/preprocess.hpp>

#include "array_output.hpp"
#include "backends.hpp"
#include "commands.hpp"
#include "image_input.hpp"
#include "model_files.hpp"

namespace solens::program {
namespace {

struct preprocess_call {
  common_options common;
  model_options model;
  image_options input;
  std::string out;
};

void declare(option_group command, preprocess_call& o) {
  add_model(command, o.model);
  add_images(command, command, o.input).required();
  add_array_output(command, o.out, "[images, 3, H, W]");
  add_common(command, o.common);
}

void run_preprocess(const preprocess_call& call) {
  const preprocess_options preprocess = preprocess_of(open_model(call.model));
  const image_extent extent = output_extent(preprocess);
  array_output out(call.out, {"pixels", {3, extent.height, extent.width}});
  const auto input =
      open_images(call.input, preprocess, call.common.batch, threads_of(call.common));
  for_each_batch(*input, "preprocess", call.common.quiet,
                 [&](const image_input::batch& batch) { out.append(0, batch.pixels); });
  out.finish();
}

}  // namespace

void add_preprocess(command_line& line) {
  line.add("preprocess", "--model M --images PATH --out FILE [options]",
           "The pixels that a model sees", declare, run_preprocess);
}

}  // namespace solens::program
