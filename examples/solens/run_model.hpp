#pragma once

#include <string>

#include <solens/core/error.hpp>

#include "model_files.hpp"
#include "run_folder.hpp"

namespace solens::program {

/// The model that a run was made with, as its record says or, where it lies elsewhere by now, as
/// the call says.
/// @param run    the run's folder, for messages
/// @param place  of the model; empty for where the run found it
/// @throws argument_error when the weights are others than the run's; as `open_model` does
inline clip_source open_model_of_run(const std::string& run, const report_json& record,
                                     model_options place) {
  const report_json& recorded = record.at("model");
  if (place.model.empty()) {
    place.model = recorded.at("path").get<std::string>();
    if (place.config.empty()) place.config = recorded.value("config", std::string());
  }
  clip_source model = open_model(place);
  const std::string hash = sha256_of(model), expected = recorded.at("sha256").get<std::string>();
  if (hash == expected) return model;
  throw argument_error("open model", "the model of " + run + ", of SHA-256 " + expected,
                       "another, of SHA-256 " + hash, place.model);
}

}  // namespace solens::program
