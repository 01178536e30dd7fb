#include "support/test.hpp"

#include <cmath>

#include "support/backends.hpp"

#include <solens/findings/text_dictionary.hpp>
#include <solens/testing/archetypes.hpp>
#include <solens/weights/safetensors.hpp>

using namespace solens;

namespace {

template <tensor_backend B>
host_tensor<typename B::scalar> dictionary(const B& be, host_view<const typename B::scalar> words,
                                           dictionary_scaling scaling) {
  const auto device = test::on_backend(be, words);
  return test::on_host(be, text_dictionary(be, device.view(), scaling).view());
}

/// The dictionary, plainly.
template <class T>
host_tensor<double> expected(const host_tensor<T>& words, dictionary_scaling scaling) {
  const index_t n = words.extent(0), d = words.extent(1);
  host_tensor<double> x({n, d});
  for (index_t j = 0; j < d; ++j) {
    double mean = 0, norm = 0;
    for (index_t w = 0; w < n; ++w)
      mean += static_cast<double>(words(w, j)) / static_cast<double>(n);
    for (index_t w = 0; w < n; ++w)
      norm += std::pow(x(w, j) = static_cast<double>(words(w, j)) - mean, 2);
    if (scaling == dictionary_scaling::unit || norm == 0) continue;
    for (index_t w = 0; w < n; ++w) x(w, j) *= 100 / std::sqrt(norm);
  }
  for (index_t w = 0; w < n && scaling == dictionary_scaling::unit; ++w) {
    double norm = 0;
    for (index_t j = 0; j < d; ++j) norm += x(w, j) * x(w, j);
    for (index_t j = 0; j < d; ++j) x(w, j) /= std::sqrt(norm);
  }
  return x;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("the dictionary is the published one of tiny-a", "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const safetensors_file file(test::data("tiny-a.stages.safetensors"));
  const auto words = file.tensor<scalar>("words_raw"),
             published = file.tensor<scalar>("dictionary");
  const auto found = dictionary(TestType{}, words, dictionary_scaling::reference);
  CHECK(test::relative_difference<scalar, scalar>(found, published) < 1e-6);
}

TEMPLATE_LIST_TEST_CASE("words lose their mean and are scaled", "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const auto scaling = GENERATE(dictionary_scaling::unit, dictionary_scaling::reference);
  // more words than are averaged at once, far from 0 as CLIP's are
  auto words = test::random_tensor<scalar>({5000, 6}, 3);
  for (index_t w = 0; w < 5000; ++w) {
    for (index_t j = 0; j < 6; ++j) words(w, j) += static_cast<scalar>(3 * j);
  }
  const auto found = dictionary(TestType{}, words, scaling);
  // the mean, of up to 15, is rounded, and the shortest row is a tenth of a row of 1
  CHECK(test::relative_difference<scalar, double>(found, expected(words, scaling)) <
        test::bound<scalar>(1e-12, 1e-5));
}

TEMPLATE_LIST_TEST_CASE("what does not differ becomes zeros", "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  host_tensor<scalar> one({1, 3}, 2), column({2, 2}, 1);
  column(1, 1) = 3;
  for (scalar x : dictionary(TestType{}, one, dictionary_scaling::unit)) CHECK(x == 0);
  const auto found = dictionary(TestType{}, column, dictionary_scaling::reference);
  CHECK(found(0, 0) == 0);
  CHECK(static_cast<double>(found(1, 1)) == Approx(100 / std::sqrt(2)));
}

TEST_CASE("a dictionary is made on memory that the host cannot read") {
  const auto words = test::random_tensor<double>({9, 4}, 5);
  const testing::archetype_backend<double> be(0);
  const auto scaling = GENERATE(dictionary_scaling::unit, dictionary_scaling::reference);
  const auto found = dictionary(be, words, scaling),
             same = dictionary(reference_backend<double>{}, words, scaling);
  CHECK(std::equal(found.begin(), found.end(), same.begin(), same.end()));
}

TEST_CASE("a dictionary without words is refused") {
  CHECK_THROWS_AS(dictionary(reference_backend<float>{}, host_tensor<float>(shape{0, 4}), {}),
                  shape_error);
  CHECK_THROWS_AS(dictionary(reference_backend<float>{}, host_tensor<float>(shape{4}), {}),
                  shape_error);
}
