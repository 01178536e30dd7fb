#include "support/test.hpp"

#include <cmath>

#include <solens/backend/triangular.hpp>

using namespace solens;

TEMPLATE_TEST_CASE("a factor and its substitutions solve a system", "", float, double) {
  host_tensor<TestType> a({3, 3}), l({3, 3}), x({3, 2});
  const TestType values[] = {4, 2, 0, 2, 5, 2, 0, 2, 5};
  std::copy_n(values, 9, a.data());
  triangular::factorise(std::as_const(a).view(), TestType{-1}, l);
  CHECK(l(0, 0) == 2);
  CHECK(l(0, 1) == 0);  // above the diagonal
  // a times (1, 2, 3) and times (0, 1, 0)
  const TestType right[] = {8, 2, 18, 5, 19, 2};
  std::copy_n(right, 6, x.data());
  for (index_t i = 0; i < 3; ++i) triangular::eliminate(l, i, 0, i, x);
  for (index_t i = 3; i-- > 0;) triangular::eliminate(l, i, i + 1, 3, x);
  const TestType expected[] = {1, 0, 2, 1, 3, 0};
  for (index_t i = 0; i < 6; ++i) {
    CHECK(static_cast<double>(x.data()[i]) == Approx(expected[i]).margin(1e-5));
  }
}

TEMPLATE_TEST_CASE("a pivot of nothing drops its column, a negative one is NaN", "", float,
                   double) {
  host_tensor<TestType> ones({2, 2}, 1), l({2, 2});
  triangular::factorise(std::as_const(ones).view(), static_cast<TestType>(1e-6), l);
  CHECK(l(1, 0) == 1);
  CHECK(l(1, 1) == 0);
  ones(1, 1) = -1;
  triangular::factorise(std::as_const(ones).view(), static_cast<TestType>(1e-6), l);
  CHECK(std::isnan(l(1, 1)));
}
