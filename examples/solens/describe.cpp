#include <filesystem>
#include <optional>
#include <string>

#include <solens/weights/safetensors.hpp>

#include "commands.hpp"
#include "model_files.hpp"
#include "run_folder.hpp"
#include "stopwatch.hpp"
#include "words.hpp"

namespace solens::program {
namespace {

/// The model of a run; not set when it is not there and not needed.
/// @throws argument_error when it is another
std::optional<clip_source> model_of(const describe_call& call, const report_json& run) {
  const auto& recorded = run.at("model");
  model_options place = call.model;
  if (place.model.empty()) {
    place.model = recorded.at("path").get<std::string>();
    if (place.config.empty()) place.config = recorded.value("config", std::string());
    if (!std::filesystem::exists(place.model) && !call.words.embeddings.empty()) return {};
  }
  std::optional<clip_source> model = open_model(place);
  const std::string hash = sha256_of(*model);
  if (recorded.at("sha256") != hash) {
    throw argument_error(
        "describe",
        "the model of " + call.run + ", of SHA-256 " + recorded.at("sha256").get<std::string>(),
        "another, of SHA-256 " + hash, place.model);
  }
  return model;
}

}  // namespace

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
  run["seconds"]["words"] = static_cast<float>(whole.seconds());
  folder.finish_replacing(run);
}

}  // namespace solens::program
