// A view of a container that is gone by the next line.
#include <solens/backend/xtensor_view.hpp>

void f() {
#if defined(SOLENS_MUST_FAIL)
  auto v = solens::from_xt(xt::xarray<float>::from_shape({2, 3}));
#else
  auto x = xt::xarray<float>::from_shape({2, 3});
  auto v = solens::from_xt(x);
#endif
  v(1, 2) = 0;
}
