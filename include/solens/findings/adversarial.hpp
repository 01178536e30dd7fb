#pragma once

#include <algorithm>  // std::min, std::search, std::stable_sort
#include <cctype>     // std::isalnum, std::tolower
#include <cmath>      // std::abs, std::sqrt
#include <cstdint>
#include <numeric>  // std::iota
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>  // std::swap
#include <vector>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/findings/said_words.hpp>

/// Words that make a picture of class 1 look like one of class 0 to a CLIP, though they name
/// neither: what the neurons that tell the two apart respond to besides.
/// Source: arXiv 2406.04341, section 5.1 and eq. 6.
namespace solens {

/// The directions of a layer's writers; a view.
template <class T>
struct layer_directions {
  index_t layer = 0;
  host_view<const T> vectors{};  ///< [n_writers, d_joint]
};

/// How far each writer's direction points from class 1 to class 0: r_n . (t_0 - t_1).
/// @param difference  [d_joint]: of the classes' text embeddings, of norm 1 each
/// @returns           all writers, layer by layer
/// @throws shape_error naming the layer
template <tensor_backend B>
std::vector<weighted_writer> pulls(const B& be,
                                   std::span<const layer_directions<typename B::scalar>> layers,
                                   host_view<const typename B::scalar> difference) {
  const index_t e = difference.size();
  auto column = be.allocate({e, 1});
  be.upload(difference.reshaped({e, 1}), column.view());
  std::vector<weighted_writer> all;
  for (const auto& of : layers) {
    const index_t n = of.vectors.extent(0);
    checks::same("pulls", shape{n, e}, of.vectors.extents(), "layer " + std::to_string(of.layer));
    auto rows = be.allocate({n, e}), products = be.allocate({n, 1});
    be.upload(of.vectors, rows.view());
    be.gemm(1, const_view_of<B>(rows.view()), const_view_of<B>(column.view()), 0, products.view());
    host_tensor<typename B::scalar> host({n, 1});
    be.download(const_view_of<B>(products.view()), host);
    for (index_t w = 0; w < n; ++w) {
      all.push_back({of.layer, w, static_cast<double>(host(w, 0))});
    }
  }
  return all;
}

/// The `n` writers with the largest keys, the largest first; of equal ones, the first.
/// @param keys  one a writer; empty for the magnitudes of their weights
inline std::vector<weighted_writer> foremost(std::span<const weighted_writer> writers, index_t n,
                                             std::vector<double> keys = {}) {
  if (keys.empty()) {
    for (const weighted_writer& w : writers) keys.push_back(std::abs(w.weight));
  }
  if (keys.size() != writers.size()) {
    throw argument_error("foremost", std::to_string(writers.size()) + " keys",
                         std::to_string(keys.size()), "keys");
  }
  std::vector<std::size_t> order(writers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return keys[a] > keys[b]; });
  order.resize(std::min(order.size(), static_cast<std::size_t>(n)));
  std::vector<weighted_writer> chosen;
  for (const std::size_t i : order) chosen.push_back(writers[i]);
  return chosen;
}

/// The words that pull toward class 0, by eq. 6: of each the sum over the writers of code weight
/// times pull, where that is positive, the highest first.
template <class T>
std::vector<said_word> spurious_words(std::span<const weighted_writer> pulling,
                                      std::span<const layer_codes<T>> codes) {
  std::vector<said_word> words = words_said_by(pulling, codes);
  std::erase_if(words, [](const said_word& w) { return w.score <= 0; });
  return words;
}

/// A baseline without neurons: the words that lie toward class 0, by the cosine of their atoms
/// with the difference of the classes, where that is positive, the highest first.
/// @param dictionary  [n_words, d_joint]; @param difference  [d_joint]
template <tensor_backend B>
std::vector<said_word> words_along(const B& be, const_view_of<B> dictionary,
                                   host_view<const typename B::scalar> difference) {
  using scalar = typename B::scalar;
  const index_t n = dictionary.extent(0), e = dictionary.extent(1);
  checks::same("words_along", shape{e}, difference.extents(), "difference");
  auto column = be.allocate({e, 1}), products = be.allocate({n, 1}), lengths = be.allocate({n});
  be.upload(difference.reshaped({e, 1}), column.view());
  be.gemm(1, dictionary, const_view_of<B>(column.view()), 0, products.view());
  be.row_norms(dictionary, lengths.view());
  host_tensor<scalar> p({n, 1}), l({n});
  be.download(const_view_of<B>(products.view()), p);
  be.download(const_view_of<B>(lengths.view()), l);
  double squares = 0;
  for (index_t j = 0; j < e; ++j) {
    squares += static_cast<double>(difference(j)) * static_cast<double>(difference(j));
  }
  std::vector<said_word> words;
  for (index_t w = 0; w < n; ++w) {
    if (!(p(w, 0) > 0)) continue;
    words.push_back(
        {w, static_cast<double>(p(w, 0)) / (static_cast<double>(l(w)) * std::sqrt(squares))});
  }
  std::stable_sort(words.begin(), words.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });
  return words;
}

