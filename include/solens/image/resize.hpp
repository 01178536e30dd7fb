#pragma once

#include <algorithm>  // std::clamp, std::max, std::min
#include <cmath>      // std::ceil, std::floor
#include <cstddef>    // std::size_t
#include <cstdint>    // std::uint8_t, std::int32_t
#include <cstring>    // std::memcpy
#include <string>
#include <vector>

#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>
#include <solens/image/image.hpp>

namespace solens {

enum class interpolation { nearest, bilinear, bicubic };

/// A rectangle of pixels.
struct image_part {
  index_t top = 0;
  index_t left = 0;
  index_t height = 0;
  index_t width = 0;
};

/// The weights with which one axis is resampled: for each output position a window of the input.
///
/// Pillow's rules: the filter is stretched when shrinking, windows end at the border and are
/// renormalised, weights are fixed-point numbers of 22 bits.
class resample_window {
 public:
  static constexpr int fraction_bits = 22;

  /// @param from   extent of the whole input axis
  /// @param to     extent of the whole output axis, of which positions [begin, end) are wanted
  resample_window(index_t from, index_t to, index_t begin, index_t end, interpolation filter) {
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    const double stretch = std::max(scale, 1.0);
    const double support = (filter == interpolation::bicubic ? 2.0 : 1.0) * stretch;
    std::vector<double> exact;
    for (index_t i = begin; i < end; ++i) {
      const double center = (static_cast<double>(i) + 0.5) * scale;
      const auto first = std::max(index_t{0}, static_cast<index_t>(center - support + 0.5));
      const auto last = std::min(from, static_cast<index_t>(center + support + 0.5));
      exact.clear();
      double sum = 0;
      for (index_t j = first; j < last; ++j) {
        exact.push_back(weight(filter, (static_cast<double>(j) - center + 0.5) * (1.0 / stretch)));
        sum += exact.back();
      }
      first_.push_back(first);
      offset_.push_back(weights_.size());
      for (double w : exact) weights_.push_back(to_fixed(sum == 0 ? w : w / sum));
    }
    offset_.push_back(weights_.size());
  }

  std::size_t size() const { return first_.size(); }

  /// The input position under the first weight of output `begin + i`.
  index_t first(std::size_t i) const { return first_[i]; }
  const std::int32_t* weights(std::size_t i) const { return weights_.data() + offset_[i]; }
  std::size_t count(std::size_t i) const { return offset_[i + 1] - offset_[i]; }

  /// The input positions that any output needs: windows never step back.
  index_t input_begin() const { return first_.front(); }
  index_t input_end() const {
    return first_.back() + static_cast<index_t>(count(first_.size() - 1));
  }

 private:
  static double weight(interpolation filter, double x) {
    x = std::abs(x);
    if (filter == interpolation::bilinear) return x < 1 ? 1 - x : 0;
    constexpr double a = -0.5;
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
  }

  static std::int32_t to_fixed(double w) {
    return static_cast<std::int32_t>(w * (1 << fraction_bits) + (w < 0 ? -0.5 : 0.5));
  }

  std::vector<index_t> first_;
  std::vector<std::size_t> offset_;
  std::vector<std::int32_t> weights_;
};

/// The two passes of a resampling, and how the rows are laid out between them.
///
/// The horizontal pass works on four rows at once: four rows of RGB and one idle byte make
/// 16 lanes, which every instruction set has a register or four for.
class resampler {
 public:
  static constexpr std::size_t rows_at_once = 4;
  static constexpr std::size_t lanes = 4 * rows_at_once;

  /// Columns `x` of rows [top, top + height) of the image: [height, x.size(), 3], each row
  /// followed by one byte more, which has no meaning.
  static std::vector<std::uint8_t> horizontal(const rgb_image& image, const resample_window& x,
                                              index_t top, index_t height) {
    const std::size_t pitch = row_pitch(x.size());
    std::vector<std::uint8_t> out(static_cast<std::size_t>(height) * pitch);
    const index_t left = x.input_begin();
    const auto width = static_cast<std::size_t>(x.input_end() - left);
    std::vector<std::uint8_t> packed(width * lanes);
    for (index_t y = 0; y < height; y += rows_at_once) {
      const auto rows = static_cast<std::size_t>(std::min(index_t{rows_at_once}, height - y));
      pack(image, top + y, rows, left, width, packed.data());
      std::uint8_t* to = out.data() + static_cast<std::size_t>(y) * pitch;
      for (std::size_t i = 0; i < x.size(); ++i) {
        std::uint8_t pixels[lanes];
        weigh_lanes(packed.data() + static_cast<std::size_t>(x.first(i) - left) * lanes,
                    x.weights(i), x.count(i), pixels);
        for (std::size_t r = 0; r < rows; ++r) {
          std::memcpy(to + r * pitch + 3 * i, pixels + 4 * r, 4);  // the next one mends the 4th
        }
      }
    }
    return out;
  }

  static std::size_t row_pitch(std::size_t width) { return 3 * width + 1; }

  /// One row of the vertical pass: `size` bytes, each the weighted sum down `count` rows.
  static void vertical(const std::uint8_t* from, std::size_t pitch, const std::int32_t* weights,
                       std::size_t count, std::size_t size, std::int32_t* sums, std::uint8_t* to) {
    std::fill_n(sums, size, half);
    std::size_t t = 0;
    for (; t + 4 <= count; t += 4) {
      const std::uint8_t* row = from + t * pitch;
      const std::int32_t a = weights[t], b = weights[t + 1], c = weights[t + 2], d = weights[t + 3];
      for (std::size_t i = 0; i < size; ++i) {
        sums[i] +=
            a * row[i] + b * row[pitch + i] + c * row[2 * pitch + i] + d * row[3 * pitch + i];
      }
    }
    for (; t < count; ++t) {
      const std::uint8_t* row = from + t * pitch;
      for (std::size_t i = 0; i < size; ++i) sums[i] += weights[t] * row[i];
    }
    for (std::size_t i = 0; i < size; ++i) to[i] = to_byte(sums[i]);
  }

