#include "support/test.hpp"

#if defined(SOLENS_WITH_XTENSOR)

#include <solens/backend/xtensor.hpp>
#include <solens/testing/backend_conformance.hpp>

using namespace solens;

TEMPLATE_TEST_CASE("the xtensor backend conforms on any number of threads", "", float, double) {
  for (int threads : {0, 1, 2, 5}) {
    for (const auto& result : testing::backend_conformance(xtensor_backend<TestType>(threads))) {
      INFO(to_string(result));
      CHECK(result.what == testing::outcome::ok);
    }
  }
}

#else

TEST_CASE("the xtensor backend conforms on any number of threads") {
  WARN("not run: xtensor is not here");
}

#endif
