#include "support/test.hpp"

#include <algorithm>  // std::max
#include <cmath>
#include <limits>
#include <utility>  // std::as_const

#include <solens/backend/small_products.hpp>
#include <solens/core/host_tensor.hpp>

using namespace solens;

namespace {

/// The largest error of c, in rounding errors of the terms of its sums, against
/// alpha a b + beta before by sums in double; `in` says which elements count.
template <class T, class In>
double worst(double alpha, host_view<const T> a, host_view<const T> b, double beta,
             host_view<const T> before, host_view<const T> c, In&& in) {
  double result = 0;
  for (index_t i = 0; i < c.extent(0); ++i) {
    for (index_t j = 0; j < c.extent(1); ++j) {
      if (!in(i, j)) continue;
      double sum = 0, terms = 0;
      for (index_t k = 0; k < a.extent(1); ++k) {
        const double term = alpha * static_cast<double>(a(i, k)) * static_cast<double>(b(k, j));
        sum += term;
        terms += std::abs(term);
      }
      if (beta != 0) {
        const double term = beta * static_cast<double>(before(i, j));
        sum += term;
        terms += std::abs(term);
      }
      const double unit = terms * static_cast<double>(std::numeric_limits<T>::epsilon());
      const double error = std::abs(static_cast<double>(c(i, j)) - sum);
      if (std::isnan(error)) return error;
      if (error > 0) result = std::max(result, unit > 0 ? error / unit : 1e30);
    }
  }
  return result;
}

constexpr auto everywhere = [](index_t, index_t) { return true; };

}  // namespace

TEMPLATE_TEST_CASE("small products of all extents equal sums in double", "", float, double) {
  const index_t most = 2 * small_products::tile_rows + 3;
  for (index_t m = 1; m <= most; m += m < 8 ? 1 : 5) {
    for (index_t n = 1; n <= 2 * small_products::vector_bytes / 4 + 13; ++n) {
      const index_t k = 1 + (m + n) % 9;
      const auto a = test::random_tensor<TestType>({m, k}, 1),
                 turned = test::random_tensor<TestType>({k, m}, 2);
      const auto b = test::random_tensor<TestType>({k, n}, 3),
                 before = test::random_tensor<TestType>({m, n}, 4);
      for (const double beta : {0.0, 1.0, -0.5}) {
        for (const auto& x : {a.view(), turned.view().transposed()}) {
          auto c = before.clone();
          small_products::multiply(TestType(1.5), x, b.view(), static_cast<TestType>(beta),
                                   c.view());
          CAPTURE(m, n, k, beta);
          REQUIRE(worst<TestType>(1.5, x, b.view(), beta, before.view(), std::as_const(c).view(),
                                  everywhere) <= 14);
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("small products write nothing but their result, and read no more than it takes",
                   "", float, double) {
  // All three are parts of larger matrices, with NaN around them and in the result.
  const TestType nan = std::numeric_limits<TestType>::quiet_NaN();
  const index_t m = 7, n = 29, k = 5;
  host_tensor<TestType> whole_a({m + 2, k + 2}, nan), whole_b({k + 2, n + 2}, nan);
  host_tensor<TestType> whole_c({m + 2, n + 2}, nan);
  const auto inner = [](auto x) {
    return x.slice(0, 1, x.extent(0) - 1).slice(1, 1, x.extent(1) - 1);
  };
  const auto a = test::random_tensor<TestType>({m, k}, 5),
             b = test::random_tensor<TestType>({k, n}, 6);
  for (index_t i = 0; i < m; ++i) {
    for (index_t j = 0; j < k; ++j) inner(whole_a.view())(i, j) = a(i, j);
  }
  for (index_t i = 0; i < k; ++i) {
    for (index_t j = 0; j < n; ++j) inner(whole_b.view())(i, j) = b(i, j);
  }
  small_products::multiply(TestType(1), inner(std::as_const(whole_a).view()),
                           inner(std::as_const(whole_b).view()), TestType(0),
                           inner(whole_c.view()));
  const auto c = inner(std::as_const(whole_c).view());
  CHECK(worst<TestType>(1, a.view(), b.view(), 0, c, c, everywhere) <= 10);
  for (index_t i = 0; i < m + 2; ++i) {
    for (index_t j = 0; j < n + 2; ++j) {
      const bool inside = i > 0 && i <= m && j > 0 && j <= n;
      CHECK(std::isnan(whole_c(i, j)) == !inside);
    }
  }
}

TEMPLATE_TEST_CASE("small Gram matrices and products with triangles equal sums in double", "",
                   float, double) {
  for (const index_t n : {1, 2, 5, 12, 24, 33, 60, 84}) {
    for (const index_t m : {1, 3, 40, 300}) {
      CAPTURE(n, m);
      const auto x = test::random_tensor<TestType>({m, n}, 7),
                 before = test::random_tensor<TestType>({n, n}, 8);
      for (const double beta : {0.0, 1.0}) {
        auto c = before.clone();
        small_products::gram(x.view(), static_cast<TestType>(beta), c.view());
        REQUIRE(worst<TestType>(1, x.view().transposed(), x.view(), beta, before.view(),
                                std::as_const(c).view(), [](index_t i, index_t j) {
                                  return j <= i;
                                }) <= static_cast<double>(m + 4));
      }
      auto l = before.clone(), product = x.clone();
      for (index_t i = 0; i < n; ++i) {
        for (index_t j = i + 1; j < n; ++j) l(i, j) = 0;
      }
      small_products::multiply_lower(std::as_const(l).view(), product.view());
      REQUIRE(worst<TestType>(1, x.view(), std::as_const(l).view(), 0, x.view(),
                              std::as_const(product).view(),
                              everywhere) <= static_cast<double>(n + 4));
    }
  }
}
