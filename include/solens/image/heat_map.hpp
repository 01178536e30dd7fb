#pragma once

#include <algorithm>  // std::clamp, std::max, std::min
#include <array>
#include <cmath>    // std::floor, std::lround
#include <cstddef>  // std::size_t
#include <cstdint>  // std::uint8_t
#include <vector>

#include <solens/core/error.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/image/image.hpp>

namespace solens {

namespace detail {

/// Where an output position falls between two input positions.
struct bilinear_tap {
  index_t first, second;
  double share;  ///< of the second

  /// Centres of pixels on centres, edges held: torch's `interpolate` without aligned corners.
  static std::vector<bilinear_tap> along(index_t from, index_t to) {
    std::vector<bilinear_tap> taps;
    for (index_t i = 0; i < to; ++i) {
      const double at =
          (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) -
          0.5;
      const double held = std::clamp(at, 0.0, static_cast<double>(from - 1));
      const auto first = static_cast<index_t>(std::floor(held));
      taps.push_back({first, std::min(first + 1, from - 1), held - static_cast<double>(first)});
    }
    return taps;
  }
};

}  // namespace detail

/// A map over patches as a heat map over pixels: bilinear up-sampling, then shifted and scaled such
/// that the least is 0 and the most is 1. A map that is the same everywhere, or not finite, becomes
/// 0.
///
/// Not `resize`, which rounds weights and pixels as Pillow does for bytes.
/// @param map  [rows, columns], of any strides
/// @returns    [height, width]
/// @throws shape_error for a map without elements
/// Source: arXiv 2406.04341, section 5.2.
inline host_tensor<float> heat_map(host_view<const float> map, index_t height, index_t width) {
  if (map.rank() != 2 || map.empty()) {
    throw shape_error("heat_map", "[rows, columns] with elements", to_string(map.extents()), "map");
  }
  const auto down = detail::bilinear_tap::along(map.extent(0), height);
  const auto across = detail::bilinear_tap::along(map.extent(1), width);
  const auto at = [&](index_t y, index_t x) { return static_cast<double>(map(y, x)); };
  host_tensor<double> heat({height, width});
  double* to = heat.data();
  for (const auto& y : down) {
    for (const auto& x : across) {
      const double above = at(y.first, x.first) * (1 - x.share) + at(y.first, x.second) * x.share;
      const double below = at(y.second, x.first) * (1 - x.share) + at(y.second, x.second) * x.share;
      *to++ = above * (1 - y.share) + below * y.share;
    }
  }
  const auto [least, most] = std::minmax_element(heat.begin(), heat.end());
  const double low = *least, range = *most - low;
  host_tensor<float> scaled({height, width});
  std::transform(heat.begin(), heat.end(), scaled.begin(), [&](double h) {
    const double s = (h - low) / range;
    return s >= 0 ? static_cast<float>(s) : 0.0F;  // not where it is 0 / 0, or NaN
  });
  return scaled;
}

/// 1 where the heat is above the threshold, else 0: [height, width].
inline host_tensor<std::uint8_t> mask_of(host_view<const float> heat, float threshold) {
  host_tensor<std::uint8_t> mask(heat.extents());
  for (index_t i = 0; i < heat.size(); ++i) {
    mask.data()[i] = element_of(heat, i) > threshold ? 1 : 0;
  }
  return mask;
}

/// Heat in colours from black over purple and orange to pale yellow.
/// @param heat  0 to 1
inline std::array<std::uint8_t, 3> heat_colour(float heat) {
  constexpr std::array<std::array<float, 3>, 5> stops{
      {{0, 0, 4}, {87, 16, 110}, {188, 55, 84}, {249, 142, 9}, {252, 255, 164}}};
  const float place = std::clamp(heat, 0.0F, 1.0F) * 4;
  const auto i = std::min(static_cast<std::size_t>(place), std::size_t{3});
  const float share = place - static_cast<float>(i);
  std::array<std::uint8_t, 3> colour{};
  for (std::size_t c = 0; c < 3; ++c) {
    colour[c] =
        static_cast<std::uint8_t>(std::lround(stops[i][c] * (1 - share) + stops[i + 1][c] * share));
  }
  return colour;
}

/// A picture in grey under its heat in colours, with a white line around the mask.
/// @param heat  [height, width] of the picture, 0 to 1
/// @param mask  likewise, 0 or 1
/// @throws shape_error when they have other extents than the picture
inline rgb_image overlay(const rgb_image& picture, host_view<const float> heat,
                         host_view<const std::uint8_t> mask) {
  const index_t height = picture.height(), width = picture.width();
  for (const shape& extents : {heat.extents(), mask.extents()}) {
    if (extents == shape{height, width}) continue;
    throw shape_error("overlay", to_string(shape{height, width}), to_string(extents), "heat, mask");
  }
  const auto is_edge = [&](index_t y, index_t x) {
    if (mask(y, x) == 0) return false;
    if (y == 0 || x == 0 || y + 1 == height || x + 1 == width) return true;
    return mask(y - 1, x) == 0 || mask(y + 1, x) == 0 || mask(y, x - 1) == 0 || mask(y, x + 1) == 0;
  };
  rgb_image out(height, width);
  for (index_t y = 0; y < height; ++y) {
    const std::uint8_t* from = picture.row(y);
    std::uint8_t* to = out.row(y);
    for (index_t x = 0; x < width; ++x, from += 3, to += 3) {
      const auto colour = heat_colour(heat(y, x));
      const int grey = (77 * from[0] + 150 * from[1] + 29 * from[2]) >> 8;  // luma, of 256 parts
      for (std::size_t c = 0; c < 3; ++c) {
        to[c] =
            is_edge(y, x) ? std::uint8_t{255} : static_cast<std::uint8_t>((grey + colour[c]) / 2);
      }
    }
  }
  return out;
}

}  // namespace solens
