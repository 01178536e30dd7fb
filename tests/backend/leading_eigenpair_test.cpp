#include "support/test.hpp"

#include <cmath>

#include <solens/backend/leading_eigenpair.hpp>
#include <solens/backend/reference.hpp>

using namespace solens;

namespace {

/// Checks value and vector against Jacobi's method in double.
template <class T>
void check(const host_tensor<T>& a) {
  const index_t n = a.extent(0);
  host_tensor<double> exact({1, n, n}), values({1, n}), vectors({1, n, n});
  for (index_t i = 0; i < a.size(); ++i) exact.data()[i] = static_cast<double>(a.data()[i]);
  reference_backend<double>().symmetric_eigen(exact, values, vectors);
  const double norm = std::max(std::abs(values(0, 0)), std::abs(values(0, n - 1)));
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());

  leading_eigenpair<T> solver(n);
  std::vector<T> v(static_cast<std::size_t>(n));
  const double value = static_cast<double>(solver.compute(a.data(), v.data()));
  CHECK(std::abs(value - values(0, 0)) <= 32 * eps * norm * std::sqrt(static_cast<double>(n)));
  double length = 0, residual = 0;
  for (index_t i = 0; i < n; ++i) {
    double sum = -value * static_cast<double>(v[static_cast<std::size_t>(i)]);
    for (index_t j = 0; j < n; ++j)
      sum += exact(0, i, j) * static_cast<double>(v[static_cast<std::size_t>(j)]);
    residual += sum * sum;
    length += static_cast<double>(v[static_cast<std::size_t>(i)]) *
              static_cast<double>(v[static_cast<std::size_t>(i)]);
  }
  CHECK(std::abs(length - 1) <= 16 * eps);
  CHECK(std::sqrt(residual) <= 32 * eps * norm * std::sqrt(static_cast<double>(n)));
}

template <class T>
host_tensor<T> gram(index_t n, index_t rank, unsigned seed) {
  const auto x = test::random_tensor<T>({n, rank}, seed);
  host_tensor<T> a({n, n});
  reference_backend<T>().gemm(1, x.view(), x.view().transposed(), 0, a);
  return a;
}

}  // namespace

TEMPLATE_TEST_CASE("the leading eigenpair of matrices of every kind", "", float, double) {
  for (index_t n : {1, 2, 5, 17, 40, 132}) {
    CAPTURE(n);
    check(gram<TestType>(n, n, 1));            // positive definite
    check(gram<TestType>(n, (n + 2) / 3, 2));  // of low rank
    check(gram<TestType>(n, 1, 3));            // of rank one
    auto indefinite = gram<TestType>(n, n, 4);
    for (index_t i = 0; i < n; ++i) indefinite(i, i) -= static_cast<TestType>(2 * n);
    check(indefinite);
    host_tensor<TestType> zero({n, n}, 0);
    check(zero);
    for (index_t i = 0; i < n; ++i) zero(i, i) = 3;  // all eigenvalues the same
    check(zero);
    for (index_t i = 0; i < n; ++i) zero(i, i) = static_cast<TestType>(i == n / 2 ? 5 : -1);
    check(zero);  // an eigenvector along an axis
  }
}

TEST_CASE("eigenvalues 1 % apart are told from each other") {
  const index_t n = 60;
  host_tensor<double> a({n, n}, 0.0);
  for (index_t i = 0; i < n; ++i) a(i, i) = 100 * std::pow(0.99, static_cast<double>(i));
  check(a);
}
