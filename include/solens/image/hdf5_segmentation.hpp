#pragma once

#include <algorithm>  // std::swap
#include <array>
#include <cstddef>  // std::size_t
#include <cstdint>  // std::uint8_t
#include <filesystem>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>  // std::exchange, std::move
#include <vector>

#include <hdf5.h>

#include <solens/core/error.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/core/shape.hpp>
#include <solens/image/image.hpp>
#include <solens/image/limits.hpp>

namespace solens {

/// A stay in the HDF5 library, which most builds of it allow one thread at a time. Meanwhile it
/// does not print its errors; `problem` says what the last one was.
class hdf5_session {
 public:
  hdf5_session() : alone_(the_mutex()) {
    H5Eget_auto2(H5E_DEFAULT, &print_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~hdf5_session() { H5Eset_auto2(H5E_DEFAULT, print_, data_); }
  hdf5_session(const hdf5_session&) = delete;
  hdf5_session& operator=(const hdf5_session&) = delete;

  /// What the call that just failed stumbled on.
  static std::string problem() {
    std::string text = "an error of the HDF5 library";
    const auto take_innermost = [](unsigned depth, const H5E_error2_t* e, void* to) -> herr_t {
      if (depth == 0 && e->desc != nullptr) *static_cast<std::string*>(to) = e->desc;
      return 0;
    };
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_innermost, &text);
    return text;
  }

 private:
  static std::recursive_mutex& the_mutex() {
    static std::recursive_mutex one;
    return one;
  }

  std::lock_guard<std::recursive_mutex> alone_;
  H5E_auto2_t print_ = nullptr;
  void* data_ = nullptr;
};

/// A file, dataset, type or space of HDF5, let go at the end.
class hdf5_object {
 public:
  hdf5_object() = default;
  explicit hdf5_object(hid_t id) : id_(id) {}
  hdf5_object(hdf5_object&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  hdf5_object& operator=(hdf5_object&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~hdf5_object() {
    if (id_ < 0) return;
    const hdf5_session session;
    H5Idec_ref(id_);
  }

  explicit operator bool() const { return id_ >= 0; }
  hid_t id() const { return id_; }

 private:
  hid_t id_ = H5I_INVALID_HID;
};

/// ImageNet-Segmentation as it is published, `gtsegs_ijcv.mat`: images, each with the object in it
/// marked. All stay in the file; each is read when it is asked for, by one thread at a time.
///
/// The file is MATLAB 7.3's, which is HDF5, in MATLAB's order of axes. `/value/img` [n, 1] refers
/// to the images, uint8 [3, width, height]. `/value/gt` [n, 1] refers to lists of references, of
/// which the first is to the mask, uint8 [width, height], 1 for the object and 0 for the rest. What
/// else the file holds is passed over.
///
/// Source: Guillaumin, Kuettel, Ferrari, "ImageNet Auto-Annotation with Segmentation Propagation",
/// IJCV 2014; the layout as the evaluation of arXiv 2012.09838 reads it.
class imagenet_segmentation {
 public:
  /// Checks all but the pixels, of all images.
  /// @throws io_error, format_error, shape_error naming the file and the place in it
  explicit imagenet_segmentation(const std::filesystem::path& file, const image_limits& limits = {})
      : name_(file.string()) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(file, ignored)) {
      throw io_error(task, "a file", "none", name_);
    }
    const hdf5_session session;
    file_ = hdf5_object(H5Fopen(name_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
    if (!file_) throw format_error(task, "a file of MATLAB 7.3 (HDF5)", session.problem(), name_);
    images_ = references_in(dataset("/value/img"));
    masks_ = references_in(dataset("/value/gt"));
    if (masks_.extents[0] != size()) {
      throw shape_error(task, std::to_string(size()) + " masks, one an image",
                        std::to_string(masks_.extents[0]), masks_.place);
    }
    for (index_t i = 0; i < size(); ++i) {
      const array image = image_at(i), mask = mask_at(i);
      check_extents(task, image.extents[2], image.extents[1], limits, image.place);
      if (mask.extents == image.extents.without(0)) continue;
      throw shape_error(task, to_string(image.extents.without(0)) + ", as the image is",
                        to_string(mask.extents), mask.place);
    }
  }

  index_t size() const { return images_.extents[0]; }

  /// @param i  0 to size() - 1
  /// @throws format_error naming the file and the place in it
  rgb_image image(index_t i) const {
    const hdf5_session session;
    const array stored = image_at(i);
    const std::vector<std::uint8_t> pixels = bytes_of(stored);
    rgb_image result(stored.extents[2], stored.extents[1]);
    auto from = pixels.begin();
    for (index_t c = 0; c < 3; ++c) {
      for (index_t x = 0; x < result.width(); ++x) {
        for (index_t y = 0; y < result.height(); ++y) result.row(y)[3 * x + c] = *from++;
      }
    }
    return result;
  }

  /// [height, width], 1 where the object is, else 0.
  /// @param i  0 to size() - 1
  /// @throws format_error naming the file and the place in it
  host_tensor<std::uint8_t> mask(index_t i) const {
    const hdf5_session session;
    const array stored = mask_at(i);
    const std::vector<std::uint8_t> pixels = bytes_of(stored);
    host_tensor<std::uint8_t> result({stored.extents[1], stored.extents[0]});
    auto from = pixels.begin();
    for (index_t x = 0; x < stored.extents[0]; ++x) {
      for (index_t y = 0; y < stored.extents[1]; ++y) {
        if (*from > 1) throw format_error(task, "0 or 1", std::to_string(*from), stored.place);
        result(y, x) = *from++;
      }
    }
    return result;
  }

 private:
  static constexpr const char* task = "ImageNet-Segmentation";

  /// A dataset with its extents, and what errors call it.
  struct array {
    hdf5_object data;
    shape extents;
    std::string place;
  };

  array image_at(index_t i) const {
    array found = bytes_in(follow(images_, i), 3);
    if (found.extents[0] == 3) return found;
    throw format_error(task, "3 colours", to_string(found.extents), found.place);
  }
  array mask_at(index_t i) const {
    return bytes_in(follow(references_in(follow(masks_, i)), 0), 2);
  }

  array dataset(const std::string& path) const {
    hdf5_object data(H5Dopen2(file_.id(), path.c_str(), H5P_DEFAULT));
    if (!data) throw format_error(task, "a dataset " + path, hdf5_session::problem(), name_);
    return {std::move(data), {}, name_ + ": " + path};
  }

  /// What the reference in row `i` of the first column leads to.
  array follow(const array& references, index_t i) const {
    const std::string place = references.place + "[" + std::to_string(i) + "]";
    const hsize_t at[] = {static_cast<hsize_t>(i), 0};
    const hdf5_object one(H5Screate(H5S_SCALAR)), all(H5Dget_space(references.data.id()));
    hobj_ref_t reference = 0;
    if (H5Sselect_elements(all.id(), H5S_SELECT_SET, 1, at) < 0 ||
        H5Dread(references.data.id(), H5T_STD_REF_OBJ, one.id(), all.id(), H5P_DEFAULT,
                &reference) < 0) {
      throw format_error(task, "a reference that can be read", hdf5_session::problem(), place);
    }
    hdf5_object data(H5Rdereference2(file_.id(), H5P_DEFAULT, H5R_OBJECT, &reference));
    if (!data) throw format_error(task, "a reference", hdf5_session::problem(), place);
    if (H5Iget_type(data.id()) != H5I_DATASET) {
      throw format_error(task, "a reference to a dataset", "one to something else", place);
    }
    return {std::move(data), {}, place};
  }

  static array references_in(array a) {
    const hdf5_object type(H5Dget_type(a.data.id()));
    if (H5Tequal(type.id(), H5T_STD_REF_OBJ) <= 0) {
      throw format_error(task, "references to objects", "another type", a.place);
    }
    return with_extents(std::move(a), 2);
  }

  static array bytes_in(array a, std::size_t rank) {
    const hdf5_object type(H5Dget_type(a.data.id()));
    if (H5Tget_class(type.id()) != H5T_INTEGER || H5Tget_size(type.id()) != 1 ||
        H5Tget_sign(type.id()) != H5T_SGN_NONE) {
      throw format_error(task, "uint8", "another type", a.place);
    }
    return with_extents(std::move(a), rank);
  }

  static array with_extents(array a, std::size_t rank) {
    const hdf5_object space(H5Dget_space(a.data.id()));
    std::array<hsize_t, H5S_MAX_RANK> extents{};
    const int found = H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr);
    if (found != static_cast<int>(rank)) {
      throw format_error(task, std::to_string(rank) + " axes", std::to_string(found), a.place);
    }
    for (std::size_t i = 0; i < rank; ++i) a.extents.push_back(static_cast<index_t>(extents[i]));
    for (const index_t n : a.extents) {
      if (n > 0) continue;
      throw format_error(task, "one element or more", to_string(a.extents), a.place);
    }
    return a;
  }

  static std::vector<std::uint8_t> bytes_of(const array& a) {
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(a.extents.size()));
    if (H5Dread(a.data.id(), H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()) < 0) {
      throw format_error(task, "pixels that can be read", hdf5_session::problem(), a.place);
    }
    return bytes;
  }

  std::string name_;
  hdf5_object file_;
  array images_, masks_;
};

}  // namespace solens
