#pragma once

#include <tuple>

#if defined(SOLENS_TEST_CUDA)
#include <solens/backend/cuda.hpp>
#endif
#include <solens/backend/eigen.hpp>
#include <solens/backend/reference.hpp>
#if defined(SOLENS_WITH_XTENSOR)
#include <solens/backend/xtensor.hpp>
#endif

namespace solens::test {

#if defined(SOLENS_TEST_CUDA)
/// The one that all of a test's objects share, as they must to see each other's work.
template <class T>
struct shared_cuda_backend : cuda_backend<T> {
  shared_cuda_backend() : cuda_backend<T>(the()) {}
  static const cuda_backend<T>& the() {
    // Never destroyed: at the program's end the device's libraries may be gone first.
    static const auto* const be = new cuda_backend<T>;
    return *be;
  }
};

/// In a program for it.
using cpu_backends = std::tuple<shared_cuda_backend<float>, shared_cuda_backend<double>>;
#else
/// What every algorithm is tested on: TEMPLATE_LIST_TEST_CASE("...", "", cpu_backends).
using cpu_backends = std::tuple<reference_backend<float>, reference_backend<double>,
#if defined(SOLENS_WITH_XTENSOR)
                                xtensor_backend<float>, xtensor_backend<double>,
#endif
                                eigen_backend<float>, eigen_backend<double>>;
#endif

/// A bound on relative_difference: one number in double, another in float.
template <class T>
constexpr double bound(double in_double, double in_float) {
  return sizeof(T) == sizeof(double) ? in_double : in_float;
}

}  // namespace solens::test
