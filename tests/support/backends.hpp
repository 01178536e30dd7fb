#pragma once

#include <tuple>

#if defined(SOLENS_CUDA_EMULATION) || defined(SOLENS_TEST_CUDA)
#include <solens/backend/cuda.hpp>
#endif
#include <solens/backend/eigen.hpp>
#include <solens/backend/reference.hpp>
#include <solens/core/host_tensor.hpp>
#if defined(SOLENS_WITH_XTENSOR)
#include <solens/backend/xtensor.hpp>
#endif

namespace solens::test {

#if defined(SOLENS_CUDA_EMULATION) || defined(SOLENS_TEST_CUDA)
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
#endif

/// What every algorithm is tested on: TEMPLATE_LIST_TEST_CASE("...", "", cpu_backends).
#if defined(SOLENS_TEST_CUDA)
using cpu_backends =
    std::tuple<shared_cuda_backend<float>, shared_cuda_backend<double>>;  // a GPU's
#else
using cpu_backends = std::tuple<reference_backend<float>, reference_backend<double>,
#if defined(SOLENS_WITH_XTENSOR)
                                xtensor_backend<float>, xtensor_backend<double>,
#endif
#if defined(SOLENS_CUDA_EMULATION)
                                shared_cuda_backend<float>, shared_cuda_backend<double>,
#endif
                                eigen_backend<float>, eigen_backend<double>>;
#endif

/// A bound on relative_difference: one number in double, another in float.
template <class T>
constexpr double bound(double in_double, double in_float) {
  return sizeof(T) == sizeof(double) ? in_double : in_float;
}

/// A tensor of a backend with these numbers.
template <tensor_backend B>
typename B::tensor on_backend(const B& be, host_view<const typename B::scalar> x) {
  auto result = be.allocate(x.extents());
  be.upload(x, result.view());
  return result;
}

/// The numbers of a tensor of a backend.
template <tensor_backend B>
host_tensor<typename B::scalar> on_host(const B& be, const_view_of<B> x) {
  host_tensor<typename B::scalar> result(x.extents());
  be.download(x, result.view());
  return result;
}

}  // namespace solens::test
