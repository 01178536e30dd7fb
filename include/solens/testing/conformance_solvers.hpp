#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <solens/testing/conformance_arithmetic.hpp>

/// Cases of the decompositions. They are judged by what they must satisfy, since signs, and vectors
/// of equal eigenvalues, are open.
namespace solens::testing {

namespace detail {

/// Matrices x x^T + ridge 1 for random x [n, rank].
inline argument gram(index_t batch, index_t n, index_t rank, double ridge, layout how,
                     role as = role::in) {
  host_tensor<double> x(shape{batch, n, rank}), a(shape{batch, n, n});
  auto normal = normal_values(static_cast<unsigned>(7 * n + rank));
  for (double& value : x) value = normal(0);
  for (index_t g = 0; g < batch; ++g) {
    for (index_t i = 0; i < n; ++i) {
      for (index_t j = 0; j < n; ++j) {
        double sum = i == j ? ridge : 0;
        for (index_t k = 0; k < rank; ++k) sum += x(g, i, k) * x(g, j, k);
        a(g, i, j) = sum;
      }
    }
  }
  return {as, {batch, n, n}, how, [values = std::vector<double>(a.begin(), a.end())](index_t i) {
            return values[static_cast<std::size_t>(i)];
          }};
}

/// The largest |element| of sum_k x[i, k] y[k, j] - want[i, j], given as functions.
template <class X, class Y, class W>
double product_error(index_t n, index_t inner, index_t m, const X& x, const Y& y, const W& want) {
  double worst = 0;
  for (index_t i = 0; i < n; ++i) {
    for (index_t j = 0; j < m; ++j) {
      double sum = -want(i, j);
      for (index_t k = 0; k < inner; ++k) sum += x(i, k) * y(k, j);
      const double off = std::abs(sum);
      worst = off <= worst ? worst : off;  // NaN sticks
    }
  }
  return worst;
}

inline double largest(const host_tensor<double>& x, index_t g) {
  double result = 0;
  const index_t size = x.size() / x.extent(0);
  for (index_t i = 0; i < size; ++i) {
    result = std::max(result, std::abs(x.data()[g * size + i]));
  }
  return result;
}

inline double worse(double a, double b) { return b <= a ? a : b; }

}  // namespace detail

/// `cholesky`: |l l^T - a| up to 4 n^2 eps of the largest element of a, the n dropped pivots
/// included; exact zeros above the diagonal.
template <tensor_backend B>
void factors(conformance_suite<B>& suite) {
  const double eps = suite.epsilon();
  for (layout how : writable_layouts) {
    for (const auto& [n, rank, ridge] : {std::tuple{index_t{9}, index_t{12}, 1.0},
                                         {index_t{12}, index_t{5}, 0.0},
                                         {index_t{1}, index_t{1}, 0.0}}) {
      suite.verify(
          "cholesky",
          "n " + std::to_string(n) + ", rank " + std::to_string(rank) + ", " + to_string(how),
          {detail::gram(3, n, rank, ridge, how), out({3, n, n}, how)},
          [](const auto& b, auto v) { b.cholesky(v[0], v[1]); },
          [eps, n = n](const std::vector<host_tensor<double>>& x) {
            const auto &a = x[0], &l = x[1];
            double worst = 0;
            for (index_t g = 0; g < 3; ++g) {
              const double off = detail::product_error(
                  n, n, n, [&](index_t i, index_t k) { return l(g, i, k); },
                  [&](index_t k, index_t j) { return l(g, j, k); },
                  [&](index_t i, index_t j) { return a(g, i, j); });
              worst = detail::worse(
                  worst, off / (4 * static_cast<double>(n * n) * eps * detail::largest(a, g)));
              for (index_t i = 0; i < n; ++i) {
                for (index_t j = i + 1; j < n; ++j) {
                  if (l(g, i, j) != 0) worst = std::numeric_limits<double>::infinity();
                }
              }
            }
            return worst;
          });
    }
  }
  suite.compare("cholesky", "zero becomes zero", {}, {in_values({1, 3, 3}, {0}), out({1, 3, 3})},
                [](const auto& b, auto v, auto) { b.cholesky(v[0], v[1]); });
  suite.verify(
      "cholesky", "a negative pivot becomes NaN, in its matrix alone",
      {in_values({2, 2, 2}, {4, 2, 2, -3, 4, 2, 2, 3}), out({2, 2, 2})},
      [](const auto& b, auto v) { b.cholesky(v[0], v[1]); },
      [](const std::vector<host_tensor<double>>& x) {
        return std::isnan(x[1](0, 1, 1)) && std::isfinite(x[1](1, 1, 1)) ? 0.0 : 2.0;
      });
}

/// `cholesky_solve`: 8 n eps kappa of the largest element of the solution, with matrices of
/// condition kappa up to 16.
template <tensor_backend B>
void solutions(conformance_suite<B>& suite) {
  const auto solve = [](const auto& b, auto v, auto) { b.cholesky_solve(v[0], v[1]); };
  for (layout how : writable_layouts) {
    for (index_t columns : {index_t{1}, index_t{4}}) {
      // x x^T has eigenvalues up to about (3 + sqrt(12))^2 = 42; with the ridge, kappa is under 16.
      suite.compare("cholesky_solve",
                    std::string(to_string(how)) + ", " + std::to_string(columns) + " columns",
                    {.absolute = 8 * 9 * 16},
                    {detail::gram(3, 9, 12, 6, how), inout({3, 9, columns}, how)}, solve);
    }
  }
  suite.compare("cholesky_solve", "no columns", {},
                {detail::gram(2, 3, 3, 1, layout::contiguous), inout({2, 3, 0})}, solve);
  const double infinity = std::numeric_limits<double>::infinity();
  suite.verify(
      "cholesky_solve", "not positive definite becomes NaN, in its batch alone",
      {in_values({4, 2, 2}, {4, 2, 2, 3, 1, 2, 2, 1, 1, 1, 1, 1, 4, 2, 2, 3}), inout({4, 2, 2})},
      [](const auto& b, auto v) { b.cholesky_solve(v[0], v[1]); },
      [=](const std::vector<host_tensor<double>>& x) {
        for (index_t i = 0; i < x[1].size(); ++i) {
          const bool definite = i / 4 == 0 || i / 4 == 3;
          if (std::isfinite(x[1].data()[i]) != definite) return infinity;
          if (!definite && !std::isnan(x[1].data()[i])) return infinity;
        }
        return 0.0;
      });
}

/// `symmetric_eigen`: |a v - value v| and |v_i . v_j - delta_ij| up to 8 n eps of the largest
/// eigenvalue, and of 1; the sum of all values is the trace to as much; descending.
template <tensor_backend B>
void eigenpairs(conformance_suite<B>& suite) {
  const double eps = suite.epsilon();
  for (layout how : writable_layouts) {
    for (const auto& [n, rank, q] : {std::tuple{index_t{1}, index_t{1}, index_t{1}},
                                     {index_t{8}, index_t{9}, index_t{8}},
                                     {index_t{12}, index_t{4}, index_t{12}},
                                     {index_t{30}, index_t{40}, index_t{3}}}) {
      suite.verify(
          "symmetric_eigen",
          "n " + std::to_string(n) + ", rank " + std::to_string(rank) + ", the first " +
              std::to_string(q) + ", " + to_string(how),
          {detail::gram(3, n, rank, 0, how), out({3, q}, how), out({3, q, n}, how)},
          [](const auto& b, auto v) { b.symmetric_eigen(v[0], v[1], v[2]); },
          [eps, n = n, q = q](const std::vector<host_tensor<double>>& x) {
            const auto &a = x[0], &values = x[1], &vectors = x[2];
            double worst = 0;
            for (index_t g = 0; g < 3; ++g) {
              const double bound = 8 * static_cast<double>(n) * eps, of = values(g, 0);
              const auto vector = [&](index_t i, index_t j) { return vectors(g, i, j); };
              const auto transposed = [&](index_t i, index_t j) { return vectors(g, j, i); };
              worst = detail::worse(
                  worst,
                  detail::product_error(
                      q, n, n, vector, [&](index_t i, index_t j) { return a(g, i, j); },
                      [&](index_t i, index_t j) { return values(g, i) * vectors(g, i, j); }) /
                      (bound * of));
              worst = detail::worse(
                  worst,
                  detail::product_error(q, n, q, vector, transposed, [](index_t i, index_t j) {
                    return i == j ? 1.0 : 0.0;
                  }) / bound);
              double trace = 0, sum = 0;
              for (index_t i = 0; i < n; ++i) trace += a(g, i, i);
              for (index_t i = 0; i < q; ++i) sum += values(g, i);
              if (q == n) worst = detail::worse(worst, std::abs(trace - sum) / (bound * of));
              for (index_t i = 1; i < q; ++i) {
                if (!(values(g, i - 1) >= values(g, i))) return 2.0;
              }
            }
            return worst;
          });
    }
  }
  suite.compare("symmetric_eigen", "the values are those of the reference",
                {.absolute = 8 * 20 * 80},
                {detail::gram(2, 20, 25, 0, layout::contiguous), out({2, 6})},
                [](const auto& b, auto v, auto) {
                  auto vectors = b.allocate({2, 6, 20});
                  b.symmetric_eigen(v[0], v[1], vectors.view());
                  b.synchronize();
                });
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  suite.verify(
      "symmetric_eigen", "NaN where a matrix is not finite",
      {in_values({2, 2, 2}, {nan, 1, 1, 2, 3, 1, 1, 2}), out({2, 2}), out({2, 2, 2})},
      [](const auto& b, auto v) { b.symmetric_eigen(v[0], v[1], v[2]); },
      [](const std::vector<host_tensor<double>>& x) {
        const bool right = std::isnan(x[1](0, 0)) && std::isnan(x[2](0, 1, 1)) &&
                           std::isfinite(x[1](1, 0)) && std::isfinite(x[2](1, 1, 1));
        return right ? 0.0 : 2.0;
      });
}

/// What stands above the diagonal of a symmetric matrix is not read.
template <tensor_backend B>
void lower_triangles(conformance_suite<B>& suite) {
  for (index_t n : {index_t{5}, index_t{20}}) {
    const argument a{role::in, {2, n, n}, layout::contiguous, [n](index_t i) {
                       const index_t row = i / n % n, column = i % n;
                       return column > row    ? std::numeric_limits<double>::quiet_NaN()
                              : column == row ? 4.0
                                              : 1.0 / static_cast<double>(1 + row + column);
                     }};
    const tolerance within{.absolute = 64 * static_cast<double>(n)};
    suite.compare("cholesky", "only the lower triangle is read", within, {a, out({2, n, n})},
                  [](const auto& b, auto v, auto) { b.cholesky(v[0], v[1]); });
    suite.compare("cholesky_solve", "only the lower triangle is read", within,
                  {a, inout({2, n, 3})},
                  [](const auto& b, auto v, auto) { b.cholesky_solve(v[0], v[1]); });
    suite.compare("symmetric_eigen", "only the lower triangle is read", within, {a, out({2, 1})},
                  [n](const auto& b, auto v, auto) {
                    auto vectors = b.allocate({2, 1, n});
                    b.symmetric_eigen(v[0], v[1], vectors.view());
                    b.synchronize();
                  });
  }
}

template <tensor_backend B>
void solvers(conformance_suite<B>& suite) {
  lower_triangles(suite);
  factors(suite);
  solutions(suite);
  eigenpairs(suite);
  const B& be = suite.backend();
  auto x = be.allocate({2, 3, 3});
  auto y = be.allocate({2, 3, 2});
  auto z = be.allocate({2, 3});
  const const_view_of<B> a = x.view(), b = y.view();
  suite.refuses("cholesky", "matrices that are not square", [&] { be.cholesky(b, y.view()); });
  suite.refuses("cholesky_solve", "matrices that are not square",
                [&] { be.cholesky_solve(b, y.view()); });
  suite.refuses("cholesky_solve", "a right side of other rows",
                [&] { be.cholesky_solve(a, x.view().slice(1, 0, 2)); });
  suite.refuses("symmetric_eigen", "vectors of other extents",
                [&] { be.symmetric_eigen(a, z.view(), y.view()); });
}

}  // namespace solens::testing
