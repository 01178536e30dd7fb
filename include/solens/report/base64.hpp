#pragma once

#include <cstddef>  // std::byte, std::size_t
#include <cstdint>
#include <span>
#include <string>

namespace solens {

/// Bytes as text of the base64 alphabet, padded to a multiple of four characters.
/// Source: RFC 4648, section 4.
inline std::string base64(std::span<const std::byte> bytes) {
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](std::size_t k) {
      return i + k < bytes.size() ? static_cast<std::uint32_t>(bytes[i + k]) : 0U;
    };
    const std::uint32_t three = at(0) << 16 | at(1) << 8 | at(2);
    text += digits[three >> 18];
    text += digits[three >> 12 & 63];
    text += i + 1 < bytes.size() ? digits[three >> 6 & 63] : '=';
    text += i + 2 < bytes.size() ? digits[three & 63] : '=';
  }
  return text;
}

}  // namespace solens
