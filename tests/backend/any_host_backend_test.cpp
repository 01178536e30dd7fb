#include <solens/backend/any_host_backend.hpp>
#include <solens/backend/eigen.hpp>
#include <solens/backend/reference.hpp>
#include <solens/testing/backend_conformance.hpp>

#include "support/test.hpp"

using namespace solens;

TEST_CASE("a backend chosen at run time conforms, with fused operations of its own or without") {
  const auto reference = any_host_backend<float>(reference_backend<float>());
  for (const auto& be : {reference, any_host_backend<float>(eigen_backend<float>(2))}) {
    for (const auto& result : testing::backend_conformance(be)) {
      INFO(to_string(result));
      CHECK(result.what == testing::outcome::ok);
    }
  }
}

TEST_CASE("a backend chosen at run time computes what the one inside does, to the bit") {
  const eigen_backend<float> inside(1);
  const any_host_backend<float> be(inside);
  const auto x = test::random_tensor<float>({7, 33}, 1), y = test::random_tensor<float>({33, 9}, 2);
  host_tensor<float> direct({7, 9}), passed_on({7, 9});
  inside.gemm(1, x, y, 0, direct);
  be.gemm(1, x, y, 0, passed_on);
  CHECK(std::equal(direct.begin(), direct.end(), passed_on.begin()));
}
