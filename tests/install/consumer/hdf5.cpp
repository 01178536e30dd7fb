#include <solens/image/hdf5_segmentation.hpp>

bool hdf5_works();

bool hdf5_works() {
  try {
    const solens::imagenet_segmentation none("none.mat");
    return false;
  } catch (const solens::io_error&) {
    return H5check_version(H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE) >= 0;
  }
}
