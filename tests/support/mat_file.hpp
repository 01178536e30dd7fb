#pragma once

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <hdf5.h>

#include <solens/core/host_tensor.hpp>
#include <solens/image/image.hpp>

#include "support/test.hpp"

namespace solens::test {

/// Writes files as MATLAB 7.3 does: HDF5 behind a block of 512 bytes, values compressed and
/// referred to.
class mat_file {
 public:
  explicit mat_file(const std::filesystem::path& path) {
    const hid_t create = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(create, 512);
    file_ = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, create, H5P_DEFAULT);
    REQUIRE(file_ >= 0);
    H5Pclose(create);
    group("/value");
    group("/#refs#");
  }
  ~mat_file() { H5Fclose(file_); }
  mat_file(const mat_file&) = delete;
  mat_file& operator=(const mat_file&) = delete;

  hobj_ref_t group(const std::string& path) {
    H5Gclose(H5Gcreate2(file_, path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    return reference_to(path);
  }

  /// A value that something refers to.
  template <class T>
  hobj_ref_t value(const std::vector<hsize_t>& extents, const std::vector<T>& numbers, hid_t type) {
    const std::string path = "/#refs#/" + std::to_string(n_values_++);
    write(path, extents, numbers.data(), type, true);
    return reference_to(path);
  }
  hobj_ref_t bytes(const std::vector<hsize_t>& extents, const std::vector<std::uint8_t>& numbers) {
    return value(extents, numbers, H5T_STD_U8LE);
  }

  /// A column of references.
  hobj_ref_t references(const std::vector<hobj_ref_t>& to) {
    return value({to.size(), 1}, to, H5T_STD_REF_OBJ);
  }
  void references(const std::string& path, const std::vector<hobj_ref_t>& to) {
    write(path, {to.size(), 1}, to.data(), H5T_STD_REF_OBJ, false);
  }

  void write(const std::string& path, const std::vector<hsize_t>& extents, const void* numbers,
             hid_t type, bool compressed) {
    const hid_t space = H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr);
    const hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    if (compressed && H5Sget_simple_extent_npoints(space) > 0) {
      H5Pset_chunk(how, static_cast<int>(extents.size()), extents.data());
      H5Pset_deflate(how, 3);
    }
    const hid_t data = H5Dcreate2(file_, path.c_str(), type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    REQUIRE(data >= 0);
    REQUIRE(H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) >= 0);
    H5Dclose(data);
    H5Pclose(how);
    H5Sclose(space);
  }

 private:
  hobj_ref_t reference_to(const std::string& path) const {
    hobj_ref_t reference = 0;
    REQUIRE(H5Rcreate(&reference, file_, path.c_str(), H5R_OBJECT, -1) >= 0);
    return reference;
  }

  hid_t file_ = -1;
  int n_values_ = 0;
};

/// An image and where the object in it is, [height, width], 1 or 0.
struct marked_image {
  rgb_image image;
  host_tensor<std::uint8_t> mask;
};

/// An image in MATLAB's order of axes.
inline hobj_ref_t write_image(mat_file& file, const rgb_image& image) {
  std::vector<std::uint8_t> numbers;
  for (index_t c = 0; c < 3; ++c) {
    for (index_t x = 0; x < image.width(); ++x) {
      for (index_t y = 0; y < image.height(); ++y) numbers.push_back(image.view()(y, x, c));
    }
  }
  return file.bytes({3, static_cast<hsize_t>(image.width()), static_cast<hsize_t>(image.height())},
                    numbers);
}

/// A list of masks, of which the second counts for nothing.
inline hobj_ref_t write_mask(mat_file& file, const host_tensor<std::uint8_t>& mask) {
  std::vector<std::uint8_t> numbers;
  for (index_t x = 0; x < mask.extent(1); ++x) {
    for (index_t y = 0; y < mask.extent(0); ++y) numbers.push_back(mask(y, x));
  }
  const hobj_ref_t one = file.bytes(
      {static_cast<hsize_t>(mask.extent(1)), static_cast<hsize_t>(mask.extent(0))}, numbers);
  return file.references({one, file.bytes({1, 1}, {7})});
}

/// A file of ImageNet-Segmentation's layout.
inline void write_segmentation(const std::filesystem::path& path,
                               const std::vector<marked_image>& all) {
  {
    mat_file file(path);
    std::vector<hobj_ref_t> images, masks;
    for (const marked_image& one : all) {
      images.push_back(write_image(file, one.image));
      masks.push_back(write_mask(file, one.mask));
    }
    file.references("/value/img", images);
    file.references("/value/gt", masks);
  }
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary) << "MATLAB 7.3 MAT-file";
}

}  // namespace solens::test