/// A baseline that knows nothing: all words in a random order, the same for the same seed, without
/// scores.
inline std::vector<said_word> words_at_random(index_t n_words, std::uint64_t seed) {
  std::vector<said_word> words;
  for (index_t w = 0; w < n_words; ++w) words.push_back({w, 0});
  std::mt19937_64 generator(seed);
  for (std::size_t i = words.size(); i > 1; --i) {
    std::uniform_int_distribution<std::size_t> before(0, i - 1);
    std::swap(words[i - 1], words[before(generator)]);
  }
  return words;
}

namespace detail {

/// Runs of letters and digits, in lower case where they are ASCII.
inline std::vector<std::string> words_in(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || std::isalnum(byte)) {
      words.back() += byte < 0x80 ? static_cast<char>(std::tolower(byte)) : c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

/// Whether a word is another, in the singular or in the plural.
inline bool same_noun(const std::string& a, const std::string& b) {
  const auto plural_of = [](const std::string& many, const std::string& one) {
    if (many == one + "s" || many == one + "es") return true;
    return one.ends_with('y') && many == one.substr(0, one.size() - 1) + "ies";
  };
  return a == b || plural_of(a, b) || plural_of(b, a);
}

}  // namespace detail

/// Whether a phrase holds the name of a class, in the singular or the plural, in any case.
inline bool names_class(std::string_view phrase, std::string_view class_name) {
  const auto words = detail::words_in(phrase), name = detail::words_in(class_name);
  return !name.empty() && std::search(words.begin(), words.end(), name.begin(), name.end(),
                                      detail::same_noun) != words.end();
}

/// Two classes, and what words must not give them away.
template <class T>
struct class_pair {
  std::vector<std::string> names;  ///< of class 0 and class 1
  host_view<const T> embeddings;   ///< [2, d_joint]: of the names alone, of norm 1
  double near = 0.9;               ///< a word whose cosine with either is as high is a synonym
};

/// The first `n` of ranked words that neither name one of the classes nor lie near it.
/// @param words  of the dictionary
/// @param embed  called with some of them: their embeddings of norm 1, [n, d_joint], a host_tensor
template <class T, class F>
std::vector<said_word> without_giveaways(std::span<const said_word> ranked,
                                         std::span<const std::string> words,
                                         const class_pair<T>& classes, index_t n, F&& embed) {
  std::vector<said_word> kept, candidates;
  const auto keep_distant = [&] {
    std::vector<std::string> texts;
    for (const auto& c : candidates) texts.push_back(words[static_cast<std::size_t>(c.word)]);
    const host_tensor<T> rows = embed(std::span<const std::string>(texts));
    for (index_t i = 0; i < rows.extent(0); ++i) {
      bool near = false;
      for (index_t c = 0; c < 2; ++c) {
        double cosine = 0;
        for (index_t j = 0; j < rows.extent(1); ++j) {
          cosine += static_cast<double>(rows(i, j)) * static_cast<double>(classes.embeddings(c, j));
        }
        near = near || cosine >= classes.near;
      }
      if (!near) kept.push_back(std::move(candidates[static_cast<std::size_t>(i)]));
    }
    candidates.clear();
  };
  for (const said_word& word : ranked) {
    const std::string& text = words[static_cast<std::size_t>(word.word)];
    if (names_class(text, classes.names[0]) || names_class(text, classes.names[1])) continue;
    candidates.push_back(word);
    if (std::ssize(candidates) < n) continue;  // a text tower wants many at a time
    keep_distant();
    if (std::ssize(kept) >= n) break;
  }
  if (!candidates.empty()) keep_distant();
  kept.resize(std::min(kept.size(), static_cast<std::size_t>(n)));
  return kept;
}

/// What to ask of a language model for captions that hold class 1 and the words, one a line.
inline std::string caption_request(const std::string& class_0, const std::string& class_1,
                                   std::span<const std::string> words, index_t n_captions) {
  std::string list;
  for (const std::string& word : words) list += "- " + word + "\n";
  return "Write " + std::to_string(n_captions) +
         " captions for pictures. Every picture shows one " + class_1 +
         ", large and easy to recognise. Let each caption name it and work in several of the "
         "phrases below, other ones each time: as things beside it, as the place, the light, the "
         "weather, the colours or the materials. Pass over phrases that nobody could paint.\n\n" +
         list + "\nNo caption may mention, show or suggest any " + class_0 +
         ", by this or another name. Answer with the captions alone, one a line, without numbers "
         "or quotation marks.\n";
}

}  // namespace solens
