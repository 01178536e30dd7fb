#include <filesystem>
#include <optional>
#include <string>

#include <solens/weights/safetensors.hpp>

#include "commands.hpp"
#include "run_folder.hpp"
#include "run_model.hpp"
#include "stopwatch.hpp"
#include "words.hpp"

namespace solens::program {
namespace {

struct describe_call {
  common_options common;
  model_options model;  ///< empty: the one that the run names
  std::string run;
  word_options words;
};

void declare(option_group command, describe_call& o) {
  add_run(command, o.run, "Run folder of analyze");
  add_words(command, o.words).required();
  add_model_of_run(command, o.model);
  add_common(command, o.common);
}

/// The model of a run; not set when it is not there and not needed.
std::optional<clip_source> model_of(const describe_call& call, const report_json& run) {
  const bool needed = call.words.embeddings.empty() || !call.model.model.empty();
  if (!needed && !std::filesystem::exists(run.at("model").at("path").get<std::string>())) return {};
  return open_model_of_run(call.run, run, call.model);
}

void run_describe(const describe_call& call) {
  const stopwatch whole;
  const run_folder folder = run_folder::open(call.run);
  report_json run = folder.record();
  const std::vector<index_t> layers = layers_of(run);
  const std::optional<clip_source> model = model_of(call, run);
  const safetensors_file first(folder.path() / run_folder::layer_file(layers.at(0)));
  const word_source words =
      open_words(call.common, call.words, model ? &*model : nullptr, run.at("model").at("sha256"),
                 first.info("direction").extents[1]);
  const passing_folder next = folder.begin_replacing();
  run["words"] = describe_layers(call.common, words, layers, folder.path(), next.path());
  run.erase("pairs");  // in words of the dictionary that is replaced
  run.erase("ablation");
  run["seconds"]["words"] = static_cast<float>(whole.seconds());
  folder.finish_replacing(run);
}

}  // namespace

void add_describe(command_line& line) {
  line.add("describe", "--run DIR --words FILE [options]",
           "Every neuron of a run in words, in place of what it has", declare, run_describe);
}

}  // namespace solens::program
