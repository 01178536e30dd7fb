#include "support/test.hpp"

#include <cmath>

#include <solens/backend/tridiagonal.hpp>

using namespace solens;

TEST_CASE("the largest eigenpair of the second difference is a sine") {
  // 2 on the diagonal, 1 beside it: 2 + 2 cos(pi / (n + 1)), and sin(pi i / (n + 1)).
  const auto n = GENERATE(index_t{1}, index_t{2}, index_t{9}, index_t{40});
  const double step = std::acos(-1.0) / static_cast<double>(n + 1), value = 2 + 2 * std::cos(step);
  const auto size = static_cast<std::size_t>(n);
  const std::vector<double> diagonal(size, 2), beside(size, 1);
  const tridiagonal t{diagonal.data(), beside.data(), n};
  const auto [low, high] = t.of_largest();
  CHECK(low <= value);
  CHECK(value <= high);
  CHECK(t.all_below(value + 1e-12));
  CHECK_FALSE(t.all_below(value - 1e-12));
  std::vector<double> pivot(size), vector(size);
  const double squares = t.largest_vector(value, 4, pivot.data(), vector.data());
  double sum = 0, largest = 0;
  for (double x : vector) {
    sum += x * x;
    largest = std::max(largest, std::abs(x));
  }
  CHECK(squares == Approx(sum));
  CHECK(largest == Approx(1));
  for (index_t i = 0; i < n; ++i) {
    const double sine = std::sin(step * static_cast<double>(i + 1));
    CHECK(std::abs(vector[static_cast<std::size_t>(i)]) / std::sqrt(squares) ==
          Approx(sine * std::sqrt(2 / static_cast<double>(n + 1))).margin(1e-10));
  }
}
