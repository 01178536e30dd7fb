#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include <solens/findings/said_words.hpp>

#include "findings/effects_oracle.hpp"
#include "support/test.hpp"

namespace solens::test {

/// What is said of every image the plain way: every effect in memory, everything in double.
class concepts_oracle {
 public:
  explicit concepts_oracle(index_t n_images) : images_(static_cast<std::size_t>(n_images)) {}

  /// @param effects  [n_images, n_writers, d_joint]
  template <class T>
  void add(index_t layer, const host_tensor<double>& effects, index_t top,
           const layer_codes<T>& codes) {
    for (index_t w = 0; w < effects.extent(1); ++w) {
      host_tensor<double> of_writer({effects.extent(0), effects.extent(2)});
      for (index_t i = 0; i < effects.extent(0); ++i) {
        for (index_t j = 0; j < effects.extent(2); ++j) of_writer(i, j) = effects(i, w, j);
      }
      const effects_oracle found(std::move(of_writer), top);
      // The last of the top images lies on the threshold, not above it.
      for (auto i = found.top.begin(); i != found.top.end() - 1; ++i) {
        auto& image = images_[static_cast<std::size_t>(*i)];
        ++image.n_significant;
        for (index_t a = 0; a < codes.atoms.extent(1); ++a) {
          if (codes.atoms(w, a) < 0) continue;
          const double part =
              static_cast<double>(codes.weights(w, a)) * found.norms[static_cast<std::size_t>(*i)];
          image.score[codes.atoms(w, a)] += part;
          image.parts[codes.atoms(w, a)][{layer, w}] = part;
        }
      }
    }
  }

  /// Checks the words of an image: all of them, ranked, and who said them.
  void check(index_t image, index_t n_significant, const std::vector<said_word>& words,
             double tolerance) const {
    const auto& expected = images_[static_cast<std::size_t>(image)];
    CHECK(n_significant == expected.n_significant);
    REQUIRE(words.size() == expected.score.size());
    double largest = 0;
    for (const auto& [word, score] : expected.score) largest = std::max(largest, std::abs(score));
    for (std::size_t i = 0; i < words.size(); ++i) {
      const said_word& w = words[i];
      if (i > 0) CHECK(w.score <= words[i - 1].score);
      CHECK(std::abs(w.score - expected.score.at(w.word)) <= tolerance * largest);
      const auto& parts = expected.parts.at(w.word);
      REQUIRE(w.by.size() == parts.size());
      for (std::size_t k = 0; k < w.by.size(); ++k) {
        if (k > 0) CHECK(std::abs(w.by[k].weight) <= std::abs(w.by[k - 1].weight));
        CHECK(std::abs(w.by[k].weight - parts.at({w.by[k].layer, w.by[k].writer})) <=
              tolerance * largest);
      }
    }
  }

 private:
  struct image_words {
    index_t n_significant = 0;
    std::map<index_t, double> score;
    std::map<index_t, std::map<std::pair<index_t, index_t>, double>> parts;
  };
  std::vector<image_words> images_;
};

template <class T>
host_tensor<double> in_double(const host_tensor<T>& x) {
  host_tensor<double> y(x.extents());
  std::transform(x.begin(), x.end(), y.begin(), [](T v) { return static_cast<double>(v); });
  return y;
}

/// Codes of three words of twelve for each writer, one of them shorter.
template <class T>
struct made_up_codes {
  host_tensor<index_t> atoms;
  host_tensor<T> weights;

  made_up_codes(index_t n_writers, unsigned seed)
      : atoms({n_writers, 3}), weights(random_tensor<T>({n_writers, 3}, seed)) {
    for (index_t w = 0; w < n_writers; ++w) {
      for (index_t a = 0; a < 3; ++a) atoms(w, a) = (w * 5 + a * 4 + seed) % 12;
    }
    atoms(1, 2) = -1;
    weights(1, 2) = 0;
  }
  layer_codes<T> of(index_t layer) const { return {layer, atoms, weights}; }
};

}  // namespace solens::test
