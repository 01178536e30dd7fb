#pragma once

#include <cstddef>  // std::byte
#include <filesystem>
#include <span>
#include <string>
#include <type_traits>

#include <solens/core/atomic_file.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/core/mapped_file.hpp>
#include <solens/weights/npy_header.hpp>
#include <solens/weights/stored_numbers.hpp>

namespace solens {

/// One array in numpy's .npy format, memory-mapped; versions 1 to 3, C and Fortran order.
class npy_file {
 public:
  /// @throws io_error, format_error (also when the file was cut or has more than its array),
  ///         not_supported (a number type), naming the file
  explicit npy_file(const std::filesystem::path& path)
      : path_(path.string()), file_(path), header_(read_npy_header(file_.bytes(), path_)) {
    const std::size_t rest = file_.size() - header_.data_begin;
    if (rest != header_.data_size) {
      throw format_error("read npy",
                         std::to_string(header_.data_size) + " bytes for " +
                             std::string(to_string(header_.type)) + " " + to_string(extents()),
                         std::to_string(rest) + " bytes", path_);
    }
  }

  const std::string& name() const { return path_; }
  dtype type() const { return header_.type; }
  const shape& extents() const { return header_.extents; }

  /// Fills `out`, converting to its number type; the pages read leave memory again.
  /// @throws shape_error, format_error (fractions as integers), naming the file
  template <class T>
  void read(host_view<T> out) const {
    read_rows(0, out, extents());
  }

  /// Rows [first, first + n) into `out` [n, ...]: large arrays piece by piece.
  /// @throws shape_error, also for rows that are not there
  template <class T>
  void read_rows(index_t first, host_view<T> out) const {
    shape expected = extents();
    const index_t n = out.rank() == 0 ? 0 : out.extent(0);
    if (expected.rank() == 0 || first < 0 || first > expected[0] || n > expected[0] - first) {
      throw shape_error("read", "rows within " + to_string(expected),
                        "rows " + std::to_string(first) + " to " + std::to_string(first + n),
                        path_);
    }
    expected[0] = n;
    read_rows(first, out, expected);
  }

  /// A copy. A scalar has one element under the extents [1], since tensors of rank 0 are empty.
  template <class T>
  host_tensor<T> tensor() const {
    host_tensor<T> result(extents().rank() == 0 ? shape{1} : extents());
    read(host_view<T>(result.data(), extents()));
    return result;
  }

  /// The array as it lies in the file, whatever its order; valid as long as this object.
  /// @throws format_error when it is of another type or not aligned (then `read` it)
  template <class T>
  host_view<const T> view() const {
    // Reversing the axes is its own inverse: first to the order of the bytes, then back.
    const host_view<const T> shaped(nullptr, extents());
    const shape stored = detail::in_order_of_bytes(header_, shaped).extents();
    return detail::in_order_of_bytes(header_,
                                     detail::view_numbers<T>(type(), data(), stored, path_));
  }

 private:
  std::span<const std::byte> data() const { return file_.bytes().subspan(header_.data_begin); }

  template <class T>
  void read_rows(index_t first, host_view<T> out, const shape& expected) const {
    if (!(out.extents() == expected)) {
      throw shape_error("read", to_string(out.extents()), to_string(expected), path_);
    }
    if (header_.fortran_order && !(expected == extents())) {
      throw not_supported("read", "rows of an array in C order", "Fortran order", path_);
    }
    const std::size_t row = expected.rank() == 0 || extents()[0] == 0
                                ? 0
                                : header_.data_size / static_cast<std::size_t>(extents()[0]);
    const std::size_t size =
        expected.rank() == 0 ? header_.data_size : row * static_cast<std::size_t>(expected[0]);
    detail::load_mapped_numbers(file_, type(),
                                data().subspan(row * static_cast<std::size_t>(first), size),
                                detail::in_order_of_bytes(header_, out), path_);
  }

  std::string path_;
  mapped_file file_;
  npy_header header_;
};

/// Writes a .npy file row by row; how many rows there are need not be known before the end.
///
/// Nothing appears under the file's name before `commit`.
class npy_writer {
 public:
  /// @param row  extents of one row: of the array without its first axis
  /// @throws io_error naming the file, not_supported for a type that .npy has not
  npy_writer(const std::filesystem::path& path, dtype type, const shape& row)
      : file_(path), type_(type), row_(row) {
    file_.write(write_npy_header(type, extents()));
  }

  /// @param rows  [n, row...], of any strides; fractions are rounded to the file's type
  /// @throws shape_error, argument_error (numbers of another kind), io_error when the disk is full
  template <class T>
  void append(host_view<T> rows) {
    shape expected{rows.rank() == 0 ? 0 : rows.extent(0)};
    for (const index_t extent : row_) expected.push_back(extent);
    if (!(rows.extents() == expected)) {
      throw shape_error("write", to_string(expected), to_string(rows.extents()),
                        file_.path().string());
    }
    put<std::remove_const_t<T>>(rows);
    n_rows_ += expected[0];
  }

  void commit() {
    const std::string header = write_npy_header(type_, extents());
    file_.write_at(0, std::as_bytes(std::span(header)));
    file_.commit();
  }

 private:
  shape extents() const {
    shape result{n_rows_};
    for (const index_t extent : row_) result.push_back(extent);
    return result;
  }

  template <class T>
  void put(host_view<const T> values) {
    detail::store_numbers(type_, values, file_.path().string(),
                          [&](std::span<const std::byte> bytes) { file_.write(bytes); });
  }

  atomic_file file_;
  dtype type_;
  shape row_;
  index_t n_rows_ = 0;
};

/// Writes a whole array of one axis or more.
/// @throws io_error naming the file
template <class T>
void write_npy(const std::filesystem::path& path, host_view<T> values) {
  if (values.rank() == 0) throw shape_error("write npy", "one axis or more", "none", path.string());
  npy_writer out(path, dtype_of<std::remove_const_t<T>>(), values.extents().without(0));
  out.append(values);
  out.commit();
}

}  // namespace solens
