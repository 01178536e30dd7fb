#pragma once

#include <bit>  // std::bit_cast
#include <cmath>
#include <concepts>
#include <cstddef>  // std::byte, std::size_t
#include <cstdint>
#include <cstring>  // std::memcpy
#include <string_view>

#include <solens/core/error.hpp>

namespace solens {

/// The number types that files hold.
enum class dtype { boolean, u8, i8, i16, i32, i64, f16, bf16, f32, f64 };

/// IEEE binary16, as stored. Converts to float exactly, from float to the nearest (ties to even).
struct f16 {
  std::uint16_t bits = 0;

  f16() = default;
  explicit f16(float value) : bits(round(value)) {}

  explicit operator float() const {
    const std::uint32_t sign = (bits & 0x8000u) << 16;
    const std::uint32_t exponent = (bits >> 10) & 0x1fu, fraction = bits & 0x3ffu;
    if (exponent == 0) {  // zero and subnormals: fraction * 2^-24
      const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
      return sign != 0 ? -magnitude : magnitude;
    }
    const std::uint32_t widened = exponent == 0x1f ? 0xffu : exponent + (127 - 15);
    return std::bit_cast<float>(sign | widened << 23 | fraction << 13);
  }
  explicit operator double() const { return static_cast<float>(*this); }
  friend bool operator==(f16, f16) = default;

 private:
  static std::uint16_t round(float value) {
    const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000u : 0u);
    const float magnitude = std::fabs(value);
    std::uint32_t result;
    if (std::isnan(value)) {
      result = 0x7e00u;
    } else if (magnitude >= 65520.0f) {  // half way between the largest number and 2^16
      result = 0x7c00u;
    } else if (magnitude < 0x1p-14f) {
      // Adding 0.5 puts the last bit of a subnormal where float's own rounding drops the rest.
      result = std::bit_cast<std::uint32_t>(magnitude + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);
    } else {
      const auto wide = std::bit_cast<std::uint32_t>(magnitude) - ((127u - 15u) << 23);
      result = (wide + 0xfffu + ((wide >> 13) & 1u)) >> 13;
    }
    return static_cast<std::uint16_t>(sign | result);
  }
};

/// The upper half of a float, as stored. From float it rounds to the nearest (ties to even).
struct bf16 {
  std::uint16_t bits = 0;

  bf16() = default;
  explicit bf16(float value) {
    const auto wide = std::bit_cast<std::uint32_t>(value);
    bits = std::isnan(value)
               ? std::uint16_t{0x7fc0}
               : static_cast<std::uint16_t>((wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16);
  }

  explicit operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
  explicit operator double() const { return static_cast<float>(*this); }
  friend bool operator==(bf16, bf16) = default;
};

/// What stores one number of a dtype.
template <class T>
struct stored_type {
  using type = T;
};

/// `f(stored_type<T>{})` for the C++ type T that stores numbers of `type`.
template <class F>
decltype(auto) with_stored_type(dtype type, F&& f) {
  switch (type) {
    case dtype::boolean: return f(stored_type<bool>{});
    case dtype::u8: return f(stored_type<std::uint8_t>{});
    case dtype::i8: return f(stored_type<std::int8_t>{});
    case dtype::i16: return f(stored_type<std::int16_t>{});
    case dtype::i32: return f(stored_type<std::int32_t>{});
    case dtype::i64: return f(stored_type<std::int64_t>{});
    case dtype::f16: return f(stored_type<f16>{});
    case dtype::bf16: return f(stored_type<bf16>{});
    case dtype::f32: return f(stored_type<float>{});
    case dtype::f64: return f(stored_type<double>{});
  }
  throw argument_error("dtype", "one of the known number types", "another");
}

/// The dtype that a C++ type stores.
template <class T>
constexpr dtype dtype_of() {
  if constexpr (std::same_as<T, bool>)
    return dtype::boolean;
  else if constexpr (std::same_as<T, std::uint8_t>)
    return dtype::u8;
  else if constexpr (std::same_as<T, std::int8_t>)
    return dtype::i8;
  else if constexpr (std::same_as<T, std::int16_t>)
    return dtype::i16;
  else if constexpr (std::same_as<T, std::int32_t>)
    return dtype::i32;
  else if constexpr (std::same_as<T, std::int64_t>)
    return dtype::i64;
  else if constexpr (std::same_as<T, f16>)
    return dtype::f16;
  else if constexpr (std::same_as<T, bf16>)
    return dtype::bf16;
  else if constexpr (std::same_as<T, float>)
    return dtype::f32;
  else {
    static_assert(std::same_as<T, double>, "a type that files hold");
    return dtype::f64;
  }
}

/// Bytes of one number.
inline std::size_t size_of(dtype type) {
  return with_stored_type(type, []<class T>(stored_type<T>) { return sizeof(T); });
}

/// `float32`, as messages show it.
inline std::string_view to_string(dtype type) {
  switch (type) {
    case dtype::boolean: return "bool";
    case dtype::u8: return "uint8";
    case dtype::i8: return "int8";
    case dtype::i16: return "int16";
    case dtype::i32: return "int32";
    case dtype::i64: return "int64";
    case dtype::f16: return "float16";
    case dtype::bf16: return "bfloat16";
    case dtype::f32: return "float32";
    case dtype::f64: return "float64";
  }
  return "unknown";
}

/// One stored number as `To`, from memory of any alignment.
template <class From, class To>
To load_number(const std::byte* from) {
  if constexpr (std::same_as<From, bool>) {
    return static_cast<To>(*from != std::byte{0});  // any byte but 0 or 1 is no bool in C++
  } else {
    From value;
    std::memcpy(&value, from, sizeof value);
    return static_cast<To>(value);
  }
}

}  // namespace solens
