#pragma once

#include <cstddef>  // std::size_t
#include <cstdint>
#include <string>
#include <vector>

#include <solens/core/shape.hpp>
#include <solens/findings/text_dictionary.hpp>
#include <solens/lens/frozen_norm.hpp>
#include <solens/lens/head_outputs.hpp>

/// The words of a call, parsed: one plain struct a subcommand, so that the parser stays in
/// main.cpp.
namespace solens::program {

struct common_options {
  int threads = 0;  ///< 0: all usable CPUs
  std::string backend = "auto";
  std::size_t device_memory = 0;  ///< bytes of a GPU's at most; 0: all
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
  const std::string& place() const { return images.empty() ? pixels : images; }
};

struct demo_call {
  common_options common;
  int scenes = 2000;
  std::string out = "solens-demo";
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

struct decompose_call {
  common_options common;
  model_options model;
  image_options input;
  convention how = convention::centered;
  double coefficient = 100;
  std::string out;
};

struct effects_call {
  common_options common;
  model_options model;
  image_options input;
  index_t layer = 0;
  std::string kind = "second-order";  ///< or "direct", "indirect"
  std::vector<index_t> neurons;       ///< empty: all
  bool per_head = false;              ///< second-order only
  bool one_mean = false;              ///< indirect only: one mean over tokens, not one a token
  convention how = convention::centered;
  double coefficient = 100;
  std::string out;
};

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

struct analyze_call {
  common_options common;
  model_options model;
  image_options input;
  word_options words;
  std::vector<index_t> layers;  ///< empty: all that have later blocks
  index_t top = 100;
  convention how = convention::centered;
  double coefficient = 100;
  std::size_t memory = std::size_t{4} << 30;  ///< bytes
  double save_every = 60;                     ///< seconds between two states on disk
  std::string out;
};

struct describe_call {
  common_options common;
  model_options model;  ///< empty: the one that the run names
  std::string run;
  word_options words;
};

/// A zero-shot classifier. Exactly one of `classifier` and `classes` is set.
struct class_options {
  std::string classifier;  ///< .npy [E, classes]
  std::string classes;     ///< a class name a line
  std::string templates;   ///< a sentence a line; empty: the usual one
  std::string vocab;       ///< empty: the model's own
};

/// Exactly one of `input.labels` and `label_ids` is set.
struct ablate_call {
  common_options common;
  model_options model;  ///< empty: the one that the run names
  image_options input;
  std::string label_ids;  ///< .npy of class numbers, one an image
  std::string run;
  class_options classes;
  std::uint64_t seed = 0;
  std::size_t memory = std::size_t{4} << 30;  ///< bytes kept of layers at a time
  std::string logits;                         ///< .safetensors; empty: not wanted
  std::string out;                            ///< JSON; empty: standard output
};

/// Attention heads in texts, or, where `remove` names any, what a classifier makes of the rest.
///
/// One of `run` and `model.model` is set. To remove heads, one of `input.labels` and `label_ids`.
struct heads_call {
  common_options common;
  model_options model;
  image_options input;  ///< none: the images of the run
  std::string run;
  word_options words;           ///< no list: the words of the run
  std::vector<index_t> layers;  ///< empty: all
  index_t texts = 20;           ///< at most so many a head
  std::vector<head_place> remove;
  std::string label_ids;  ///< .npy of class numbers, one an image
  class_options classes;
  std::uint64_t seed = 0;
  std::string out;  ///< empty: into the run, or, without one or when heads are removed, to standard
                    ///< output
};

struct pairs_call {
  common_options common;
  model_options model;  ///< empty: the one that the run names
  std::string run;
  index_t heads = 3;  ///< a neuron
};

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
  bool by_magnitude = true;
  bool weighted = false;
  std::uint64_t seed = 0;  ///< of random neurons
  float threshold = 0.5F;
  std::string out;
};

struct report_call {
  common_options common;
  model_options model;  ///< empty: the one that the run names
  std::string run;
  std::string ablation;  ///< JSON of `ablate`; empty: what the run folder holds, if anything
  index_t top = 24;      ///< images shown of each neuron
  std::size_t thumbnails = std::size_t{20} << 20;  ///< bytes of the page for pictures; 0: none
  std::string out;                                 ///< empty: report.html in the run folder
};

/// Exactly one of `input.images`, `input.pixels` and `index` is set.
struct concepts_call {
  common_options common;
  model_options model;  ///< empty: the one that the run names
  image_options input;
  std::string index;                          ///< what an earlier call wrote
  std::string run;                            ///< empty with `index`
  std::vector<index_t> layers;                ///< empty: the run's
  index_t top_words = 20;                     ///< of each image
  index_t top_neurons = 10;                   ///< named for each word
  std::string find;                           ///< a word; empty: all that images hold
  std::string sheet;                          ///< PNG of the images found; empty: none
  std::size_t memory = std::size_t{4} << 30;  ///< bytes kept of layers at a time
  std::string out;                            ///< JSON; empty: standard output
};

struct adversarial_call {
  common_options common;
  model_options model;  ///< empty: the one that the run names
  std::string run;
  std::string class_0, class_1;
  std::vector<index_t> layers;  ///< empty: the run's
  index_t words_out = 50;
  index_t words_in_prompt = 25;
  index_t neurons = 100;
  double near = 0.9;       ///< cosine from which on a word is a class's synonym
  class_options texts;     ///< templates and vocab only
  image_options input;     ///< for the baseline of indirect effects; none: without it
  std::uint64_t seed = 0;  ///< of the random words
  index_t captions = 10;
  std::string write_with, paint_with;  ///< commands; empty: not run
  std::string pictures;                ///< folder for what is painted
  std::string evaluate;                ///< pictures to classify; empty: the painted ones
  std::string sheet;                   ///< PNG of these, most like class 0 first; empty: none
  std::string out;                     ///< JSON; empty: standard output
};

}  // namespace solens::program
