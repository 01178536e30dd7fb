#include "support/test.hpp"

#include <algorithm>
#include <cmath>

#include <solens/findings/writer_directions.hpp>

using namespace solens;

TEMPLATE_TEST_CASE("codes are put together from their atoms", "", float, double) {
  using T = TestType;
  host_tensor<T> dictionary({3, 2}), weights({4, 2});
  std::copy_n(std::vector<T>{3, 0, 0, 2, 1, 1}.begin(), 6, dictionary.begin());
  host_tensor<index_t> atoms({4, 3}, -1);
  atoms(0, 0) = 0, weights(0, 0) = 2;   // 6, 0
  atoms(1, 0) = 0, weights(1, 0) = -1;  // -3, 4
  atoms(1, 1) = 1, weights(1, 1) = 2;
  atoms(2, 0) = 1, weights(2, 0) = 1, weights(2, 1) = 9;  // nothing after -1 counts
  const auto r = reconstruct_codes<T>(atoms, weights, dictionary);
  const std::vector<double> expected{6, 0, -3, 4, 0, 2, 0, 0};
  for (index_t i = 0; i < 8; ++i) {
    CHECK(std::abs(static_cast<double>(r.data()[i]) - expected[static_cast<std::size_t>(i)]) <
          1e-7);
  }
  atoms(3, 1) = 3;
  CHECK_THROWS_AS((reconstruct_codes<T>(atoms, weights, dictionary)), argument_error);
  atoms(3, 1) = -2;
  CHECK_THROWS_AS((reconstruct_codes<T>(atoms, weights, dictionary)), argument_error);
  CHECK_THROWS_AS(
      (reconstruct_codes<T>(atoms, host_view<const T>(weights).slice(0, 0, 3), dictionary)),
      shape_error);
  const host_tensor<T> wide({4, 4}, T{1});
  CHECK_THROWS_AS((reconstruct_codes<T>(atoms, wide, dictionary)), shape_error);
}

TEST_CASE("random directions are uniform unit vectors, the same for the same seeds") {
  const auto a = random_directions<double>(2000, 3, {1, 2}),
             b = random_directions<double>(2000, 3, {1, 2}),
             c = random_directions<double>(2000, 3, {1, 3});
  CHECK(std::equal(a.begin(), a.end(), b.begin()));
  CHECK_FALSE(std::equal(a.begin(), a.end(), c.begin()));
  double sum[3] = {}, squares[3] = {};
  for (index_t w = 0; w < 2000; ++w) {
    double length = 0;
    for (index_t j = 0; j < 3; ++j) {
      length += a(w, j) * a(w, j);
      sum[j] += a(w, j) / 2000;
      squares[j] += a(w, j) * a(w, j) / 2000;
    }
    CHECK(std::abs(length - 1) < 1e-12);
  }
  for (index_t j = 0; j < 3; ++j) {
    CHECK(std::abs(sum[j]) < 5 * std::sqrt(1 / 3. / 2000));
    CHECK(std::abs(squares[j] - 1 / 3.) < 5 * std::sqrt(4 / 45. / 2000));
  }
}

TEST_CASE("random subsets are distinct, ascending, and equally likely") {
  CHECK(random_subset(5, 0, {1}).empty());
  CHECK(random_subset(5, 5, {1}) == std::vector<index_t>{0, 1, 2, 3, 4});
  CHECK_THROWS_AS(random_subset(5, 6, {1}), argument_error);
  CHECK(random_subset(100, 10, {1, 2}) == random_subset(100, 10, {1, 2}));
  CHECK(random_subset(100, 10, {1, 2}) != random_subset(100, 10, {1, 3}));
  int count[6] = {};
  for (std::uint64_t seed = 0; seed < 6000; ++seed) {
    const auto set = random_subset(6, 2, {seed});
    REQUIRE(set.size() == 2);
    REQUIRE(set[0] < set[1]);
    for (index_t i : set) ++count[i];
  }
  for (int n : count) CHECK(std::abs(n - 2000) < 5 * std::sqrt(6000 * 2 / 9.));
}
