#include "support/test.hpp"

#include <algorithm>

#include <solens/backend/eigen.hpp>
#include <solens/backend/reference.hpp>
#include <solens/backend/screened_search.hpp>

using namespace solens;

namespace {

template <class T>
struct problem {
  host_tensor<T> table, x;
};

/// Checks the search of a problem, by every kernel of this processor, against products in double:
/// the row found is the first with the largest product, or within rounding of that of the largest.
/// @param rounding  relative to the norms of the two; 0 where all products are exact
/// @param left      how many vectors `product_search` may get at most
/// @param screens   whether the table can be screened
template <class T>
void finds_the_largest(const problem<T>& p, double rounding, index_t left = 0,
                       bool screens = true) {
  using backend = eigen_backend<T>;
  const backend be(2);
  const index_t n = p.x.extent(0), n_rows = p.table.extent(0), d = p.x.extent(1);
  const auto norm = [&](const host_tensor<T>& of, index_t r) {
    double sum = 0;
    for (index_t k = 0; k < d; ++k) sum += std::pow(static_cast<double>(of(r, k)), 2);
    return std::sqrt(sum);
  };
  double longest = 0;
  for (index_t r = 0; r < n_rows; ++r) longest = std::max(longest, norm(p.table, r));
  for (const auto& kernel : bytes::kernels()) {
    screened_search<backend> search(be, p.table.view(), n, &kernel);
    for (int time = 0; time < 2; ++time) {  // the second time from what the first has found
      for (bool positive : {false, true}) {
        host_tensor<T> values({n});
        host_tensor<index_t> indices({n});
        search(be, p.x.view(), positive, values, indices);
        for (index_t i = 0; i < n; ++i) {
          CAPTURE(kernel.tile_rows, time, positive, i);
          index_t first = 0;
          std::vector<double> products;
          for (index_t r = 0; r < n_rows; ++r) {
            double product = 0;
            for (index_t k = 0; k < d; ++k)
              product += static_cast<double>(p.table(r, k)) * static_cast<double>(p.x(i, k));
            products.push_back(positive ? product : std::abs(product));
            if (products.back() > products[static_cast<std::size_t>(first)]) first = r;
          }
          const double allowed = rounding * norm(p.x, i) * longest;
          const double best = products[static_cast<std::size_t>(first)];
          REQUIRE(indices(i) >= 0);
          REQUIRE(indices(i) < n_rows);
          CHECK(products[static_cast<std::size_t>(indices(i))] >= best - allowed);
          if (rounding == 0) CHECK(indices(i) == first);
          const double value = static_cast<double>(values(i));
          const double eps = std::numeric_limits<T>::epsilon() * best;
          CHECK(std::abs((positive ? value : std::abs(value)) - best) <= allowed + std::abs(eps));
        }
      }
    }
    CHECK(search.n_left() <= 4 * left);
    CHECK(search.screens() == screens);
  }
}

template <class T>
problem<T> random_problem(index_t rows, index_t n, index_t d) {
  return {test::random_tensor<T>({rows, d}, 1), test::random_tensor<T>({n, d}, 2)};
}

/// What a search in full precision may be wrong by. In double it decides by the same sums as here,
/// in another order.
constexpr double in_double = 1e-14;

}  // namespace

TEMPLATE_TEST_CASE("screened: random tables of any extents", "", float, double) {
  const auto [rows, n, d] = GENERATE(table<index_t, index_t, index_t>(
      {{1, 1, 1}, {2, 3, 5}, {63, 7, 64}, {64, 1, 33}, {65, 97, 30}, {700, 20, 130}}));
  finds_the_largest(random_problem<TestType>(rows, n, d), in_double);
}

TEMPLATE_TEST_CASE("screened: rows of very different lengths", "", float, double) {
  auto p = random_problem<TestType>(500, 12, 48);
  for (index_t r = 0; r < 500; ++r) {
    for (index_t k = 0; k < 48; ++k) p.table(r, k) *= static_cast<TestType>(std::pow(10, -r % 9));
  }
  finds_the_largest(p, in_double);
}

TEMPLATE_TEST_CASE("screened: a few dimensions hold nearly all, and vectors lie beside them", "",
                   float, double) {
  // beside them by so much that, in the end, all products are too small to be told apart by bytes
  const double along = GENERATE(1.0, 0.1, 1e-4);
  auto p = random_problem<TestType>(1500, 12, 64);
  for (index_t k = 0; k < 64; ++k) {
    const auto of_table = static_cast<TestType>(k == 7 ? 100 : 1.0 / static_cast<double>(1 + k));
    for (index_t r = 0; r < 1500; ++r) p.table(r, k) *= of_table;
    for (index_t i = 0; i < 12; ++i) p.x(i, k) *= static_cast<TestType>(k < 20 ? along : 1);
  }
  finds_the_largest(p, 64 * std::numeric_limits<TestType>::epsilon(), along < 1e-3 ? 12 : 1);
}

TEMPLATE_TEST_CASE("screened: clusters of rows that are nearly the same", "", float, double) {
  auto p = random_problem<TestType>(900, 12, 40);
  for (index_t r = 0; r < 900; ++r) {  // 30 clusters
    for (index_t k = 0; k < 40; ++k)
      p.table(r, k) = p.table(r % 30, k) + static_cast<TestType>(1e-4) * p.table(r, k);
  }
  finds_the_largest(p, in_double);
}

