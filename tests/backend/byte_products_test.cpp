#include "support/test.hpp"

#include <solens/backend/byte_products.hpp>

using namespace solens;

namespace {

/// Bytes from 0 to 255, the extremes often.
template <class T>
host_tensor<T> random_bytes(const shape& extents, unsigned seed) {
  std::mt19937 generator(seed);
  host_tensor<T> x(extents);
  for (T& value : x) {
    const auto draw = generator();
    value = static_cast<T>(draw % 7 == 0 ? 255 : draw % 7 == 1 ? 127 : draw >> 8U);
  }
  return x;
}

}  // namespace

TEST_CASE("every kernel multiplies bytes exactly") {
  constexpr index_t n = 96, depth = 192, width = bytes::panel_rows;
  const auto panel = random_bytes<std::uint8_t>({depth / 4, width, 4}, 1);
  const auto x = random_bytes<std::int8_t>({n, depth}, 2);
  CHECK_FALSE(bytes::kernels().empty());
  for (const auto& kernel : bytes::kernels()) {
    REQUIRE(n % kernel.tile_rows == 0);
    REQUIRE(depth % kernel.tile_depth == 0);
    host_tensor<std::int32_t> sums({n, width}, -1);
    kernel.multiply(panel.data(), x.data(), n, depth, sums.data());
    int wrong = 0;
    for (index_t r = 0; r < n; ++r) {
      for (index_t l = 0; l < width; ++l) {
        std::int32_t sum = 0;
        for (index_t k = 0; k < depth; ++k) sum += panel(k / 4, l, k % 4) * x(r, k);
        wrong += sums(r, l) != sum;
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("every kernel scores a panel and says what reaches the threshold") {
  constexpr index_t width = bytes::panel_rows;
  const auto scale = test::random_tensor<float>({width}, 3);
  host_tensor<std::int32_t> sums({width});
  for (index_t l = 0; l < width; ++l) sums(l) = static_cast<std::int32_t>(37 * l % 64) - 30;
  const bool magnitude = GENERATE(false, true);
  const float threshold = GENERATE(-100.0F, 0.0F, 20.0F, 1e30F);
  for (const auto& kernel : bytes::kernels()) {
    std::vector<float> scores(width, -1000);
    const auto reached =
        kernel.score(sums.data(), 5, scale.data(), magnitude, threshold, scores.data());
    for (index_t l = 0; l < width; ++l) {
      const float product = static_cast<float>(sums(l) - 5) * scale(l);
      const float score = magnitude ? std::abs(product) : product;
      CAPTURE(l, score, threshold);
      CHECK((reached >> static_cast<unsigned>(l) & 1U) == (score >= threshold));
      if (reached != 0) CHECK(scores[static_cast<std::size_t>(l)] == score);
    }
  }
}

TEMPLATE_TEST_CASE("a quantised row tells how much is lost", "", float, double) {
  const index_t d = GENERATE(1, 7, 512);
  auto row = test::random_tensor<TestType>({d}, 4);
  const double magnitude = GENERATE(0.0, 1e-30, 1e-5, 1.0, 1e10);
  for (auto& value : row) value *= static_cast<TestType>(magnitude);
  std::vector<std::int8_t> q(static_cast<std::size_t>(d), 1);
  const auto of = bytes::quantise(row.data(), d, q.data());
  double size = 0, lost = 0, norm = 0;
  std::int32_t sum = 0;
  for (index_t k = 0; k < d; ++k) {
    const int whole = q[static_cast<std::size_t>(k)];
    const double value = static_cast<double>(of.scale) * whole;
    size += value * value;
    lost += std::pow(static_cast<double>(row(k)) - value, 2);
    norm += std::pow(static_cast<double>(row(k)), 2);
    sum += whole;
    CHECK(std::abs(whole) <= 127);
  }
  CHECK(of.sum == sum);
  CHECK(of.size == Approx(std::sqrt(size)));
  CHECK(of.error >= std::sqrt(lost) * (1 - 1e-9));
  CHECK(of.error <= std::sqrt(lost) * (1 + 2e-6));
  if (magnitude >= 1e-5) CHECK(of.error <= 0.5 / 127 * std::sqrt(norm * static_cast<double>(d)));
}

TEST_CASE("a row that is not finite loses all") {
  const float value =
      GENERATE(std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN());
  const std::vector<float> row{1, value, 2};
  std::vector<std::int8_t> q(3, 1);
  const auto of = bytes::quantise(row.data(), 3, q.data());
  CHECK_FALSE(std::isfinite(of.error));
  CHECK(of.size == 0);
  CHECK(q == std::vector<std::int8_t>(3, 0));
}
