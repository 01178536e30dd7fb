#include "support/test.hpp"

#include <limits>
#include <vector>

#include <solens/stats/accuracy.hpp>

using namespace solens;
using stats::wilson_interval;

TEST_CASE("score intervals are those of Newcombe's table") {
  // Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I, method 3
  const auto check = [](index_t successes, index_t trials, double low, double high) {
    const auto interval = wilson_interval(successes, trials);
    CHECK(std::abs(interval.low - low) < 5e-5);
    CHECK(std::abs(interval.high - high) < 5e-5);
  };
  check(81, 263, 0.2553, 0.3662);
  check(15, 148, 0.0624, 0.1605);
  check(0, 20, 0.0000, 0.1611);
  check(1, 29, 0.0061, 0.1718);
  check(20, 20, 1 - 0.1611, 1.0000);
  CHECK(wilson_interval(0, 0).low == 0);
  CHECK(wilson_interval(0, 0).high == 1);
  CHECK(wilson_interval(0, 1'000'000).low == 0);
  CHECK(wilson_interval(1'000'000, 1'000'000).high == 1);
}

TEMPLATE_TEST_CASE("the right class is looked for first and among the first five", "", float,
                   double) {
  using T = TestType;
  constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  const std::vector<std::vector<T>> logits{
      {1, 2, 3, 4, 5, 6},             // 5: first
      {6, 5, 4, 3, 2, 1},             // 4: fifth
      {6, 5, 4, 3, 2, 1},             // 5: sixth
      {1, 1, 1, 1, 1, 1},             // 0: first of equals
      {1, 1, 1, 1, 1, 1},             // 4: fifth of equals
      {1, 1, 1, 1, 1, 1},             // 5: last of equals
      {nan, -1, nan, -1, -1, -1},     // 1: first, since NaN ranks lowest
      {nan, -1, nan, nan, nan, nan},  // 3: fourth, after a number and two NaN
      {nan, -1, -1, -1, -1, -1},      // 0: last
  };
  const std::vector<index_t> labels{5, 4, 5, 0, 4, 5, 1, 3, 0};
  host_tensor<T> all({9, 6});
  for (index_t i = 0; i < 9; ++i) {
    std::copy_n(logits[static_cast<std::size_t>(i)].begin(), 6, all.data() + i * 6);
  }
  stats::accuracy accuracy;
  const host_view<const T> view = std::as_const(all).view();
  accuracy.add(view.slice(0, 0, 4), {labels.data(), 4});
  accuracy.add(view.slice(0, 4, 9), {labels.data() + 4, 5});
  CHECK(accuracy.n() == 9);
  CHECK(accuracy.first() == 3);
  CHECK(accuracy.first_five() == 6);
  CHECK_THROWS_AS(accuracy.add(view, labels.size() == 9 ? std::span(labels).first(8) : labels),
                  shape_error);
  CHECK_THROWS_AS(accuracy.add(view.slice(1, 0, 5), labels), argument_error);
  const std::vector<index_t> negative{-1};
  CHECK_THROWS_AS(accuracy.add(view.slice(0, 0, 1), negative), argument_error);
}
