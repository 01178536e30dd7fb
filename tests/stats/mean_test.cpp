#include "support/test.hpp"

#include <cmath>
#include <limits>

#include <solens/stats/mean.hpp>

#include "stats/accumulators.hpp"

using solens::host_tensor;
using solens::host_view;
using solens::index_t;
using solens::shape;
using solens::stats::mean;
using solens::test::state_of;

namespace {

/// A sum of n terms in double rounds by at most n - 1 units of 2^-53 of the sum of magnitudes.
constexpr double rounding(index_t n) { return static_cast<double>(n) * 0x1p-53; }

template <class T>
mean<T> mean_of(const host_tensor<T>& items, index_t begin, index_t end) {
  mean<T> result(items.extents().without(0));
  result.add(items.view().slice(0, begin, end));
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("a mean is that of all items", "", float, double) {
  const auto items = solens::test::random_tensor<TestType>({50, 3, 7}, 1);
  const auto value = mean_of(items, 0, 50).value();
  REQUIRE(value.extents() == shape{3, 7});
  for (index_t r = 0; r < 3; ++r) {
    for (index_t c = 0; c < 7; ++c) {
      long double sum = 0, magnitude = 0;
      for (index_t i = 0; i < 50; ++i) {
        sum += items(i, r, c);
        magnitude += std::abs(items(i, r, c));
      }
      CHECK(std::abs(value(r, c) - static_cast<double>(sum / 50)) <=
            rounding(50) * static_cast<double>(magnitude) / 50);
    }
  }
}

TEMPLATE_TEST_CASE("batches of any size give the same bits", "", float, double) {
  const auto items = solens::test::random_tensor<TestType>({50, 4, 5}, 2);
  mean<TestType> parts({4, 5});
  for (auto [begin, end] : {std::pair<index_t, index_t>{0, 1}, {1, 1}, {1, 20}, {20, 50}}) {
    parts.add(items.view().slice(0, begin, end));
  }
  CHECK(state_of(parts) == state_of(mean_of(items, 0, 50)));
  // Views in any order of memory: images and rows swapped there.
  host_tensor<TestType> other({5, 4, 50});
  for (index_t i = 0; i < items.size(); ++i) {
    other.data()[i % 5 * 200 + i / 5 % 4 * 50 + i / 20] = items.data()[i];
  }
  mean<TestType> strided({4, 5});
  strided.add(other.view().permuted({2, 1, 0}));
  CHECK(state_of(strided) == state_of(parts));
}

TEMPLATE_TEST_CASE("a merge of any split is the whole, to rounding, in any grouping", "", float,
                   double) {
  const auto items = solens::test::random_tensor<TestType>({50, 6}, 3);
  const auto whole = mean_of(items, 0, 50).value();
  for (index_t cut : {0, 1, 25, 50}) {
    const index_t second = std::min<index_t>(cut + 10, 50);
    const auto a = mean_of(items, 0, cut), b = mean_of(items, cut, second);
    const auto c = mean_of(items, second, 50);
    auto left = a;
    left.merge(b);
    left.merge(c);
    auto right = b;
    right.merge(c);
    auto other = a;
    other.merge(right);
    CHECK(left.count() == 50);
    for (index_t i = 0; i < 6; ++i) {
      double magnitude = 0;
      for (index_t k = 0; k < 50; ++k) magnitude += std::abs(double{items(k, i)}) / 50;
      CHECK(std::abs(left.value()(i) - whole(i)) <= 2 * rounding(50) * magnitude);
      CHECK(std::abs(other.value()(i) - whole(i)) <= 2 * rounding(50) * magnitude);
    }
  }
}

TEST_CASE("a mean without items is neutral and has no value") {
  mean<float> empty({4});
  CHECK_THROWS_AS(empty.value(), solens::argument_error);
  const auto items = solens::test::random_tensor<float>({3, 4}, 4);
  auto merged = mean_of(items, 0, 3);
  merged.merge(empty);
  CHECK(state_of(merged) == state_of(mean_of(items, 0, 3)));
  empty.merge(merged);
  CHECK(state_of(empty) == state_of(merged));
}

TEST_CASE("NaN and infinity stay in their element") {
  host_tensor<float> items({2, 3}, 1.0f);
  items(0, 0) = std::numeric_limits<float>::quiet_NaN();
  items(1, 1) = std::numeric_limits<float>::infinity();
  const auto value = mean_of(items, 0, 2).value();
  CHECK(std::isnan(value(0)));
  CHECK(value(1) == std::numeric_limits<double>::infinity());
  CHECK(value(2) == 1.0);
}

TEST_CASE("items and means of other extents are refused") {
  mean<float> a({2, 3});
  CHECK_THROWS_AS(a.add(host_tensor<float>({4, 3, 2}, 0).view()), solens::shape_error);
  CHECK_THROWS_AS(a.add(host_tensor<float>({2, 3}, 0).view()), solens::shape_error);
  CHECK_THROWS_AS(a.merge(mean<float>({3, 2})), solens::shape_error);
  CHECK_THROWS_AS(mean<float>({}), solens::shape_error);
  CHECK(a.count() == 0);
}

TEST_CASE("a mean comes back from its state") {
  solens::test::check_state(mean_of(solens::test::random_tensor<float>({5, 2, 3}, 5), 0, 5));
  solens::test::check_state(mean<double>({2}));
}