TEMPLATE_TEST_CASE("screened: among equal products the first", "", float, double) {
  // small whole numbers, whose products are exact and often the same; duplicates; zero rows
  problem<TestType> p{host_tensor<TestType>({600, 10}), host_tensor<TestType>({40, 10})};
  std::mt19937 generator(5);
  for (auto& v : p.table) v = static_cast<TestType>(static_cast<int>(generator() % 5) - 2);
  for (auto& v : p.x) v = static_cast<TestType>(static_cast<int>(generator() % 3) - 1);
  for (index_t r = 300; r < 600; ++r) {
    for (index_t k = 0; k < 10; ++k) p.table(r, k) = r % 7 == 0 ? 0 : p.table(r - 300, k);
  }
  for (index_t k = 0; k < 10; ++k) p.x(3, k) = k == 0 ? 1 : 0;
  finds_the_largest(p, 0);
}

TEMPLATE_TEST_CASE("screened: more candidates than are worth it go to the products", "", float,
                   double) {
  problem<TestType> p{host_tensor<TestType>({2000, 8}, 1), host_tensor<TestType>({5, 8}, 1)};
  finds_the_largest(p, 0, 5);
  auto near = random_problem<TestType>(2000, 3, 8);
  for (auto& v : near.table) v = 1 + static_cast<TestType>(1e-6) * v;
  // by products in the scalar, which know less than those in double
  finds_the_largest(near, 16 * std::numeric_limits<TestType>::epsilon(), 3);
}

TEMPLATE_TEST_CASE("screened: large and small numbers", "", float, double) {
  const double of_table = GENERATE(1e-18, 1e-5, 1e6, 1e12);
  const double of_x = GENERATE(1e-12, 1e-5, 1e6, 1e12);
  auto p = random_problem<TestType>(200, 9, 24);
  for (auto& v : p.table) v *= static_cast<TestType>(of_table);
  for (auto& v : p.x) v *= static_cast<TestType>(of_x);
  const auto in_range = [](double x) { return x > 1e-9 && x < 1e9; };
  if (in_range(of_table) && in_range(of_x)) {
    finds_the_largest(p, in_double);
  } else {
    finds_the_largest(p, 32 * std::numeric_limits<TestType>::epsilon(), 9, in_range(of_table));
  }
}

TEMPLATE_TEST_CASE("screened: NaN and nothing as the products have it", "", float, double) {
  using backend = eigen_backend<TestType>;
  constexpr auto nan = std::numeric_limits<TestType>::quiet_NaN();
  const backend be;
  auto p = random_problem<TestType>(150, 8, 12);
  for (index_t k = 0; k < 12; ++k) p.x(2, k) = 0;
  p.x(4, 3) = nan;
  const bool in_table = GENERATE(false, true), positive = GENERATE(false, true);
  if (in_table) p.table(0, 0) = nan;
  screened_search<backend> screened(be, p.table.view(), 8, &bytes::kernels().back());
  product_search<backend> products(be, p.table.view(), 8);
  host_tensor<TestType> values({8}), expected({8});
  host_tensor<index_t> indices({8}), expected_at({8});
  screened(be, p.x.view(), positive, values, indices);
  products(be, p.x.view(), positive, expected, expected_at);
  for (index_t i = 0; i < 8; ++i) {
    CAPTURE(i);
    CHECK(indices(i) == expected_at(i));
    CHECK(std::isnan(values(i)) == (i == 4));
    if (i != 4) CHECK(static_cast<double>(values(i)) == Approx(static_cast<double>(expected(i))));
  }
  CHECK(screened.screens() == !in_table);
  CHECK(screened.n_left() == (in_table ? 0 : 2));
}

TEMPLATE_TEST_CASE("screened: views of any strides", "", float, double) {
  using backend = eigen_backend<TestType>;
  const backend be;
  const auto p = random_problem<TestType>(150, 8, 24);
  host_tensor<TestType> values({4}), expected({4});
  host_tensor<index_t> indices({4}), expected_at({4});
  const auto x = p.x.view().slice(0, 2, 6).slice(1, 3, 13);
  const auto wide = p.table.view().slice(1, 3, 13);
  const auto across = p.table.view().slice(0, 0, 10).transposed();  // rows that are not contiguous
  for (const auto& table : {wide, across}) {
    screened_search<backend> screened(be, table, 4, &bytes::kernels().front());
    product_search<backend> products(be, table, 4);
    screened(be, x, false, values, indices);
    products(be, x, false, expected, expected_at);
    for (index_t i = 0; i < 4; ++i) {
      CHECK(indices(i) == expected_at(i));
      CHECK(static_cast<double>(values(i)) == Approx(static_cast<double>(expected(i))));
    }
  }
}

TEST_CASE("a search needs a row, and vectors of its width") {
  const eigen_backend<float> be;
  const host_tensor<float> table({3, 4}, 1), x({2, 5}, 1);
  host_tensor<float> values({2});
  host_tensor<index_t> indices({2});
  using search = screened_search<eigen_backend<float>>;
  CHECK_THROWS_AS(search(be, table.view().slice(0, 0, 0), 2), shape_error);
  search screened(be, table.view(), 2, &bytes::kernels().front());
  CHECK_THROWS_AS(screened(be, x.view(), false, values, indices), shape_error);
}

TEST_CASE("products in several parts: NaN counts as lowest in each") {
  using backend = reference_backend<float>;
  const backend be;
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  host_tensor<float> table({9, 1}, 1), x({1 << 21, 1}, 0);  // 4 rows of the table at a time
  for (index_t r = 0; r < 4; ++r) table(r, 0) = nan;
  table(6, 0) = -3;
  x(0, 0) = 1;
  product_search<backend> search(be, table.view(), x.extent(0));
  host_tensor<float> values({1});
  host_tensor<index_t> indices({1});
  search(be, x.view().slice(0, 0, 1), false, values, indices);
  CHECK(indices(0) == 6);
  search(be, x.view().slice(0, 0, 1), true, values, indices);
  CHECK(indices(0) == 4);
}
