#pragma once

#include <array>
#include <string>
#include <vector>

#include "data_set.hpp"
#include "evaluation.hpp"

namespace toyland {

/// Neurons are described from some scenes; concepts are looked for in others.
struct concept_options {
  data_set_options scenes{.n = 5000, .seed = 1};
  data_set_options fresh{.n = 500, .seed = 99};
  std::vector<solens::index_t> layers = {};  ///< empty: all that have later blocks
  int atoms = 32;                            ///< words in a sparse code
};

inline constexpr std::array<int, 3> precision_ranks{1, 5, 10};

/// How many of the first 1, 5 and 10 words that a method says of a scene are true of it: means over
/// the fresh scenes.
struct concept_precision {
  std::string method;
  std::array<double, precision_ranks.size()> at{};
};

/// Scores ways to say in words what a scene holds against what it holds; a word or phrase is true
/// of a scene as `fits` tells.
///
/// `concepts`: words of the significant neurons, of all layers and of each; `direct effects`: the
/// same with direct effects in the place of second-order ones, for thresholds, directions, codes
/// and lengths; `similarity`: words by the cosine of picture and word; `similarity, centered`: that
/// less its mean over the scenes that neurons are described from; `frequent words`: the same for
/// every scene, by how many of those they are true of; `random words`: what guessing brings.
std::vector<concept_precision> evaluate_concepts(const clip&, const concept_options&);

}  // namespace toyland
