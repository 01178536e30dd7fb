#pragma once

#include <tuple>

#include <solens/backend/eigen.hpp>
#include <solens/backend/reference.hpp>

namespace solens::test {

/// Every algorithm of the lens is tested on each of these.
using backends = std::tuple<reference_backend<float>, reference_backend<double>,
                            eigen_backend<float>, eigen_backend<double>>;

}  // namespace solens::test
