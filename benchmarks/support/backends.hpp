#pragma once

#include <solens/backend/eigen.hpp>
#if defined(SOLENS_WITH_XTENSOR)
#include <solens/backend/xtensor.hpp>
#endif

namespace solens::bench {

/// Calls f(name, backend) for every backend that is made for work: each case is measured on all.
template <class F>
void for_each_backend(const F& f) {
  f("eigen<float>", eigen_backend<float>());
#if defined(SOLENS_WITH_XTENSOR)
  f("xtensor<float>", xtensor_backend<float>());
#endif
}

}  // namespace solens::bench
