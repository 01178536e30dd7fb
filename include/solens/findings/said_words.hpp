#pragma once

#include <algorithm>  // std::find_if, std::stable_sort
#include <cmath>      // std::abs
#include <map>
#include <span>
#include <string>
#include <vector>

#include <solens/core/error.hpp>
#include <solens/core/tensor_view.hpp>

namespace solens {

/// A writer, and how much of it there is: the length of its effect on an image, say.
struct weighted_writer {
  index_t layer, writer;
  double weight;
};

/// The sparse codes of a layer's writers; views.
template <class T>
struct layer_codes {
  index_t layer = 0;
  host_view<const index_t> atoms{};  ///< [n_writers, m]: words; -1 where a code has fewer
  host_view<const T> weights{};      ///< [n_writers, m]
};

/// A word that writers say together.
struct said_word {
  index_t word;
  double score;                       ///< sum over the writers
  std::vector<weighted_writer> by{};  ///< the writers and their parts, largest magnitude first
};

/// What writers say together: of each word the sum, over the writers, of its weight in the writer's
/// code times the writer's own weight.
///
/// @returns  every word in a code of one of them, the highest score first; of equal ones, the
///           first in the dictionary
/// @throws argument_error for a writer or a layer without a code
/// Source: arXiv 2406.04341, section 5.1 and appendix A.5.
template <class T>
std::vector<said_word> words_said_by(std::span<const weighted_writer> writers,
                                     std::span<const layer_codes<T>> codes) {
  std::map<index_t, said_word> words;
  for (const weighted_writer& w : writers) {
    const auto of =
        std::find_if(codes.begin(), codes.end(), [&](const auto& c) { return c.layer == w.layer; });
    if (of == codes.end() || w.writer < 0 || w.writer >= of->atoms.extent(0)) {
      throw argument_error(
          "words_said_by", "writers with codes",
          "writer " + std::to_string(w.writer) + " of layer " + std::to_string(w.layer), "writers");
    }
    for (index_t a = 0; a < of->atoms.extent(1); ++a) {
      const index_t word = of->atoms(w.writer, a);
      if (word < 0) continue;
      const double part = static_cast<double>(of->weights(w.writer, a)) * w.weight;
      said_word& to = words.try_emplace(word, said_word{word, 0}).first->second;
      to.score += part;
      to.by.push_back({w.layer, w.writer, part});
    }
  }
  std::vector<said_word> ranked;
  for (auto& [word, said] : words) {
    std::stable_sort(said.by.begin(), said.by.end(), [](const auto& a, const auto& b) {
      return std::abs(a.weight) > std::abs(b.weight);
    });
    ranked.push_back(std::move(said));
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });
  return ranked;
}

}  // namespace solens
