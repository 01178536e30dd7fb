#include <solens/image/preprocess.hpp>

#include "array_output.hpp"
#include "backends.hpp"
#include "commands.hpp"
#include "image_input.hpp"
#include "model_files.hpp"

namespace solens::program {

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

}  // namespace solens::program
