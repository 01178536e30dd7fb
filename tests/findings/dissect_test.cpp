#include "support/test.hpp"

#include "support/backends.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <solens/findings/dissect.hpp>

using namespace solens;

namespace {

constexpr index_t n_neurons = 6, n_images = 40, n_words = 11;

/// The scores as the formula has them, in double.
template <class T>
host_tensor<double> expected(const host_tensor<T>& activations, const host_tensor<T>& similarities,
                             const dissect_options& o) {
  host_tensor<double> likelihood({n_neurons, n_words}, 1.0), scores({n_neurons, n_words});
  for (index_t n = 0; n < n_neurons; ++n) {
    std::vector<index_t> order(n_images);
    std::iota(order.begin(), order.end(), index_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](index_t a, index_t b) { return activations(n, a) > activations(n, b); });
    for (index_t i = 0; i < o.top; ++i) {
      const index_t image = order[static_cast<std::size_t>(i)];
      double total = 0;
      for (index_t w = 0; w < n_words; ++w)
        total += std::exp(o.sharpness * double(similarities(image, w)));
      const double certainty = o.first - double(i) / double(o.top) * (o.first - o.last);
      for (index_t w = 0; w < n_words; ++w) {
        const double p = std::exp(o.sharpness * double(similarities(image, w))) / total;
        likelihood(n, w) *= 1 - certainty + certainty * p;
      }
    }
  }
  for (index_t w = 0; w < n_words; ++w) {
    double mean = 0;
    for (index_t n = 0; n < n_neurons; ++n) mean += likelihood(n, w) / n_neurons;
    for (index_t n = 0; n < n_neurons; ++n) {
      scores(n, w) = std::log(likelihood(n, w)) - o.prior_weight * std::log(mean);
    }
  }
  return scores;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("soft WPMI is what its formula says", "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  const auto activations = test::random_tensor<scalar>({n_neurons, n_images}, 1);
  const auto similarities = test::random_tensor<scalar>({n_images, n_words}, 2);
  for (const dissect_options& o :
       {dissect_options{.top = 12}, dissect_options{.top = n_images, .sharpness = 3},
        dissect_options{.top = 1, .first = 0.9, .last = 0.5, .prior_weight = 0.6}}) {
    CAPTURE(o.top);
    const auto scores = soft_wpmi(be, test::on_backend(be, activations).view(),
                                  test::on_backend(be, similarities).view(), o);
    const auto oracle = expected(activations, similarities, o);
    // A term is off by its probability's relative rounding at most, some 64 eps with logarithms up
    // to 30; there are up to 40 terms, and the mean's as many.
    const double allowed = test::bound<scalar>(1e-12, 6e-4);
    for (index_t i = 0; i < oracle.size(); ++i) {
      CHECK(std::abs(scores.data()[i] - oracle.data()[i]) <= allowed);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("soft WPMI finds the word of a neuron's images", "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  // Neuron n is active on images n, n + 6, ..., and word n is like these.
  auto activations = test::random_tensor<scalar>({n_neurons, n_images}, 3);
  auto similarities = test::random_tensor<scalar>({n_images, n_words}, 4);
  for (index_t i = 0; i < n_images; ++i) {
    activations(i % n_neurons, i) += 10;
    for (index_t w = 0; w < n_words; ++w) similarities(i, w) *= scalar{0.1F};
    similarities(i, i % n_neurons) += 1;
  }
  const auto scores = soft_wpmi(be, test::on_backend(be, activations).view(),
                                test::on_backend(be, similarities).view(), {.top = 6});
  for (index_t n = 0; n < n_neurons; ++n) {
    const double* row = scores.data() + n * n_words;
    CHECK(std::max_element(row, row + n_words) - row == n);
  }
}

TEST_CASE("soft WPMI of images that do not fit is refused") {
  const reference_backend<float> be;
  const host_tensor<float> activations({2, 5}, 1.0F), similarities({5, 3}, 0.0F);
  CHECK_THROWS_AS(soft_wpmi(be, activations.view(), similarities.view(), {.top = 6}),
                  argument_error);
  CHECK_THROWS_AS(soft_wpmi(be, activations.view(), similarities.view(), {.top = 0}),
                  argument_error);
  CHECK_THROWS_AS(soft_wpmi(be, activations.view(), similarities.view().slice(0, 0, 4), {.top = 1}),
                  shape_error);
}
