#include "support/test.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <solens/stats/quantile.hpp>

#include "stats/accumulators.hpp"

using solens::host_tensor;
using solens::index_t;
using solens::stats::quantiles;
using solens::test::state_of;

namespace {

template <class T>
quantiles<T> quantiles_of(const std::vector<T>& numbers, double relative_error) {
  quantiles<T> result(relative_error);
  result.add({numbers.data(), {static_cast<index_t>(numbers.size())}});
  return result;
}

/// Checks the stated error at every rank.
template <class T>
void check_bound(std::vector<T> numbers, double relative_error) {
  const auto sketch = quantiles_of(numbers, relative_error);
  std::sort(numbers.begin(), numbers.end());
  const auto last = static_cast<double>(numbers.size() - 1);
  double worst = 0;
  for (std::size_t rank = 0; rank < numbers.size(); ++rank) {
    const double exact = static_cast<double>(numbers[rank]);
    const double got = sketch.value(std::min(1.0, (static_cast<double>(rank) + 0.25) / last));
    if (got == exact) continue;
    worst = std::max(worst, std::abs(got - exact) / std::abs(exact));
  }
  CHECK(worst <= relative_error * (1 + 1e-9) + 1e-12);
}

}  // namespace

TEMPLATE_TEST_CASE("every quantile is within its stated error", "", float, double) {
  for (double e : {0.001, 0.01, 0.3}) {
    INFO(e);
    std::vector<TestType> normal, wide, rising, equal(500, static_cast<TestType>(3.7)), powers;
    const auto random = solens::test::random_tensor<TestType>({500}, 1);
    for (TestType x : random) {
      normal.push_back(x);
      wide.push_back(std::copysign(std::exp(x * 10), random(0) - x));
    }
    for (int i = -250; i < 250; ++i) rising.push_back(static_cast<TestType>(i));
    // Numbers on the bounds of bins, where rounding decides.
    for (int i = -40; i < 40; ++i) {
      powers.push_back(static_cast<TestType>(std::pow((1 + e) / (1 - e), i)));
    }
    for (auto* numbers : {&normal, &wide, &rising, &equal, &powers}) check_bound(*numbers, e);
  }
}

TEST_CASE("the whole range of doubles is held") {
  std::vector<double> numbers;
  for (int exponent = -1022; exponent < 1024; exponent += 7) {
    numbers.push_back(std::ldexp(1.3, exponent));
    numbers.push_back(-numbers.back());
  }
  numbers.push_back(std::numeric_limits<double>::max());
  numbers.push_back(std::numeric_limits<double>::min());
  check_bound(numbers, 0.01);
}

TEST_CASE("order, splits and merges are of no effect") {
  const auto random = solens::test::random_tensor<float>({400}, 2);
  std::vector<float> numbers(random.begin(), random.end());
  const std::string whole = state_of(quantiles_of(numbers, 0.01));
  std::sort(numbers.begin(), numbers.end());
  CHECK(state_of(quantiles_of(numbers, 0.01)) == whole);
  std::reverse(numbers.begin(), numbers.end());
  CHECK(state_of(quantiles_of(numbers, 0.01)) == whole);
  for (std::ptrdiff_t cut : {0, 1, 200, 400}) {
    const std::vector<float> first(numbers.begin(), numbers.begin() + cut);
    const std::vector<float> second(numbers.begin() + cut, numbers.end());
    auto a = quantiles_of(first, 0.01), b = quantiles_of(second, 0.01);
    const auto tail = b;
    b.merge(a);
    a.merge(tail);
    CHECK(state_of(a) == whole);
    CHECK(state_of(b) == whole);
  }
}

TEST_CASE("zero, the ends and infinities are exact") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const auto sketch = quantiles_of<double>({infinity, -infinity, 0.0, -0.0, 5e-324, 1.0, 7.7}, 0.1);
  CHECK(sketch.value(0) == -infinity);
  for (double q : {0.17, 0.34, 0.5}) CHECK(sketch.value(q) == 0);
  CHECK(sketch.value(1) == infinity);
  const auto finite = quantiles_of<double>({1.234, 5.678}, 0.1);
  CHECK(finite.value(0) == 1.234);
  CHECK(finite.value(1) == 5.678);
}

TEST_CASE("what makes no sense is refused") {
  CHECK_THROWS_AS(quantiles<float>(0), solens::argument_error);
  CHECK_THROWS_AS(quantiles<float>(0.6), solens::argument_error);
  CHECK_THROWS_AS(quantiles<float>(std::nan("")), solens::argument_error);
  quantiles<float> sketch(0.01);
  CHECK_THROWS_AS(sketch.value(0.5), solens::argument_error);
  CHECK_THROWS_AS(sketch.merge(quantiles<float>(0.02)), solens::argument_error);
  const host_tensor<float> bad({2}, std::numeric_limits<float>::quiet_NaN());
  CHECK_THROWS_AS(sketch.add(bad), solens::argument_error);
  CHECK(sketch.count() == 0);
  sketch.add(host_tensor<float>({2, 2}, 1.0f));
  CHECK(sketch.count() == 4);
  CHECK_THROWS_AS(sketch.value(-0.1), solens::argument_error);
  CHECK_THROWS_AS(sketch.value(1.1), solens::argument_error);
}

TEST_CASE("a sketch comes back from its state") {
  solens::test::check_state(quantiles_of<float>({-2, -1, 0, 1, 2, 3}, 0.1));
  solens::test::check_state(quantiles<double>(0.01));
}
