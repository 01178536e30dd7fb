#include <iostream>

#include <solens/solens.hpp>

#ifdef WITH_COMPONENTS
// The other sources: each does one thing with its component and says whether that went well.
bool eigen_works();
bool files_work();
bool images_work();
#endif
#ifdef WITH_xtensor
bool xtensor_works();
#endif
#ifdef WITH_hdf5
bool hdf5_works();
#endif

namespace {

bool core_works() {
  const solens::reference_backend<double> be;
  solens::host_tensor<double> a({2, 3}, 2.0), b({3, 2}, 5.0), c({2, 2});
  be.gemm(1.0, a, b, 0.0, c);
  return c(0, 0) == 30.0 && c(1, 1) == 30.0;
}

bool check(const char* what, bool works) {
  std::cout << what << (works ? ": works\n" : ": FAILS\n");
  return works;
}

}  // namespace

int main() {
  bool all = check("core", core_works());
#ifdef WITH_COMPONENTS
  all = check("eigen", eigen_works()) && all;
  all = check("files", files_work()) && all;
  all = check("images", images_work()) && all;
#endif
#ifdef WITH_xtensor
  all = check("xtensor", xtensor_works()) && all;
#endif
#ifdef WITH_hdf5
  all = check("hdf5", hdf5_works()) && all;
#endif
  return all ? 0 : 1;
}
