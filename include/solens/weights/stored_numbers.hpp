#pragma once

#include <algorithm>  // std::max, std::min
#include <concepts>
#include <cstddef>  // std::byte, std::size_t
#include <cstdint>  // std::uintptr_t
#include <cstring>  // std::memcpy
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <solens/core/dtype.hpp>
#include <solens/core/error.hpp>
#include <solens/core/mapped_file.hpp>
#include <solens/core/tensor_view.hpp>

/// What every format of tensors on disk shares: contiguous numbers in bytes, in and out.
namespace solens::detail {

template <class T>
constexpr bool is_floating =
    std::floating_point<T> || std::same_as<T, f16> || std::same_as<T, bf16>;

/// Whether numbers stored as `From` may be read as `To`: a fraction never becomes an integer, an
/// integer never a narrower one.
template <class From, class To>
constexpr bool readable_as = is_floating<To> || (!is_floating<From> && sizeof(From) <= sizeof(To));

/// The bytes of a tensor; nothing when the product is more than memory can address.
inline std::optional<std::size_t> byte_size(dtype type, std::span<const index_t> extents) {
  const auto each = static_cast<index_t>(size_of(type));
  const auto size = bounded_size(extents, std::numeric_limits<index_t>::max() / each);
  return size ? std::optional(static_cast<std::size_t>(*size * each)) : std::nullopt;
}

/// Row-major numbers of any alignment into a view of any strides.
/// @throws format_error when `type` holds fractions and `To` is an integer
template <class To>
void load_numbers(dtype type, const std::byte* from, host_view<To> out, std::string_view name) {
  with_stored_type(type, [&]<class From>(stored_type<From>) {
    if constexpr (!readable_as<From, To>) {
      throw format_error("read", "numbers that fit " + std::string(to_string(dtype_of<To>())),
                         to_string(type), name);
    } else {
      const index_t rows = out.empty() ? 0 : row_count(out);
      for (index_t r = 0; r < rows; ++r) {
        const auto row = row_of(out, r);
        if constexpr (std::same_as<From, To> && !std::same_as<From, bool>) {
          if (row.stride == 1) {
            std::memcpy(row.data, from, static_cast<std::size_t>(row.size) * sizeof(To));
            from += static_cast<std::size_t>(row.size) * sizeof(To);
            continue;
          }
        }
        for (index_t i = 0; i < row.size; ++i, from += sizeof(From)) {
          row[i] = load_number<From, To>(from);
        }
      }
    }
  });
}

/// The same from a mapped file, whose pages leave memory on the way.
template <class To>
void load_mapped_numbers(const mapped_file& file, dtype type, std::span<const std::byte> from,
                         host_view<To> out, std::string_view name) {
  constexpr std::size_t block_bytes = std::size_t{8} << 20;
  if (from.size() <= block_bytes || out.rank() == 0) {
    load_numbers(type, from.data(), out, name);
  } else {
    const index_t n = out.extent(0);
    const std::size_t slice_bytes = from.size() / static_cast<std::size_t>(n);
    const auto step = static_cast<index_t>(std::max(std::size_t{1}, block_bytes / slice_bytes));
    for (index_t i = 0; i < n; i += step) {
      const auto part = from.subspan(static_cast<std::size_t>(i) * slice_bytes);
      load_numbers(type, part.data(), out.slice(0, i, std::min(n, i + step)), name);
      file.drop(from.first(static_cast<std::size_t>(std::min(n, i + step)) * slice_bytes));
    }
  }
  file.drop(from);
}

/// A view of stored numbers as they are.
/// @throws format_error where type or alignment do not allow that
template <class T>
host_view<const T> view_numbers(dtype type, std::span<const std::byte> from, const shape& extents,
                                std::string_view name) {
  if (type != dtype_of<T>()) {
    throw format_error("view", to_string(dtype_of<T>()), to_string(type), name);
  }
  if (reinterpret_cast<std::uintptr_t>(from.data()) % alignof(T) != 0) {
    throw format_error("view", "numbers aligned to " + std::to_string(alignof(T)) + " bytes",
                       "others; read() copies them", name);
  }
  return {reinterpret_cast<const T*>(from.data()), extents};
}

/// Hands the elements of a view, row-major and as `type`, to `sink` in blocks of bytes.
/// @throws argument_error unless `T` is what `type` stores, or both are floating-point numbers
template <class T, class Sink>
void store_numbers(dtype type, host_view<const T> from, std::string_view name, Sink&& sink) {
  with_stored_type(type, [&]<class To>(stored_type<To>) {
    if constexpr (!std::same_as<T, To> && !(is_floating<T> && is_floating<To>)) {
      throw argument_error("write", to_string(type), to_string(dtype_of<T>()), name);
    } else {
      constexpr std::size_t most = (std::size_t{1} << 18) / sizeof(To);
      std::vector<std::byte> block;
      block.reserve(std::min(most, static_cast<std::size_t>(from.size())) * sizeof(To));
      for (index_t r = 0; r < (from.empty() ? 0 : row_count(from)); ++r) {
        const auto row = row_of(from, r);
        for (index_t i = 0; i < row.size; ++i) {
          To value;
          if constexpr (std::same_as<T, To>) {
            value = row[i];
          } else if constexpr (std::floating_point<To>) {
            value = static_cast<To>(row[i]);
          } else {
            value = To(static_cast<float>(row[i]));
          }
          const auto bytes = std::as_bytes(std::span(&value, 1));
          block.insert(block.end(), bytes.begin(), bytes.end());
          if (block.size() == most * sizeof(To)) {
            sink(std::span<const std::byte>(block));
            block.clear();
          }
        }
      }
      if (!block.empty()) sink(std::span<const std::byte>(block));
    }
  });
}

}  // namespace solens::detail