 private:
  static constexpr std::int32_t half = 1 << (resample_window::fraction_bits - 1);

  static std::uint8_t to_byte(std::int32_t sum) {
    return static_cast<std::uint8_t>(std::clamp(sum >> resample_window::fraction_bits, 0, 255));
  }

  static void pack(const rgb_image& image, index_t y, std::size_t rows, index_t left,
                   std::size_t width, std::uint8_t* packed) {
    for (std::size_t r = 0; r < rows; ++r) {
      const std::uint8_t* from = image.row(y + static_cast<index_t>(r)) + 3 * left;
      std::uint8_t* to = packed + 4 * r;
      for (std::size_t x = 0; x < width; ++x) std::memcpy(to + x * lanes, from + 3 * x, 3);
    }
  }

  static void weigh_lanes(const std::uint8_t* from, const std::int32_t* weights, std::size_t count,
                          std::uint8_t* to) {
    std::int32_t sums[lanes];
    for (std::size_t i = 0; i < lanes; ++i) sums[i] = half;
    for (std::size_t t = 0; t < count; ++t) {
      const std::int32_t weight = weights[t];
      for (std::size_t i = 0; i < lanes; ++i) sums[i] += weight * from[t * lanes + i];
    }
    for (std::size_t i = 0; i < lanes; ++i) to[i] = to_byte(sums[i]);
  }
};

/// The nearest input position of outputs [begin, end) of an axis.
inline std::vector<index_t> nearest_positions(index_t from, index_t to, index_t begin,
                                              index_t end) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  std::vector<index_t> positions;
  double at = scale * 0.5;  // added up as Pillow does, since the rounding decides ties
  for (index_t i = 0; i < end; ++i, at += scale) {
    if (i >= begin) positions.push_back(std::min(static_cast<index_t>(at), from - 1));
  }
  return positions;
}

/// `resize` by the nearest pixel; the part is checked.
inline void resize_nearest(const rgb_image& image, index_t height, index_t width,
                           const image_part& part, rgb_image& out) {
  const auto rows = nearest_positions(image.height(), height, part.top, part.top + part.height);
  const auto columns = nearest_positions(image.width(), width, part.left, part.left + part.width);
  for (index_t y = 0; y < part.height; ++y) {
    const std::uint8_t* from = image.row(rows[static_cast<std::size_t>(y)]);
    std::uint8_t* to = out.row(y);
    for (index_t x : columns) to = std::copy_n(from + 3 * x, 3, to);
  }
}

/// `resize` by weighted windows; the part is checked.
inline void resize_weighted(const rgb_image& image, index_t height, index_t width,
                            interpolation filter, const image_part& part, rgb_image& out) {
  const auto row_bytes = static_cast<std::size_t>(3 * part.width);
  const resample_window y(image.height(), height, part.top, part.top + part.height, filter);
  const index_t top = y.input_begin();

  const std::uint8_t* from = image.row(top) + 3 * part.left;
  auto pitch = static_cast<std::size_t>(3 * image.width());
  std::vector<std::uint8_t> narrowed;
  if (width != image.width()) {
    const resample_window x(image.width(), width, part.left, part.left + part.width, filter);
    narrowed = resampler::horizontal(image, x, top, y.input_end() - top);
    from = narrowed.data();
    pitch = resampler::row_pitch(x.size());
  }

  std::vector<std::int32_t> sums(row_bytes);
  for (index_t i = 0; i < part.height; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const std::uint8_t* row = from + static_cast<std::size_t>(y.first(at) - top) * pitch;
    resampler::vertical(row, pitch, y.weights(at), y.count(at), row_bytes, sums.data(), out.row(i));
  }
}

/// Part of an image resized to `height` x `width`, to the bit as Pillow's `Image.resize` makes it.
///
/// Only what the part needs is computed; the result is the same as cutting it out afterwards.
/// The horizontal pass comes first and is rounded to 8 bits, then the vertical one. Pillow 13
/// takes the vertical one first where the height loses more than twice the pixels that the width
/// loses, and there differs by a few of 255 from all Pillows before it, and from this.
/// @param part  in pixels of the resized image
/// @throws shape_error when the image is empty or the part does not lie within height x width
inline rgb_image resize(const rgb_image& image, index_t height, index_t width, interpolation filter,
                        const image_part& part) {
  if (image.empty() || part.height <= 0 || part.width <= 0) {
    throw shape_error(
        "resize", "an image and a part of it with pixels",
        to_string(image.view().extents()) + " and " + to_string(shape{part.height, part.width}));
  }
  if (part.top < 0 || part.left < 0 || part.top > height - part.height ||
      part.left > width - part.width) {
    throw shape_error("resize", "a part of " + to_string(shape{height, width}),
                      to_string(shape{part.top, part.left, part.height, part.width}));
  }
  rgb_image out(part.height, part.width);
  if (filter == interpolation::nearest) {
    resize_nearest(image, height, width, part, out);
  } else {
    resize_weighted(image, height, width, filter, part, out);
  }
  return out;
}

/// A whole image resized to `height` x `width`.
inline rgb_image resize(const rgb_image& image, index_t height, index_t width,
                        interpolation filter) {
  return resize(image, height, width, filter, {0, 0, height, width});
}

}  // namespace solens
