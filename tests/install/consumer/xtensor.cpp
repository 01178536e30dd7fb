#include <solens/backend/xtensor.hpp>

bool xtensor_works();

bool xtensor_works() {
  const solens::xtensor_backend<float> be;
  xt::xtensor<float, 2> a{{2, 2, 2}, {2, 2, 2}}, b{{5, 5}, {5, 5}, {5, 5}};
  auto c = be.allocate({2, 2});
  be.gemm(1.0f, solens::from_xt(a), solens::from_xt(b), 0.0f, c);
  return c.array()(0, 0) == 30.0f && c.array()(1, 1) == 30.0f;
}
