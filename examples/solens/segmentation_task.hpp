#pragma once

#include <algorithm>  // std::replace
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <solens/findings/segmenter.hpp>
#include <solens/image/preprocess.hpp>
#include <solens/text/bpe_tokenizer.hpp>

#include "image_input.hpp"
#include "masks.hpp"
#include "model_files.hpp"
#include "options.hpp"
#include "run_folder.hpp"

namespace solens::program {

/// Exactly one of `given` and `classes.classes` is set.
struct segment_call {
  common_options common;
  model_options model;  ///< empty: the one that the run names
  image_options input;
  std::string run;
  std::vector<std::string> given;  ///< classes that are drawn in every image
  class_options classes;           ///< no classifier; of a file, an image's likeliest is drawn
  std::string masks;               ///< folder; empty: nothing to score against
  std::string method = "neurons";  ///< of map_source_names
  std::vector<index_t> layers;     ///< empty: all of the run
  index_t neurons = 200;
  bool by_sign = false;
  bool weighted = false;
  std::uint64_t seed = 0;  ///< of random neurons
  float threshold = 0.5F;
  std::string out;
};

/// What to look for, and what is known before the first image is looked at.
struct segmentation_task {
  const segment_call& call;
  const clip_source& model;
  preprocess_options preprocess;
  map_source source;
  std::vector<std::string> classes;
  std::vector<index_t> layers;
  std::vector<std::string> names;  ///< of the images, as outputs have them; by position
  std::vector<mask_reader> masks;  ///< one a class, or one for all where a class is predicted

  bool predicts() const { return call.given.empty(); }
  bool has_several() const { return !predicts() && classes.size() > 1; }

  /// Where a picture goes: of several classes, each has a folder.
  std::filesystem::path picture(const char* kind, index_t position, index_t c) const {
    std::filesystem::path place(kind);
    if (has_several()) place /= folder_of(c);
    return place / (names[static_cast<std::size_t>(position)] + ".png");
  }
  /// The class, with a bar for what a folder's name cannot hold.
  std::string folder_of(index_t c) const {
    std::string name = classes[static_cast<std::size_t>(c)];
    std::replace(name.begin(), name.end(), '/', '_');
    return name.front() == '.' ? "_" + name : name;
  }
};

/// The classes that a call names.
/// @throws argument_error for a class twice, or one of which the tokenizer makes nothing;
///         format_error naming the line where a file has such
std::vector<std::string> classes_of(const segment_call&, const clip_source& model,
                                    const bpe_tokenizer&);

/// The layers whose neurons are read.
/// @throws argument_error for a layer that the run has not
std::vector<index_t> layers_of_call(const segment_call&, const report_json& record);

/// Opens the images, and notes their names and masks.
/// @param at_once  images in a batch
/// @throws io_error, format_error, shape_error, argument_error, not_supported naming the file
std::unique_ptr<image_input> open_input(segmentation_task&, index_t at_once);

}  // namespace solens::program
