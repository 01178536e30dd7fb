#include "support/test.hpp"

#include <cmath>
#include <limits>

#include <solens/stats/second_moments.hpp>

#include "stats/accumulators.hpp"

using solens::host_tensor;
using solens::host_view;
using solens::index_t;
using solens::shape;
using solens::stats::second_moments;
using solens::test::relative_difference;
using solens::test::state_of;

namespace {

template <class T>
second_moments<T> moments_of(const host_tensor<T>& items, index_t begin, index_t end) {
  second_moments<T> result(items.extent(1), items.extent(2));
  result.add(items.view().slice(0, begin, end));
  return result;
}

/// The textbook's two passes in long double: covariance (about the mean) or second moment.
template <class T>
host_tensor<double> two_passes(const host_tensor<T>& items, bool about_mean) {
  const index_t n = items.extent(0), groups = items.extent(1), width = items.extent(2);
  host_tensor<double> result({groups, width, width});
  const auto mean = [&](index_t g, index_t i) {
    long double sum = 0;
    for (index_t k = 0; k < n; ++k) sum += items(k, g, i);
    return about_mean ? sum / static_cast<long double>(n) : 0.0L;
  };
  for (index_t g = 0; g < groups; ++g) {
    for (index_t i = 0; i < width; ++i) {
      for (index_t j = 0; j < width; ++j) {
        const long double a = mean(g, i), b = mean(g, j);
        long double sum = 0;
        for (index_t k = 0; k < n; ++k) sum += (items(k, g, i) - a) * (items(k, g, j) - b);
        result(g, i, j) = static_cast<double>(sum / static_cast<long double>(n));
      }
    }
  }
  return result;
}

/// n updates of a few roundings each.
constexpr double bound(index_t n) { return 8 * static_cast<double>(n) * 0x1p-53; }

}  // namespace

TEMPLATE_TEST_CASE("covariances and second moments are those of two passes", "", float, double) {
  const auto items = solens::test::random_tensor<TestType>({150, 3, 5}, 1);
  const auto moments = moments_of(items, 0, 150);
  CHECK(relative_difference<double, double>(moments.covariance(), two_passes(items, true)) <=
        bound(150));
  CHECK(relative_difference<double, double>(moments.second_moment(), two_passes(items, false)) <=
        bound(150));
  CHECK(moments.mean().extents() == shape{3, 5});
}

TEST_CASE("a large mean costs no digits") {
  auto items = solens::test::random_tensor<double>({150, 1, 4}, 2);
  for (double& x : items) x += 1e6;
  // The deviations are about 1 and exact to 2^-53 of 1e6.
  CHECK(relative_difference<double, double>(moments_of(items, 0, 150).covariance(),
                                            two_passes(items, true)) <= 1e6 * bound(1));
}

TEMPLATE_TEST_CASE("batches of any size give the same bits of moments", "", float, double) {
  const auto items = solens::test::random_tensor<TestType>({150, 2, 5}, 3);
  second_moments<TestType> parts(2, 5);
  for (auto [begin, end] : {std::pair<index_t, index_t>{0, 1}, {1, 1}, {1, 70}, {70, 150}}) {
    parts.add(items.view().slice(0, begin, end));
  }
  CHECK(state_of(parts) == state_of(moments_of(items, 0, 150)));
}

TEMPLATE_TEST_CASE("a merge of moments of any split is the whole, to rounding, in any grouping", "",
                   float, double) {
  const auto items = solens::test::random_tensor<TestType>({60, 2, 4}, 4);
  const auto whole = moments_of(items, 0, 60);
  for (index_t cut : {0, 1, 30, 60}) {
    const index_t second = std::min<index_t>(cut + 10, 60);
    const auto a = moments_of(items, 0, cut), b = moments_of(items, cut, second);
    const auto c = moments_of(items, second, 60);
    auto left = a;
    left.merge(b);
    left.merge(c);
    auto tail = b;
    tail.merge(c);
    auto right = a;
    right.merge(tail);
    CHECK(left.count() == 60);
    for (const auto* merged : {&left, &right}) {
      CHECK(relative_difference<double, double>(merged->covariance(), whole.covariance()) <=
            bound(60));
      CHECK(relative_difference<double, double>(merged->mean(), whole.mean()) <= bound(60));
    }
  }
}

TEST_CASE("moments without items are neutral and have no value") {
  second_moments<float> empty(2, 3);
  CHECK_THROWS_AS(empty.mean(), solens::argument_error);
  CHECK_THROWS_AS(empty.covariance(), solens::argument_error);
  CHECK_THROWS_AS(empty.second_moment(), solens::argument_error);
  const auto some = moments_of(solens::test::random_tensor<float>({5, 2, 3}, 5), 0, 5);
  auto merged = some;
  merged.merge(empty);
  CHECK(state_of(merged) == state_of(some));
  empty.merge(some);
  CHECK(state_of(empty) == state_of(some));
}

TEST_CASE("NaN spoils its own group") {
  auto items = solens::test::random_tensor<float>({5, 2, 3}, 6);
  items(2, 0, 1) = std::numeric_limits<float>::quiet_NaN();
  const auto covariance = moments_of(items, 0, 5).covariance();
  CHECK(std::isnan(covariance(0, 1, 1)));
  for (index_t i = 0; i < 9; ++i) CHECK(std::isfinite(covariance.view()[1].reshaped({9})(i)));
}

TEST_CASE("items and moments of other extents are refused") {
  second_moments<float> a(2, 3);
  CHECK_THROWS_AS(a.add(host_tensor<float>({4, 3, 2}, 0).view()), solens::shape_error);
  CHECK_THROWS_AS(a.add(host_tensor<float>({4, 2}, 0).view()), solens::shape_error);
  CHECK_THROWS_AS(a.merge(second_moments<float>(3, 2)), solens::shape_error);
}

TEST_CASE("moments come back from their state") {
  solens::test::check_state(moments_of(solens::test::random_tensor<float>({5, 2, 3}, 7), 0, 5));
}
