#pragma once

#include <algorithm>  // std::sort
#include <cstddef>    // std::byte, std::size_t
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>  // std::pair, std::move
#include <vector>

#include <nlohmann/json.hpp>

#include <solens/core/host_tensor.hpp>
#include <solens/core/json.hpp>
#include <solens/core/mapped_file.hpp>
#include <solens/weights/stored_numbers.hpp>
#include <solens/weights/weight_source.hpp>

namespace solens {

namespace detail {

inline constexpr std::pair<std::string_view, dtype> safetensors_types[] = {
    {"BOOL", dtype::boolean}, {"U8", dtype::u8},   {"I8", dtype::i8},   {"I16", dtype::i16},
    {"I32", dtype::i32},      {"I64", dtype::i64}, {"F16", dtype::f16}, {"BF16", dtype::bf16},
    {"F32", dtype::f32},      {"F64", dtype::f64},
};

}  // namespace detail

/// A safetensors file, memory-mapped and checked from end to end when it is opened: the data are
/// exactly the tensors that the header lists, without overlap, gap or rest. A `weight_source`.
///
/// Layout: header length (8 bytes, little-endian), JSON header, data.
/// Source: https://huggingface.co/docs/safetensors
class safetensors_file {
 public:
  static constexpr std::uint64_t max_header = 100'000'000;  ///< the format's own limit

  /// @throws io_error, format_error, not_supported (a number type), naming file and tensor
  explicit safetensors_file(const std::filesystem::path& path) : path_(path.string()), file_(path) {
    const auto bytes = file_.bytes();
    if (bytes.size() < 8) fail("8 bytes of header length", std::to_string(bytes.size()) + " bytes");
    std::uint64_t length = 0;
    for (std::size_t i = 8; i-- > 0;) length = length << 8 | std::to_integer<unsigned>(bytes[i]);
    if (length > max_header) {
      fail("a header of at most " + std::to_string(max_header) + " bytes", std::to_string(length));
    }
    if (length > bytes.size() - 8) {
      fail("a header of " + std::to_string(length) + " bytes",
           std::to_string(bytes.size() - 8) + " bytes of file after its length");
    }
    const auto header = bytes.subspan(8, static_cast<std::size_t>(length));
    data_ = bytes.subspan(8 + header.size());
    // The format wants the brace first, with no space before it.
    if (header.empty() || header[0] != std::byte{'{'})
      fail("a header that begins with '{'", "none");
    read_header(detail::parse_json_object(
        {reinterpret_cast<const char*>(header.data()), header.size()}, operation, path_));
    check_places();
  }

  const std::string& name() const { return path_; }
  const std::vector<tensor_info>& tensors() const { return tensors_; }  ///< by name
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  bool contains(std::string_view tensor) const { return index_.find(tensor) != index_.end(); }

  /// @throws argument_error naming file and tensor when there is none
  const tensor_info& info(std::string_view tensor) const { return tensors_[index_of(tensor)]; }

  /// Fills `out`, converting to its number type; the pages read leave memory again.
  /// @throws argument_error (no such tensor), shape_error, format_error (fractions as integers)
  template <class T>
  void read(std::string_view tensor, host_view<T> out) const {
    const std::size_t i = index_of(tensor);
    if (!(out.extents() == tensors_[i].extents)) {
      throw shape_error("read", to_string(out.extents()), to_string(tensors_[i].extents),
                        place(tensor));
    }
    detail::load_mapped_numbers(file_, tensors_[i].type, bytes_of(i), out, place(tensor));
  }

  /// A copy. A scalar has one element under the extents [1], since tensors of rank 0 are empty.
  template <class T>
  host_tensor<T> tensor(std::string_view name) const {
    const shape& extents = info(name).extents;
    host_tensor<T> result(extents.rank() == 0 ? shape{1} : extents);
    read(name, host_view<T>(result.data(), extents));
    return result;
  }

  /// The tensor as it lies in the file; valid as long as this object.
  /// @throws format_error when it is of another type or not aligned (then `read` it)
  template <class T>
  host_view<const T> view(std::string_view tensor) const {
    const std::size_t i = index_of(tensor);
    return detail::view_numbers<T>(tensors_[i].type, bytes_of(i), tensors_[i].extents,
                                   place(tensor));
  }

 private:
  static constexpr const char* operation = "read safetensors";

  struct extent_of_bytes {
    std::uint64_t begin, end;
  };

