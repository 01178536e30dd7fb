#pragma once

#include <filesystem>
#include <string>

#include "options.hpp"
#include "run_folder.hpp"

namespace solens::program {

/// The images that a run analysed, in its order: the files of images.txt, or the tensor of pixels
/// that they were read from.
inline image_options images_of_run(const run_folder& folder, const report_json& record) {
  const auto source = record.at("images").at("source").get<std::string>();
  const bool pixels = source.ends_with(".npy") || source.ends_with(".safetensors") ||
                      source.find(".safetensors:") != std::string::npos;
  if (pixels) return {.images = {}, .labels = {}, .strict = false, .pixels = source};
  return {.images = (folder.path() / "images.txt").string(),
          .labels = {},
          .strict = false,
          .pixels = {}};
}

}  // namespace solens::program
