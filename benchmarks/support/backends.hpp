#pragma once

#if defined(SOLENS_WITH_CUDA)
#include <solens/backend/cuda.hpp>
#endif
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
#if defined(SOLENS_WITH_CUDA)
  if (why_no_gpu().empty()) {
    const cuda_backend<float> be;
    f("cuda<float>", be);
    f("cuda<tf32>", be.with(cuda::product_precision::tf32));
    f("cuda<bf16>", be.with(cuda::product_precision::bf16));
  }
#endif
}

}  // namespace solens::bench