  void read_header(const nlohmann::json& header) {
    for (const auto& [tensor, entry] : header.items()) {  // sorted by key
      if (tensor == "__metadata__") {
        read_metadata(entry);
        continue;
      }
      if (!entry.is_object()) fail("an object", entry.type_name(), tensor);
      for (const auto& [key, unused] : entry.items()) {
        if (key != "dtype" && key != "shape" && key != "data_offsets") {
          fail("dtype, shape and data_offsets", "'" + key + "'", tensor);
        }
      }
      tensor_info info{tensor, type_of(tensor, entry), shape{}};
      const auto extents = numbers(tensor, entry, "shape");
      if (extents.size() > shape::max_rank)
        fail("at most 6 axes", std::to_string(extents.size()), tensor);
      std::vector<index_t> values;
      for (const std::uint64_t extent : extents) {
        if (extent > std::uint64_t{1} << 62)
          fail("extents that memory can hold", entry["shape"].dump(), tensor);
        values.push_back(static_cast<index_t>(extent));
      }
      info.extents = shape(values);
      const auto size = detail::byte_size(info.type, values);
      if (!size) fail("a size that memory can hold", to_string(info.extents), tensor);
      const auto offsets = numbers(tensor, entry, "data_offsets");
      if (offsets.size() != 2) fail("two data_offsets", std::to_string(offsets.size()), tensor);
      if (offsets[0] > offsets[1] || offsets[1] > data_.size()) {
        fail("data_offsets within " + std::to_string(data_.size()) + " bytes of data",
             entry["data_offsets"].dump(), tensor);
      }
      if (offsets[1] - offsets[0] != *size) {
        fail(std::to_string(*size) + " bytes for " + std::string(to_string(info.type)) + " " +
                 to_string(info.extents),
             std::to_string(offsets[1] - offsets[0]) + " bytes", tensor);
      }
      index_.emplace(tensor, tensors_.size());
      tensors_.push_back(std::move(info));
      places_.push_back({offsets[0], offsets[1]});
    }
  }

  void read_metadata(const nlohmann::json& entry) {
    if (!entry.is_object()) fail("an object", entry.type_name(), "__metadata__");
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) fail("text for '" + key + "'", value.type_name(), "__metadata__");
      metadata_[key] = value.get<std::string>();
    }
  }

  dtype type_of(const std::string& tensor, const nlohmann::json& entry) const {
    const auto found = entry.find("dtype");
    if (found == entry.end() || !found->is_string()) fail("a dtype", "none", tensor);
    for (const auto& [text, type] : detail::safetensors_types) {
      if (*found == text) return type;
    }
    throw not_supported(operation, "dtype BOOL, U8, I8, I16, I32, I64, F16, BF16, F32 or F64",
                        found->get<std::string>(), place(tensor));
  }

  std::vector<std::uint64_t> numbers(const std::string& tensor, const nlohmann::json& entry,
                                     const char* key) const {
    const auto found = entry.find(key);
    if (found == entry.end() || !found->is_array()) {
      fail("a list '" + std::string(key) + "'", "none", tensor);
    }
    std::vector<std::uint64_t> result;
    for (const auto& value : *found) {
      if (!value.is_number_unsigned())
        fail("counts in '" + std::string(key) + "'", value.dump(), tensor);
      result.push_back(value.get<std::uint64_t>());
    }
    return result;
  }

  void check_places() const {
    std::vector<std::size_t> order(places_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(places_[a].begin, places_[a].end) <
             std::pair(places_[b].begin, places_[b].end);
    });
    std::uint64_t end = 0;
    for (const std::size_t i : order) {
      if (places_[i].begin != end) {
        fail("data that begin at " + std::to_string(end),
             std::string(places_[i].begin < end ? "an overlap" : "a gap") + ": they begin at " +
                 std::to_string(places_[i].begin),
             tensors_[i].name);
      }
      end = places_[i].end;
    }
    if (end != data_.size()) {
      fail("the file to end with its last tensor",
           std::to_string(data_.size() - end) + " more bytes");
    }
  }

  std::size_t index_of(std::string_view tensor) const {
    const auto found = index_.find(tensor);
    if (found == index_.end()) {
      throw argument_error("read", "a tensor of the file", "'" + std::string(tensor) + "'", path_);
    }
    return found->second;
  }

  std::span<const std::byte> bytes_of(std::size_t i) const {
    return data_.subspan(static_cast<std::size_t>(places_[i].begin),
                         static_cast<std::size_t>(places_[i].end - places_[i].begin));
  }

  std::string place(std::string_view tensor) const { return path_ + ": " + std::string(tensor); }

  [[noreturn]] void fail(const std::string& expected, const std::string& got,
                         std::string_view tensor = {}) const {
    throw format_error(operation, expected, got, tensor.empty() ? path_ : place(tensor));
  }

  std::string path_;
  mapped_file file_;
  std::span<const std::byte> data_;
  std::map<std::string, std::string> metadata_;
  std::vector<tensor_info> tensors_;
  std::vector<extent_of_bytes> places_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

static_assert(weight_source<safetensors_file>);

}  // namespace solens
