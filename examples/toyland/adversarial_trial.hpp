#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data_set.hpp"
#include "evaluation.hpp"

namespace toyland {

/// Neurons are described from scenes; then pictures are painted to be mistaken.
struct adversarial_options {
  data_set_options scenes{.n = 5000, .seed = 1};
  std::vector<solens::index_t> layers = {};  ///< empty: all that have later blocks
  int atoms = 32;                            ///< words in a sparse code
  int neurons = 100, words = 25;             ///< that captions are made from
  int words_a_caption = 4;
  int pictures = 40;  ///< for a pair of kinds, a way to choose words, and a seed
  std::vector<std::uint64_t> seeds{1, 2, 3};
  int indirect_scenes = 12;  ///< over which indirect effects are taken
};

/// The ways to choose words.
inline constexpr std::array word_choices{"no words", "random words", "nearest words",
                                         "indirect effects", "second order"};

/// How many pictures of one kind were taken for another.
struct adversarial_result {
  kind taken_for, there;
  /// By choice of words and seed: the share of the pictures.
  std::array<std::vector<double>, word_choices.size()> share;
};

/// What a writer makes of words: a scene of `there` first, with as many of the words as fit into
/// it, tried in their order.
///
/// A word fits when all that it says can be told beside what is told already: its things are none
/// of `absent` and there is room for them, its colour or texture, where it names no thing, becomes
/// the first thing's, its setting is the only one.
/// @param claims   what the words say
/// @param most     words that are taken
description scene_with(kind there, kind absent, const std::vector<description>& claims, int most);

/// Tries, for every kind as class 0 and the kind seven places on in the list as class 1, whether
/// pictures of class 1 that hold spurious words are taken for class 0.
///
/// Words of either class, in the singular or plural, and those that lie near it in text space, are
/// left out as `solens::without_giveaways` does. A caption is `scene_with` a random choice of the
/// words; what it leaves open is painted evenly, without the planted correlations, so that nothing
/// but the words pulls. Every picture holds class 1, seen on 1 % of it or more, and nothing of
/// class 0. A picture is taken for the class of the two whose `kind_classifier` is nearer.
std::vector<adversarial_result> try_adversarial(const clip&, const adversarial_options&);

}  // namespace toyland
