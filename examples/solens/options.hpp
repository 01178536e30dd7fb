#pragma once

#include <string>

#include <solens/core/shape.hpp>

/// The words of a call, parsed: one plain struct a subcommand, so that the parser stays in
/// main.cpp.
namespace solens::program {

struct common_options {
  int threads = 0;  ///< 0: all usable CPUs
  std::string backend = "auto";
  index_t batch = 32;
  bool quiet = false;
};

struct model_options {
  std::string model;
  std::string config;  ///< empty: the one beside the model, or from the weights' shapes
};

/// Exactly one of `images` and `pixels` is set (neither, for texts).
struct image_options {
  std::string images;
  std::string labels;  ///< "folders", or empty
  bool strict = false;
  std::string pixels;  ///< FILE.safetensors[:tensor] or FILE.npy

  bool any() const { return !images.empty() || !pixels.empty(); }
};

struct info_call {
  common_options common;
  model_options model;
};

struct encode_call {
  common_options common;
  model_options model;
  image_options input;
  std::string texts;
  std::string vocab;  ///< empty: the model's own
  bool normalize = false;
  std::string out;
};

/// Exactly one of `model` and `vocab` is set.
struct tokenize_call {
  common_options common;
  model_options model;
  std::string vocab;
  std::string texts;
};

struct preprocess_call {
  common_options common;
  model_options model;
  image_options input;
  std::string out;
};

}  // namespace solens::program
