#pragma once

#include <algorithm>  // std::max, std::min, std::stable_sort
#include <cmath>
#include <utility>  // std::as_const, std::move
#include <vector>

#include <solens/findings/omp.hpp>

namespace solens {

/// Directions in the joint space, said in words of a dictionary.
template <class T>
struct descriptions {
  sparse_codes<T> codes;
  host_tensor<T> cosine;    ///< [n]: of a direction and the sum of its code; 0 without a code
  host_tensor<T> polysemy;  ///< [n]: how far apart the words of a code lie, from 0 to 2
};

/// A word of a code: a row of the dictionary and its weight, which may be negative.
template <class T>
struct weighted_word {
  index_t word;
  T weight;
};

/// The words of one code, the largest magnitude first; of equal ones, the one chosen first.
template <class T>
std::vector<weighted_word<T>> ranked_words(host_view<const index_t> atoms,
                                           host_view<const T> weights) {
  std::vector<weighted_word<T>> words;
  for (index_t k = 0; k < atoms.size(); ++k) {
    if (atoms(k) >= 0) words.push_back({atoms(k), weights(k)});
  }
  std::stable_sort(words.begin(), words.end(), [](const auto& a, const auto& b) {
    return std::abs(a.weight) > std::abs(b.weight);
  });
  return words;
}

/// One minus the weighted mean cosine of a code's words, taken in pairs.
///
/// Pairs count by the product of the magnitudes of their weights. 0: all words are one, or there is
/// one word; 1: they have nothing to do with each other. Words count as they stand in the
/// dictionary: "not a cat" lies as near to "dog" as "a cat" does.
/// @param products  [m, m]: the words' inner products
/// @param weights   [m]
/// Source: the mean pairwise cosine is the coherence of a topic's words in Aletras and Stevenson,
/// Evaluating topic coherence using distributional semantics, 2013; the weights are ours.
template <class T>
double polysemy_of(host_view<const T> products, host_view<const T> weights) {
  double sum = 0, total = 0;
  for (index_t i = 0; i < weights.size(); ++i) {
    for (index_t j = 0; j < i; ++j) {
      const double pair =
          std::abs(static_cast<double>(weights(i)) * static_cast<double>(weights(j)));
      if (pair == 0) continue;
      sum += pair * static_cast<double>(products(i, j)) /
             std::sqrt(static_cast<double>(products(i, i)) * static_cast<double>(products(j, j)));
      total += pair;
    }
  }
  return total > 0 ? std::clamp(1 - sum / total, 0.0, 2.0) : 0;
}

namespace detail {

/// What `describe` says of codes [first, first + n), besides the codes.
template <tensor_backend B>
class code_figures {
 public:
  using scalar = typename B::scalar;

  code_figures(const B& be, const_view_of<B> dictionary, index_t at_once, index_t n_atoms)
      : be_(be),
        dictionary_(dictionary),
        atoms_(be.allocate_indices({at_once, n_atoms})),
        weights_(be.allocate({at_once, 1, n_atoms})),
        rows_(be.allocate({at_once, n_atoms, dictionary.extent(1)})),
        products_(be.allocate({at_once, n_atoms, n_atoms})),
        sums_(be.allocate({at_once, 1, dictionary.extent(1)})),
        alignment_(be.allocate({at_once, 1, 1})),
        norms_(be.allocate({2, at_once})) {}

  /// @param directions  [n, d_joint]
  void operator()(const_view_of<B> directions, index_t first, descriptions<scalar>& out) {
    const index_t n = directions.extent(0), m = out.codes.atoms.extent(1);
    const auto weights = std::as_const(out.codes.weights).view().slice(0, first, first + n);
    host_tensor<index_t> atoms({n, m});  // a place without an atom has weight 0: any row does
    for (index_t i = 0; i < n; ++i) {
      for (index_t k = 0; k < m; ++k)
        atoms(i, k) = std::max<index_t>(0, out.codes.atoms(first + i, k));
    }
    const auto indices = atoms_.view().slice(0, 0, n);
    const auto w = weights_.view().slice(0, 0, n), rows = rows_.view().slice(0, 0, n);
    const auto products = products_.view().slice(0, 0, n), sums = sums_.view().slice(0, 0, n);
    const auto alignment = alignment_.view().slice(0, 0, n);
    const auto norms = norms_.view().slice(1, 0, n);
    be_.upload(std::as_const(atoms).view(), indices);
    be_.upload(weights, w.select(1, 0));
    be_.gather(dictionary_, const_index_view_of<B>(indices), rows);
    be_.batched_gemm(1, const_view_of<B>(rows), const_view_of<B>(rows).transposed(), 0, products);
    be_.batched_gemm(1, const_view_of<B>(w), const_view_of<B>(rows), 0, sums);
    be_.batched_gemm(1, const_view_of<B>(sums), directions.split(1, 1), 0, alignment);
    be_.row_norms(const_view_of<B>(sums).select(1, 0), norms[0]);
    be_.row_norms(directions, norms[1]);
    host_tensor<scalar> g({n, m, m}), a({n, 1, 1}), l({2, n});
    be_.download(const_view_of<B>(products), g);
    be_.download(const_view_of<B>(alignment), a);
    be_.download(const_view_of<B>(norms), l);
    for (index_t i = 0; i < n; ++i) {
      const double scale = static_cast<double>(l(0, i)) * static_cast<double>(l(1, i));
      out.cosine(first + i) =
          static_cast<scalar>(scale > 0 ? static_cast<double>(a(i, 0, 0)) / scale : 0);
      out.polysemy(first + i) =
          static_cast<scalar>(polysemy_of(std::as_const(g).view()[i], weights[i]));
    }
  }

 private:
  const B& be_;
  const_view_of<B> dictionary_;
  typename B::index_tensor atoms_;
  typename B::tensor weights_, rows_, products_, sums_, alignment_, norms_;
};

}  // namespace detail

/// Describes directions in words: their sparse codes over a dictionary, and how good these are.
///
/// @param dictionary  [n_words, d_joint], as `text_dictionary` makes it
/// @param directions  [n, d_joint]; a direction of zeros gets no words
/// @throws what orthogonal_matching_pursuit throws
/// @note costs, beside the pursuit, 2 * n * n_atoms * (n_atoms + 2) * d_joint flops
/// Source: arXiv 2406.04341, section 4.
template <tensor_backend B>
descriptions<typename B::scalar> describe(const B& be, const_view_of<B> dictionary,
                                          const_view_of<B> directions,
                                          const omp_options& options = {}) {
  using scalar = typename B::scalar;
  auto codes = orthogonal_matching_pursuit(be, dictionary, directions, options);
  const index_t n = directions.extent(0), at_once = std::min(n, options.targets_at_once);
  descriptions<scalar> result{std::move(codes), host_tensor<scalar>({n}), host_tensor<scalar>({n})};
  if (n == 0) return result;
  detail::code_figures<B> figures(be, dictionary, at_once, options.n_atoms);
  for (index_t first = 0; first < n; first += at_once) {
    figures(directions.slice(0, first, std::min(n, first + at_once)), first, result);
  }
  return result;
}

}  // namespace solens
