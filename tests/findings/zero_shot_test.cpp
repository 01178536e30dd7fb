#include "support/test.hpp"

#include "model/tiny_text.hpp"
#include "support/backends.hpp"

#include <solens/findings/zero_shot.hpp>
#include <solens/testing/archetypes.hpp>

using namespace solens;
using namespace solens::test;

TEMPLATE_LIST_TEST_CASE("a classifier holds normalised means of normalised embeddings", "",
                        cpu_backends) {
  using scalar = typename TestType::scalar;
  const tiny_text<TestType> text{TestType{}};
  const auto sentences = GENERATE(templates({default_class_template}),
                                  templates({"{}", "a photo of a {}.", "the {} in a dog"}));
  host_tensor<double> expected({32, 4});
  for (index_t c = 0; c < 4; ++c) {
    std::vector<double> sum(32);
    for (const prompt_template& sentence : sentences) {
      const auto unit = text.unit(sentence(tiny_names[static_cast<std::size_t>(c)]));
      for (std::size_t j = 0; j < 32; ++j) sum[j] += unit[j];
    }
    const auto mean = normalized(sum);
    for (index_t j = 0; j < 32; ++j) expected(j, c) = mean[static_cast<std::size_t>(j)];
  }
  const auto found = text.classifier(tiny_names, sentences);
  CHECK(relative_difference<scalar, double>(found, expected) < bound<scalar>(1e-12, 1e-5));
}

TEST_CASE("a classifier is made on memory that the host cannot read") {
  const auto sentences = templates({"{}", "a {}"});
  const auto expected = tiny_text<reference_backend<double>>{{}}.classifier(tiny_names, sentences);
  const tiny_text<testing::archetype_backend<double>> device(testing::archetype_backend<double>(0));
  const auto found = device.classifier(tiny_names, sentences);
  CHECK(std::equal(found.begin(), found.end(), expected.begin(), expected.end()));
}

TEST_CASE("a classifier without classes or templates is refused") {
  const tiny_text<reference_backend<float>> text{{}};
  CHECK_THROWS_AS(text.classifier({}, templates({"{}"})), argument_error);
  CHECK_THROWS_AS(text.classifier(tiny_names, {}), argument_error);
  CHECK_THROWS_AS(text.classifier({"na\xEFve"}, templates({"{}"})), format_error);
}
