#include <solens/backend/eigen.hpp>

bool eigen_works();

bool eigen_works() {
  const solens::eigen_backend<float> be;
  solens::host_tensor<float> a({2, 3}, 2.0f), b({3, 2}, 5.0f), c({2, 2});
  be.gemm(1.0f, a, b, 0.0f, c);
  return c(0, 0) == 30.0f && c(1, 1) == 30.0f;
}
