#include "support/test.hpp"

#include <cmath>

#include "support/backends.hpp"

#include <solens/backend/normalize_rows.hpp>
#include <solens/testing/archetypes.hpp>

using namespace solens;

TEMPLATE_LIST_TEST_CASE("rows are scaled to a norm, zeros stay", "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  auto before = test::random_tensor<scalar>({5, 7}, 1);
  for (index_t j = 0; j < 7; ++j) before(2, j) = 0;
  auto rows = test::on_backend(be, before);
  // every other column: rows of four with gaps that must not change
  const view_of<TestType> strided(rows.view().data(), {5, 4}, {7, 2});
  const auto wanted = GENERATE(1.0, 100.0);
  normalize_rows(be, strided, static_cast<scalar>(wanted));
  const auto x = test::on_host(be, rows.view());
  for (index_t i = 0; i < 5; ++i) {
    double norm = 0;
    for (index_t j = 0; j < 7; j += 2) norm += std::pow(static_cast<double>(before(i, j)), 2);
    for (index_t j = 0; j < 7; ++j) {
      const double scale = j % 2 == 1 || norm == 0 ? 1 : wanted / std::sqrt(norm);
      CAPTURE(i, j);
      CHECK(static_cast<double>(x(i, j)) == Approx(static_cast<double>(before(i, j)) * scale)
                                                .epsilon(test::bound<scalar>(1e-15, 5e-7))
                                                .margin(0));
    }
  }
  CHECK_THROWS_AS(normalize_rows(be, strided.select(0, 1)), shape_error);
  CHECK_NOTHROW(normalize_rows(be, strided.slice(0, 2, 2)));
}

TEST_CASE("rows of memory that the host cannot read are scaled, too") {
  const testing::archetype_backend<double> be(0);
  auto x = test::on_backend(be, host_tensor<double>({1, 2}, 3.0));
  normalize_rows(be, x.view());
  CHECK(test::on_host(be, x.view())(0, 1) == Approx(std::sqrt(0.5)));
}
