#pragma once

#include <cstddef>  // std::size_t
#include <string>
#include <vector>

#include <solens/findings/text_dictionary.hpp>
#include <solens/lens/frozen_norm.hpp>

#include "command_line.hpp"

/// Options that several commands share: what they are once understood, and how they are declared.
namespace solens::program {

struct common_options {
  int threads = 0;  ///< 0: all usable CPUs
  std::string backend = "auto";
  std::size_t device_memory = 0;  ///< bytes of a GPU's at most; 0: all
  index_t batch = 32;
  bool quiet = false;
};
void add_common(option_group command, common_options& o);

struct model_options {
  std::string model;
  std::string config;  ///< empty: the one beside the model, or from the weights' shapes
};
/// The model of a command, which has to be given.
void add_model(option_group command, model_options& o);
/// @param among  the group that `--model` is one choice of
/// @returns `--model`
option add_model(option_group command, option_group among, model_options& o);

/// A run folder.
void add_run(option_group command, std::string& run, const std::string& what);
/// The model of a run, where it lies elsewhere by now.
void add_model_of_run(option_group command, model_options& o);

/// Exactly one of `images` and `pixels` is set (neither, for texts).
struct image_options {
  std::string images;
  std::string labels;  ///< "folders", or empty
  bool strict = false;
  std::string pixels;  ///< FILE.safetensors[:tensor] or FILE.npy

  bool any() const { return !images.empty() || !pixels.empty(); }
  const std::string& place() const { return images.empty() ? pixels : images; }
};
/// @returns `--images`
option add_images(option_group command, option_group among, image_options& o);
void add_pixels(option_group among, image_options& o);
/// Images to look at, files or pixels.
void add_input(option_group command, image_options& o);
/// Class numbers of images that are in no folders of classes.
void add_label_ids(option_group command, std::string& file);

/// A tokenizer that is not the model's.
option add_vocab(option_group command, std::string& place);
option add_texts(option_group command, std::string& file);

/// Words to describe neurons with.
struct word_options {
  std::string list;             ///< empty: none
  std::string embeddings;       ///< .npy of the words' embeddings; empty: the text tower makes them
  std::string vocab;            ///< empty: the model's own
  std::string sentence = "{}";  ///< that a word stands in before the text tower
  std::string cache;            ///< folder for embeddings; empty: the user's
  std::vector<index_t> atoms{32};  ///< words a neuron, ascending
  dictionary_scaling scaling = dictionary_scaling::unit;
};
/// Words and what becomes of them before the text tower. What a tokenizer is needed for depends on
/// the command, which declares `--vocab`.
/// @returns `--words`
option add_word_list(option_group command, word_options& o);
/// Words, and how directions are said in them.
/// @returns `--words`
option add_words(option_group command, word_options& o);

/// A zero-shot classifier. Exactly one of `classifier` and `classes` is set.
struct class_options {
  std::string classifier;  ///< .npy [E, classes]
  std::string classes;     ///< a class name a line
  std::string templates;   ///< a sentence a line; empty: the usual one
  std::string vocab;       ///< empty: the model's own
};
/// What tells classes apart.
/// @param among  the group in which `--classifier` and `--classes` are
/// @returns `--classes`
option add_classes(option_group command, option_group among, class_options& o);
option add_templates(option_group command, std::string& file, const std::string& what);

/// How a representation is taken apart.
void add_lens(option_group command, convention& how, double& coefficient);

/// A number of things, at least one.
void add_count(option_group command, const std::string& name, index_t& count,
               const std::string& what);
/// Bytes kept of layers at a time.
void add_memory(option_group command, std::size_t& bytes);

/// A file of arrays, .npy or .safetensors.
void add_array_output(option_group command, std::string& file, const std::string& shape);
void add_json_output(option_group command, std::string& file);

}  // namespace solens::program
