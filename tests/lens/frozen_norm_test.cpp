#include "support/test.hpp"

#include <solens/lens/frozen_norm.hpp>

#include "lens/backends.hpp"
#include "lens/tiny_clip.hpp"

using namespace solens;
using namespace solens::test;

TEMPLATE_LIST_TEST_CASE("sources through a frozen norm sum to what a reader makes of the norm", "",
                        backends) {
  using B = TestType;
  const auto how = GENERATE(convention::centered, convention::reference);
  const B be = make_backend<B>();
  constexpr index_t width = 24, readers = 6, n_sources = 5;
  const matrix weight = random_tensor<double>(shape{width}, 1);
  const matrix bias = random_tensor<double>(shape{width}, 2);
  const matrix reader = random_tensor<double>(shape{width, readers}, 3);
  const matrix sources = random_tensor<double>(shape{n_sources, width}, 4);

  std::vector<double> x(width, 0.0), y(width);
  for (index_t s = 0; s < n_sources; ++s) {
    for (index_t c = 0; c < width; ++c) x[static_cast<std::size_t>(c)] += sources(s, c);
  }
  const auto [mean, scale] = plain_layer_norm(x.data(), weight, bias, y.data());
  matrix expected(shape{readers}, 0.0);
  for (index_t r = 0; r < readers; ++r) {
    for (index_t c = 0; c < width; ++c)
      expected(r) += reader(c, r) * y[static_cast<std::size_t>(c)];
  }

  // The reader as a strided view: [3, 2, width] over the columns of a matrix.
  const auto on_backend = put(be, reader.view());
  const frozen_norm<B> norm(be, how, put(be, weight.view()).view(), put(be, bias.view()).view(),
                            on_backend.view().transposed().split(0, 2));
  REQUIRE(norm.map().extents() == shape{3, 2, width});
  const matrix map = get(be, norm.map().reshaped(shape{readers, width}));
  const matrix mean_image = get(be, norm.mean_image().reshaped(shape{readers}));
  const matrix bias_image = get(be, norm.bias_image().reshaped(shape{readers}));
  matrix sum(shape{readers}, 0.0);
  for (index_t r = 0; r < readers; ++r) {
    const double share = 1.0 / static_cast<double>(n_sources);
    for (index_t s = 0; s < n_sources; ++s) {
      for (index_t c = 0; c < width; ++c) sum(r) += map(r, c) * sources(s, c) / scale;
      if (how == convention::reference) {
        sum(r) += share * (bias_image(r) - mean_image(r) * mean / scale);
      }
    }
    if (how == convention::centered) sum(r) += bias_image(r);
  }
  CHECK(relative_difference<double, double>(sum, expected) < identity_bound<typename B::scalar>);
}

TEST_CASE("a frozen norm refuses widths that differ") {
  const reference_backend<double> be;
  const matrix eight(shape{8}, 1.0), seven(shape{7}, 1.0), reader(shape{3, 8}, 1.0);
  using norm = frozen_norm<reference_backend<double>>;
  CHECK_THROWS_AS(norm(be, convention::centered, seven, eight, reader), shape_error);
  CHECK_THROWS_AS(norm(be, convention::centered, eight, seven, reader), shape_error);
}
