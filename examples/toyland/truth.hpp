#pragma once

#include <string>
#include <vector>

#include "data_set.hpp"
#include "evaluation.hpp"

namespace toyland {

/// Descriptions of neurons are made from some scenes and held against others.
struct truth_options {
  data_set_options scenes{.n = 2000, .seed = 1};
  data_set_options fresh{.n = 4000, .seed = 99, .how = {.planted = false}};
  std::vector<solens::index_t> layers = {};  ///< empty: all that have later blocks
  int atoms = 8;                             ///< words in a sparse code
  int indirect = 16;           ///< neurons of a layer whose indirect effects are taken, 0 for none
  int indirect_scenes = 1000;  ///< over the first so many scenes
};

/// How true the words of one neuron are of fresh scenes: areas under the ROC curve, 0.5 for words
/// that say nothing. Positive words should be true of scenes with large values, negative of small.
struct word_score {
  double first;        ///< of the first word
  double first_three;  ///< mean of the first three
};

/// The neurons of one layer, described in one way.
struct judged_descriptions {
  std::string method;
  solens::index_t layer;
  std::vector<word_score> effect;      ///< values: second-order effects along their direction
  std::vector<word_score> activation;  ///< values: the neuron's largest activation over the tokens
};

/// How simple the effects of one layer's neurons are: means over the neurons.
struct effect_figures {
  std::string kind;
  solens::index_t layer, n_neurons;
  double explained_variance;      ///< share of the first direction, on the 2 % of scenes with the
                                  ///< strongest effects
  double explained_variance_all;  ///< on all
  double top_share;               ///< part of the norms that lies on those 2 %
};

/// Areas under the ROC curve: how often a scene of which a word is true has a larger value than one
/// of which it is not; ties count half.
/// @param values  [n_neurons, n_scenes]
/// @param holds   [n_scenes, n_words]: 1 where a word is true, else 0; both occur of every word
/// @returns       [n_neurons, n_words]
solens::host_tensor<double> areas_under_roc(const clip::backend&,
                                            const solens::host_tensor<float>& values,
                                            const solens::host_tensor<float>& holds);

struct truth {
  std::vector<judged_descriptions> descriptions;
  std::vector<effect_figures> effects;
};

/// Scores descriptions of neurons against what is known of the scenes.
///
/// Every method says its first words from the same list and the same scenes: those of a sparse code
/// of the effects' first direction, for second-order, direct and indirect effects (a neuron held at
/// its mean); the best by CLIP-Dissect's soft WPMI, for activations; or random ones. A word is true
/// of a scene as `fits` tells. For the bound, `best word` takes the one that is most true of the
/// fresh scenes themselves.
/// @throws solens::argument_error for layers without later blocks; when a word is true of no fresh
///         scene or of all
truth hold_against_truth(const clip&, const truth_options&);

}  // namespace toyland
