#pragma once

#include <string>
#include <vector>

#include <solens/findings/adversarial.hpp>
#include <solens/findings/found_layer.hpp>
#include <solens/findings/said_words.hpp>
#include <solens/weights/safetensors.hpp>

#include "run_folder.hpp"

namespace solens::program {

/// What a run with words found about a layer.
struct described_layer {
  index_t layer;
  safetensors_file file;

  found_layer<float> found() const {
    return {layer, file.view<float>("mean_effect"), file.view<float>("mean_coefficients"),
            file.view<float>("threshold")};
  }
  layer_codes<float> codes() const {
    return {layer, file.view<index_t>("code_atoms"), file.view<float>("code_weights")};
  }
  layer_directions<float> directions() const { return {layer, file.view<float>("direction")}; }
};

/// A run whose neurons are said in words.
struct described_run {
  run_folder folder;
  report_json record;
  std::vector<std::string> words;  ///< the dictionary's
  std::vector<described_layer> layers;

  convention how() const {
    return record.at("options").at("convention") == "reference" ? convention::reference
                                                                : convention::centered;
  }
  double coefficient() const {
    return static_cast<double>(record.at("options").at("coefficient").get<float>());
  }
  std::vector<layer_codes<float>> codes() const {
    std::vector<layer_codes<float>> all;
    for (const described_layer& l : layers) all.push_back(l.codes());
    return all;
  }
  const std::string& word(index_t number) const {
    return words.at(static_cast<std::size_t>(number));
  }
};

/// Opens the run folder `run` with the layers asked for; with none, with all that it has.
/// @param task  for messages
/// @throws argument_error for a run without words or a layer that it has not; as `run_folder` does
described_run open_described_run(const std::string& task, const std::string& run,
                                 const std::vector<index_t>& layers);

}  // namespace solens::program
