#pragma once

#include <algorithm>  // std::sort
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>  // std::move
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include <solens/core/atomic_file.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/stored_numbers.hpp>
#include <solens/weights/weight_source.hpp>

namespace solens {

/// Writes a safetensors file piece by piece, in any order, so that no output need fit in memory.
///
/// Names, types and extents are declared first. The file depends on what is declared and written
/// alone, not on the order of either: tensors lie by falling width of their numbers, which aligns
/// them all, then by name. Nothing appears under the file's name before `commit`.
///
///     safetensors_writer out("effects.safetensors", {{"phi", dtype::f32, {n_images, 512}}});
///     out.write_rows("phi", first_image, batch.view());
///     out.commit();
class safetensors_writer {
 public:
  /// @throws io_error naming the file; argument_error for a name that is there twice or reserved,
  ///         or extents that no memory can hold
  safetensors_writer(const std::filesystem::path& path, std::vector<tensor_info> tensors,
                     const std::map<std::string, std::string>& metadata = {})
      : file_(path) {
    std::sort(tensors.begin(), tensors.end(), [](const tensor_info& a, const tensor_info& b) {
      const std::size_t x = size_of(a.type), y = size_of(b.type);
      return x != y ? x > y : a.name < b.name;
    });
    auto header = nlohmann::json::object();
    if (!metadata.empty()) header["__metadata__"] = metadata;
    std::uint64_t end = 0;
    for (tensor_info& info : tensors) {
      const auto size =
          detail::byte_size(info.type, std::span(info.extents.begin(), info.extents.end()));
      if (!size)
        throw argument_error("write", "extents that memory can hold", to_string(info.extents),
                             place(info.name));
      if (info.name == "__metadata__" || header.contains(info.name)) {
        throw argument_error("write", "a name that is free", "'" + info.name + "'",
                             place(info.name));
      }
      header[info.name] = {{"dtype", type_name(info.type)},
                           {"shape", std::span(info.extents.begin(), info.extents.end())},
                           {"data_offsets", {end, end + *size}}};
      const index_t rows = info.extents.rank() == 0 ? 1 : info.extents[0];
      const std::string name = info.name;
      entries_.emplace(name, entry{std::move(info), end, {}});
      if (*size > 0) entries_.at(name).written.resize(static_cast<std::size_t>(rows));
      end += *size;
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data begin aligned
    for (std::uint64_t length = text.size(), i = 0; i < 8; ++i, length >>= 8) {
      file_.write(std::string(1, static_cast<char>(length & 0xff)));
    }
    file_.write(text);
  }

  /// A whole tensor, of any strides; floating-point numbers are rounded to the declared type.
  /// @throws argument_error for a name or type that was not declared, shape_error, io_error
  template <class T>
  void write(std::string_view name, host_view<T> values) {
    entry& to = declared(name);
    same_extents(to.info.extents, values.extents(), name);
    put<std::remove_const_t<T>>(to, 0, values);
    to.written.assign(to.written.size(), true);
  }

  /// Rows [first, first + n) of a tensor of one axis or more: `rows` is [n, ...].
  template <class T>
  void write_rows(std::string_view name, index_t first, host_view<T> rows) {
    entry& to = declared(name);
    shape expected = to.info.extents;
    if (expected.rank() == 0)
      throw shape_error("write", "a tensor with rows", "a scalar", place(name));
    const index_t n = expected[0];
    expected[0] = rows.rank() == 0 ? 0 : rows.extent(0);
    same_extents(expected, rows.extents(), name);
    if (first < 0 || first > n || expected[0] > n - first) {
      throw shape_error(
          "write", "rows within " + std::to_string(n),
          "rows " + std::to_string(first) + " to " + std::to_string(first + expected[0]),
          place(name));
    }
    if (rows.empty()) return;
    put<std::remove_const_t<T>>(
        to,
        static_cast<std::uint64_t>(first) * static_cast<std::uint64_t>(rows[0].extents().size()),
        rows);
    const auto begin = to.written.begin() + first;
    std::fill(begin, begin + expected[0], true);
  }

  /// @throws argument_error when something declared was not written; io_error
  void commit() {
    for (const auto& [name, to] : entries_) {
      const auto hole = std::find(to.written.begin(), to.written.end(), false);
      if (hole == to.written.end()) continue;
      throw argument_error("write", "every declared row to be written",
                           "no row " + std::to_string(hole - to.written.begin()), place(name));
    }
    file_.commit();
  }

 private:
  struct entry {
    tensor_info info;
    std::uint64_t begin;
    std::vector<bool> written;  ///< by row; empty for a tensor without elements
  };

  static std::string_view type_name(dtype type) {
    for (const auto& [text, known] : detail::safetensors_types) {
      if (known == type) return text;
    }
    throw not_supported("write", "a type of safetensors", to_string(type));
  }

  entry& declared(std::string_view name) {
    const auto found = entries_.find(name);
    if (found == entries_.end()) {
      throw argument_error("write", "a declared tensor", "'" + std::string(name) + "'",
                           file_.path().string());
    }
    return found->second;
  }

  void same_extents(const shape& expected, const shape& got, std::string_view name) const {
    if (!(expected == got)) {
      throw shape_error("write", to_string(expected), to_string(got), place(name));
    }
  }

  template <class T>
  void put(const entry& to, std::uint64_t element, host_view<const T> values) {
    std::uint64_t at = file_.size() + to.begin + element * size_of(to.info.type);
    detail::store_numbers(to.info.type, values, place(to.info.name),
                          [&](std::span<const std::byte> bytes) {
                            file_.write_at(at, bytes);
                            at += bytes.size();
                          });
  }

  std::string place(std::string_view name) const {
    return file_.path().string() + ": " + std::string(name);
  }

  atomic_file file_;
  std::map<std::string, entry, std::less<>> entries_;
};

/// A tensor to be written, under its name.
struct named_tensor {
  std::string name;
  std::variant<host_view<const float>, host_view<const double>, host_view<const index_t>> values;
};

/// Writes a whole safetensors file at once: float32, float64 and int64 as they come.
/// @throws io_error, argument_error (names that are not free)
inline void write_safetensors(const std::filesystem::path& path,
                              const std::vector<named_tensor>& tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  std::vector<tensor_info> infos;
  for (const named_tensor& t : tensors) {
    std::visit(
        [&]<class T>(const host_view<const T>& values) {
          infos.push_back({t.name, dtype_of<T>(), values.extents()});
        },
        t.values);
  }
  safetensors_writer out(path, std::move(infos), metadata);
  for (const named_tensor& t : tensors) {
    std::visit([&](const auto& values) { out.write(t.name, values); }, t.values);
  }
  out.commit();
}

}  // namespace solens
