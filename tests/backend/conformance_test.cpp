#include "support/test.hpp"

#include <solens/backend/eigen.hpp>
#include <solens/backend/reference.hpp>
#include <solens/testing/backend_conformance.hpp>

using namespace solens;

namespace {

template <class B>
void conforms(const B& be) {
  for (const auto& result : testing::backend_conformance(be)) {
    INFO(to_string(result));
    CHECK(result.what == testing::outcome::ok);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("the CPU backends conform", "", reference_backend<float>,
                   reference_backend<double>, eigen_backend<float>, eigen_backend<double>) {
  conforms(TestType());
}

TEMPLATE_TEST_CASE("the Eigen backend conforms on any number of threads", "", float, double) {
  for (int threads : {1, 2, 5}) conforms(eigen_backend<TestType>(threads));
}
