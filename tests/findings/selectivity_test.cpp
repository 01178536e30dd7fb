#include "support/test.hpp"

#include "support/backends.hpp"

#include <solens/findings/selectivity.hpp>

using namespace solens;

TEMPLATE_LIST_TEST_CASE("selectivity of known norms", "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  host_tensor<scalar> norms({2, 100});
  for (index_t i = 0; i < 100; ++i) {
    norms(0, i) = static_cast<scalar>((i * 37) % 100);  // a permutation of 0 ... 99
    norms(1, i) = 1;
  }
  const auto found = selectivity(be, test::on_backend(be, norms).view(), 10);
  for (index_t i = 0; i < 10; ++i) {
    CHECK(found.top_norms(0, i) == static_cast<scalar>(99 - i));
    CHECK((found.top_images(0, i) * 37) % 100 == 99 - i);
    CHECK(found.top_images(1, i) == i);  // ties go to the earlier image
  }
  CHECK(found.threshold(0) == 90);
  CHECK(found.n_significant(0) == 9);
  CHECK(found.n_significant(1) == 0);
  CHECK(found.top_share(0) == Approx((99 + 98) / 4950.0));
  CHECK(found.top_share(1) == Approx(0.02));
  CHECK(found.norm_quantiles(0, 0) == 0);
  CHECK(found.norm_quantiles(0, 4) == 49);  // the 50th smallest
  CHECK(found.norm_quantiles(0, 10) == 99);
}

TEMPLATE_LIST_TEST_CASE("more top images than there are images is refused", "",
                        test::cpu_backends) {
  const TestType be{};
  const auto norms = be.allocate({1, 5});
  CHECK_THROWS_AS(selectivity(be, norms.view(), 6), argument_error);
  CHECK_THROWS_AS(selectivity(be, norms.view(), 0), argument_error);
}
