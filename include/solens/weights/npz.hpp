#pragma once

#include <cstddef>  // std::byte, std::size_t
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>  // std::move
#include <vector>

#include <solens/core/atomic_file.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/core/mapped_file.hpp>
#include <solens/weights/npy_header.hpp>
#include <solens/weights/stored_numbers.hpp>
#include <solens/weights/weight_source.hpp>
#include <solens/weights/zip.hpp>

namespace solens {

/// Arrays under names in numpy's .npz format: a zip archive of .npy files, stored or deflated,
/// without zip64's larger sizes. A `weight_source`.
class npz_file {
 public:
  /// @throws io_error, format_error, not_supported, naming the file and the array
  explicit npz_file(const std::filesystem::path& path) : path_(path.string()), file_(path) {
    for (detail::zip_entry& entry : detail::read_zip_directory(file_.bytes(), path_)) {
      const std::string_view ending = ".npy";
      if (!std::string_view(entry.name).ends_with(ending)) {
        throw format_error("read npz", "arrays (.npy)", "'" + entry.name + "'", path_);
      }
      entry.name.resize(entry.name.size() - ending.size());
      // A version 1 header ends within this; numpy writes longer ones for records alone.
      constexpr std::size_t longest_header = 10 + 0xffff;
      const auto start = detail::unzip(file_.bytes(), entry, longest_header, place(entry.name));
      const npy_header header = read_npy_header(start, place(entry.name));
      if (entry.size - header.data_begin != header.data_size) {
        throw format_error("read npz", std::to_string(header.data_size) + " bytes of numbers",
                           std::to_string(entry.size - header.data_begin), place(entry.name));
      }
      if (!index_.emplace(entry.name, tensors_.size()).second) {
        throw format_error("read npz", "every array once", "two", place(entry.name));
      }
      tensors_.push_back({entry.name, header.type, header.extents});
      headers_.push_back(header);
      entries_.push_back(std::move(entry));
    }
  }

  const std::string& name() const { return path_; }
  const std::vector<tensor_info>& tensors() const { return tensors_; }  ///< in the archive's order

  /// Fills `out`, converting to its number type. Unpacks the whole array in memory first.
  /// @throws argument_error (no such array), shape_error, format_error (also for a wrong checksum)
  template <class T>
  void read(std::string_view array, host_view<T> out) const {
    const std::size_t i = index_of(array);
    if (!(out.extents() == tensors_[i].extents)) {
      throw shape_error("read", to_string(out.extents()), to_string(tensors_[i].extents),
                        place(array));
    }
    const auto bytes = detail::unzip(file_.bytes(), entries_[i], entries_[i].size, place(array));
    detail::load_numbers(headers_[i].type, bytes.data() + headers_[i].data_begin,
                         detail::in_order_of_bytes(headers_[i], out), place(array));
  }

  /// A copy. A scalar has one element under the extents [1], since tensors of rank 0 are empty.
  template <class T>
  host_tensor<T> tensor(std::string_view array) const {
    const shape& extents = tensors_[index_of(array)].extents;
    host_tensor<T> result(extents.rank() == 0 ? shape{1} : extents);
    read(array, host_view<T>(result.data(), extents));
    return result;
  }

 private:
  std::size_t index_of(std::string_view array) const {
    const auto found = index_.find(array);
    if (found == index_.end()) {
      throw argument_error("read", "an array of the file", "'" + std::string(array) + "'", path_);
    }
    return found->second;
  }
  std::string place(std::string_view array) const { return path_ + ": " + std::string(array); }

  std::string path_;
  mapped_file file_;
  std::vector<tensor_info> tensors_;
  std::vector<npy_header> headers_;
  std::vector<detail::zip_entry> entries_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

static_assert(weight_source<npz_file>);

/// Writes an .npz file array by array; nothing appears under its name before `commit`.
class npz_writer {
 public:
  /// @param compress  deflate the arrays, as numpy.savez_compressed does
  /// @throws io_error naming the file
  explicit npz_writer(const std::filesystem::path& path, bool compress = false)
      : file_(path), zip_(file_), compress_(compress) {}

  /// @throws argument_error for a name that is there already, not_supported for 4 GB or more
  template <class T>
  void write(const std::string& name, host_view<T> values) {
    using number = std::remove_const_t<T>;
    std::string bytes = write_npy_header(dtype_of<number>(), values.extents());
    put<number>(values, bytes);
    zip_.add(name + ".npy", bytes, compress_);
  }

  void commit() {
    zip_.finish();
    file_.commit();
  }

 private:
  template <class T>
  void put(host_view<const T> values, std::string& to) const {
    detail::store_numbers(dtype_of<T>(), values, file_.path().string(),
                          [&](std::span<const std::byte> bytes) {
                            to.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                          });
  }

  atomic_file file_;
  detail::zip_writer zip_;
  bool compress_;
};

}  // namespace solens
