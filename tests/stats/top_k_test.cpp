#include "support/test.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include <solens/stats/top_k.hpp>

#include "stats/accumulators.hpp"

using solens::host_tensor;
using solens::host_view;
using solens::index_t;
using solens::stats::top_k;
using solens::test::state_of;

namespace {

/// Scores with many ties, and for a payload the index and the row.
template <class T>
struct scored {
  host_tensor<T> scores, payload;

  scored(index_t n_items, index_t n_rows, unsigned seed)
      : scores(solens::test::random_tensor<T>({n_items, n_rows}, seed)),
        payload({n_items, n_rows, 2}) {
    for (T& s : scores) s = std::round(s * 4);
    for (index_t i = 0; i < n_items; ++i) {
      for (index_t r = 0; r < n_rows; ++r) {
        payload(i, r, 0) = static_cast<T>(i);
        payload(i, r, 1) = static_cast<T>(r);
      }
    }
  }

  typename top_k<T>::batch part(index_t begin, index_t end) const {
    return {scores.view().slice(0, begin, end), begin, payload.view().slice(0, begin, end)};
  }
  top_k<T> top(index_t k, index_t begin, index_t end) const {
    top_k<T> result(scores.extent(1), k, 2);
    result.add(part(begin, end));
    return result;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("the largest are those of a stable sort", "", float, double) {
  const scored<TestType> items(200, 3, 1);
  const auto kept = items.top(7, 0, 200).value();
  for (index_t r = 0; r < 3; ++r) {
    std::vector<index_t> order(200);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](index_t a, index_t b) { return items.scores(a, r) > items.scores(b, r); });
    for (index_t i = 0; i < 7; ++i) {
      const index_t expected = order[static_cast<std::size_t>(i)];
      CHECK(kept.indices(r, i) == expected);
      CHECK(kept.scores(r, i) == items.scores(expected, r));
      CHECK(kept.payload(r, i, 0) == static_cast<TestType>(expected));
      CHECK(kept.payload(r, i, 1) == static_cast<TestType>(r));
    }
  }
}

TEMPLATE_TEST_CASE("the order of items, splits and merges is of no effect", "", float, double) {
  const scored<TestType> items(100, 4, 2);
  const std::string whole = state_of(items.top(9, 0, 100));
  top_k<TestType> backwards(4, 9, 2);
  for (index_t i = 100; i-- > 0;) backwards.add(items.part(i, i + 1));
  CHECK(state_of(backwards) == whole);
  for (index_t cut : {0, 5, 50, 100}) {
    const auto a = items.top(9, 0, cut), b = items.top(9, cut, 100);
    auto forwards = a, swapped = b;
    forwards.merge(b);
    swapped.merge(a);
    CHECK(state_of(forwards) == whole);
    CHECK(state_of(swapped) == whole);
  }
}

TEST_CASE("fewer items than k leave empty places") {
  const scored<float> items(2, 1, 3);
  const auto kept = items.top(4, 0, 2).value();
  CHECK(kept.indices(0, 1) != -1);
  CHECK(kept.indices(0, 2) == -1);
  CHECK(kept.scores(0, 2) == -std::numeric_limits<float>::infinity());
  CHECK(kept.payload(0, 2, 0) == 0);
  const auto none = top_k<float>(1, 2).value();
  CHECK(none.indices(0, 0) == -1);
}

TEST_CASE("infinite scores are scores, NaN is refused and changes nothing") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  host_tensor<float> scores({3, 1});
  scores(0, 0) = -infinity, scores(1, 0) = 1, scores(2, 0) = infinity;
  top_k<float> top(1, 3);
  top.add({scores, 10, {}});
  const auto kept = top.value();
  CHECK(kept.indices(0, 0) == 12);
  CHECK(kept.indices(0, 1) == 11);
  CHECK(kept.indices(0, 2) == 10);
  const std::string before = state_of(top);
  scores(1, 0) = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(top.add({scores, 20, {}}), Catch::Matchers::Contains("item 21, row 0"));
  CHECK(state_of(top) == before);
}

TEST_CASE("what does not fit is refused") {
  top_k<float> top(3, 2, 1);
  const host_tensor<float> scores({4, 3}, 0), narrow({4, 2}, 0), payload({4, 3, 1}, 0);
  CHECK_THROWS_AS(top.add({narrow, 0, payload}), solens::shape_error);
  CHECK_THROWS_AS(top.add({scores, 0, {}}), solens::shape_error);
  CHECK_THROWS_AS(top.add({scores, -1, payload}), solens::argument_error);
  CHECK_THROWS_AS(top.merge(top_k<float>(3, 3, 1)), solens::shape_error);
  CHECK_THROWS_AS(top.merge(top_k<float>(3, 2)), solens::shape_error);
  CHECK_THROWS_AS(top_k<float>(3, 0), solens::argument_error);
  CHECK_THROWS_AS(top_k<float>(-1, 1), solens::argument_error);
}

TEST_CASE("a ranking comes back from its state") {
  solens::test::check_state(scored<float>(6, 2, 4).top(3, 0, 6));
  solens::test::check_state(scored<float>(2, 2, 5).top(3, 0, 2));
  const std::string floats = state_of(scored<float>(6, 2, 4).top(3, 0, 6));
  CHECK_THROWS_AS(solens::test::from_state<top_k<double>>(floats), solens::format_error);
}
