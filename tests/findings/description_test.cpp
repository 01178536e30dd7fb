#include "support/test.hpp"

#include <cmath>

#include "support/backends.hpp"

#include <solens/findings/description.hpp>
#include <solens/findings/text_dictionary.hpp>
#include <solens/testing/archetypes.hpp>

using namespace solens;

namespace {

using vector = std::vector<double>;

double dot(const vector& a, const vector& b) {
  double sum = 0;
  for (std::size_t j = 0; j < a.size(); ++j) sum += a[j] * b[j];
  return sum;
}
double cosine(const vector& a, const vector& b) {
  return dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
}

template <class T>
vector row(const host_tensor<T>& x, index_t i) {
  return {x.data() + i * x.extent(1), x.data() + (i + 1) * x.extent(1)};
}

template <tensor_backend B>
descriptions<typename B::scalar> described(const B& be,
                                           const host_tensor<typename B::scalar>& dictionary,
                                           const host_tensor<typename B::scalar>& directions,
                                           const omp_options& options) {
  const auto atoms = test::on_backend(be, dictionary), targets = test::on_backend(be, directions);
  return describe(be, atoms.view(), targets.view(), options);
}

/// Words in a few heaps, so that some lie near each other.
template <class T>
host_tensor<T> heaps(index_t n, index_t d) {
  const auto centers = test::random_tensor<T>({5, d}, 1);
  auto words = test::random_tensor<T>({n, d}, 2);
  for (index_t w = 0; w < n; ++w) {
    for (index_t j = 0; j < d; ++j) words(w, j) = words(w, j) / 2 + centers(w % 5, j);
  }
  return words;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("cosine and polysemy are those of the code's words", "",
                        test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const auto words = heaps<scalar>(90, 16);
  const auto directions = test::random_tensor<scalar>({23, 16}, 3);
  const auto found = described(TestType{}, words, directions, {.n_atoms = 6, .targets_at_once = 8});
  for (index_t n = 0; n < 23; ++n) {
    CAPTURE(n);
    vector sum(16);
    double apart = 0, pairs = 0;
    for (index_t k = 0; k < 6; ++k) {
      const vector word = row(words, found.codes.atoms(n, k));
      const auto weight = static_cast<double>(found.codes.weights(n, k));
      for (std::size_t j = 0; j < 16; ++j) sum[j] += weight * word[j];
      for (index_t i = 0; i < 6; ++i) {
        if (i == k) continue;
        const double pair = std::abs(weight * static_cast<double>(found.codes.weights(n, i)));
        apart += pair * (1 - cosine(word, row(words, found.codes.atoms(n, i))));
        pairs += pair;
      }
    }
    const double tolerance = test::bound<scalar>(1e-12, 2e-6);
    CHECK(std::abs(static_cast<double>(found.cosine(n)) - cosine(sum, row(directions, n))) <
          tolerance);
    CHECK(std::abs(static_cast<double>(found.polysemy(n)) - apart / pairs) < tolerance);
  }
}

TEMPLATE_LIST_TEST_CASE("polysemy is 0 for one meaning, 1 for unrelated ones, 2 for opposite ones",
                        "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  host_tensor<scalar> words({3, 3}, 0);
  for (index_t i = 0; i < 3; ++i) words(i, i) = 1;
  host_tensor<scalar> directions({4, 3}, 0);
  directions(0, 1) = -2;                        // one word
  directions(1, 0) = 3, directions(1, 2) = -1;  // two at right angles
                                                // 2: none, it is nothing
  directions(3, 0) = directions(3, 1) = 1;
  const auto found = described(TestType{}, words, directions, {.n_atoms = 2});
  const double cosines[] = {1, 1, 0, 1}, polysemies[] = {0, 1, 0, 1};
  for (index_t n = 0; n < 4; ++n) {
    CHECK(static_cast<double>(found.cosine(n)) == Approx(cosines[n]));
    CHECK(static_cast<double>(found.polysemy(n)) == Approx(polysemies[n]));
  }
  host_tensor<scalar> products({2, 2}, 4), weights({2}, 3);
  CHECK(polysemy_of(std::as_const(products).view(), std::as_const(weights).view()) == 0);
  products(0, 1) = products(1, 0) = -4;
  CHECK(polysemy_of(std::as_const(products).view(), std::as_const(weights).view()) == 2);
}

TEST_CASE("words are ranked by the magnitude of their weights") {
  host_tensor<index_t> atoms({5}, -1);
  host_tensor<float> weights({5}, 0);
  const index_t chosen[] = {7, 2, 9, 4};
  const float with[] = {1, -3, 3, -0.5F};
  std::copy(std::begin(chosen), std::end(chosen), atoms.begin());
  std::copy(std::begin(with), std::end(with), weights.begin());
  const auto words = ranked_words(std::as_const(atoms).view(), std::as_const(weights).view());
  REQUIRE(words.size() == 4);
  const index_t order[] = {2, 9, 7, 4};
  for (std::size_t k = 0; k < 4; ++k) CHECK(words[k].word == order[k]);
  CHECK(words[0].weight == -3);
}

TEST_CASE("directions are described on memory that the host cannot read") {
  const auto words = heaps<double>(40, 8), directions = test::random_tensor<double>({5, 8}, 3);
  const omp_options options{.n_atoms = 4, .also = {2}};
  const auto found = described(testing::archetype_backend<double>(0), words, directions, options);
  const auto same = described(reference_backend<double>{}, words, directions, options);
  CHECK(std::equal(found.polysemy.begin(), found.polysemy.end(), same.polysemy.begin()));
  CHECK(std::equal(found.cosine.begin(), found.cosine.end(), same.cosine.begin()));
}

TEST_CASE("no directions are described as none") {
  const auto words = heaps<float>(10, 4);
  const host_tensor<float> none(shape{0, 4});
  CHECK(described(reference_backend<float>{}, words, none, {}).cosine.empty());
  CHECK_THROWS_AS(described(reference_backend<float>{}, words, none, {.n_atoms = 0}),
                  argument_error);
}
