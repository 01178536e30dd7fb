#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <solens/stats/segmentation_scores.hpp>

namespace toyland {

struct segmentation_call {
  std::filesystem::path model;          ///< folder
  std::filesystem::path run;            ///< of `solens analyze` on the model
  std::vector<solens::index_t> layers;  ///< of the run
  solens::index_t neurons = 200;        ///< for a kind
  int n = 500;                          ///< scenes
  std::uint64_t seed = 2025;            ///< training had 7
  bool evenly = false;                  ///< without the planted correlations
};

/// One way to find things, and how well it did.
struct segmentation_row {
  std::string name;
  solens::stats::segmentation_scores scores;
};

/// Looks for every kind of thing that is in cluttered scenes, of two and three things in turn, in
/// all ways that solens knows, in the same forward passes. A kind's truth is what is seen of its
/// things, where they cover half of a pixel or more; kinds are given, in the words of
/// `kind_sentences`.
/// @throws what solens throws for files that are missing or wrong
std::vector<segmentation_row> compare_segmentations(const segmentation_call&);

}  // namespace toyland
