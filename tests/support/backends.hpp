#pragma once

#include <tuple>

#include <solens/backend/eigen.hpp>
#include <solens/backend/reference.hpp>

namespace solens::test {

/// What every algorithm is tested on: TEMPLATE_LIST_TEST_CASE("...", "", cpu_backends).
using cpu_backends = std::tuple<reference_backend<float>, reference_backend<double>,
                                eigen_backend<float>, eigen_backend<double>>;

/// A bound on relative_difference: one number in double, another in float.
template <class T>
constexpr double bound(double in_double, double in_float) {
  return sizeof(T) == sizeof(double) ? in_double : in_float;
}

}  // namespace solens::test
