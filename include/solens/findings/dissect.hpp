#pragma once

#include <algorithm>  // std::max
#include <cmath>      // std::exp, std::log
#include <cstddef>    // std::size_t
#include <string>
#include <vector>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/core/threads.hpp>

namespace solens {

/// The published values.
struct dissect_options {
  index_t top = 100;        ///< images that stand for a neuron: where it is most active
  double sharpness = 10;    ///< what similarities are multiplied by before the softmax over words
  double first = 0.998;     ///< how surely the most active image is an example of the neuron;
  double last = 0.97;       ///< falls linearly towards this with the rank
  double prior_weight = 1;  ///< of the words' own likelihood, lambda
};

namespace detail {

/// log p(word | neuron) for each word: sum over the neuron's images i, by rank, of
/// log(1 + certainty[i] (p(word | i) - 1)).
template <class T>
void log_likelihood(host_view<const T> probabilities, row_span<const index_t> images,
                    const dissect_options& o, row_span<double> out) {
  for (index_t w = 0; w < out.size; ++w) out[w] = 0;
  for (index_t i = 0; i < images.size; ++i) {
    const double rank = static_cast<double>(i) / static_cast<double>(images.size);
    const double certainty = o.first - rank * (o.first - o.last);
    const row_span<const T> p = row_of(probabilities, images[i]);
    for (index_t w = 0; w < out.size; ++w) {
      out[w] += std::log(1 + certainty * (static_cast<double>(p[w]) - 1));
    }
  }
}

/// Subtracts `weight` times the log of each word's mean likelihood over the neurons.
inline void subtract_prior(host_view<double> scores, double weight) {
  const index_t n = scores.extent(0);
  for (index_t w = 0; w < scores.extent(1); ++w) {
    double largest = scores(0, w), sum = 0;
    for (index_t i = 0; i < n; ++i) largest = std::max(largest, scores(i, w));
    for (index_t i = 0; i < n; ++i) sum += std::exp(scores(i, w) - largest);
    const double prior = largest + std::log(sum / static_cast<double>(n));
    for (index_t i = 0; i < n; ++i) scores(i, w) -= weight * prior;
  }
}

}  // namespace detail

/// Words for neurons by their activations alone: CLIP-Dissect's soft WPMI, the pointwise mutual
/// information of a word and a neuron's most active images, where images belong to these more or
/// less. What other descriptions are compared with.
///
///   score[n, w] = log p(w | n) - lambda log(mean over the neurons of p(w | n))
/// @param activations   [n_neurons, n_images], of all neurons of a layer: the mean counts
/// @param similarities  [n_images, n_words]: cosines of image and text representations
/// @returns             [n_neurons, n_words]; the largest is the neuron's word
/// @throws shape_error; argument_error for a `top` below 1 or above the images
/// @note costs n_neurons * top * n_words logarithms
/// Source: arXiv 2204.10965, section 3.2 and its code's similarity.py.
template <tensor_backend B>
host_tensor<double> soft_wpmi(const B& be, const_view_of<B> activations,
                              const_view_of<B> similarities, const dissect_options& options = {}) {
  using scalar = typename B::scalar;
  const index_t n = activations.extent(0), m = activations.extent(1), top = options.top;
  const index_t words = similarities.extent(1);
  checks::same("soft_wpmi", shape{m, words}, similarities.extents(), "similarities");
  if (top < 1 || top > m) {
    throw argument_error("soft_wpmi", "top between 1 and the " + std::to_string(m) + " images",
                         std::to_string(top), "top");
  }
  auto probabilities = be.allocate({m, words}), values = be.allocate({n, top});
  auto images = be.allocate_indices({n, top});
  be.softmax(static_cast<scalar>(options.sharpness), similarities, probabilities.view());
  be.top_k(activations, values.view(), images.view());
  host_tensor<scalar> p({m, words});
  host_tensor<index_t> chosen({n, top});
  be.download(const_view_of<B>(probabilities.view()), p);
  be.download(const_index_view_of<B>(images.view()), chosen);

  host_tensor<double> scores({n, words});
  parallel_for(n, 1, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      detail::log_likelihood(host_view<const scalar>(p.view()),
                             row_of(host_view<const index_t>(chosen.view()), i), options,
                             row_of(scores.view(), i));
    }
  });
  if (n > 0) detail::subtract_prior(scores.view(), options.prior_weight);
  return scores;
}

}  // namespace solens
