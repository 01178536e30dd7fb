#pragma once

#include <span>
#include <string>
#include <vector>

#include <solens/findings/adversarial.hpp>
#include <solens/findings/analysis.hpp>
#include <solens/findings/found_layer.hpp>
#include <solens/findings/omp.hpp>
#include <solens/findings/said_words.hpp>

#include "data_set.hpp"
#include "evaluation.hpp"

namespace toyland {

/// What an analysis found about the neurons of a layer, and what its directions are in words.
struct described_layer {
  solens::index_t number;
  solens::layer_findings<float> findings;
  solens::sparse_codes<float> codes;

  solens::found_layer<float> found() const {
    return {number, findings.mean_effect, findings.mean_coefficients,
            findings.selectivity.threshold};
  }
  solens::layer_codes<float> said() const { return {number, codes.atoms, codes.weights}; }
  solens::layer_directions<float> directions() const {
    return {number, findings.direction.direction};
  }
};

/// The words of toyland for a CLIP.
struct toyland_words {
  explicit toyland_words(const clip&);

  std::vector<std::string> words;                     ///< `words_and_phrases`
  std::vector<description> claims;                    ///< what each says of a scene
  solens::host_tensor<float> embeddings, dictionary;  ///< [n_words, E], unit rows
};

/// Analyses the second-order effects of neurons on scenes, the strongest 2 % of each as
/// significant, and says their directions in words.
/// @param layers  with later blocks; none: all that have
/// @throws solens::argument_error for other layers
std::vector<described_layer> describe_neurons(const clip&, const toyland_words&,
                                              const data_set_options& scenes,
                                              std::vector<solens::index_t> layers, int atoms);

}  // namespace toyland
