#pragma once

#include <cstdint>  // std::uint8_t

#include <solens/core/host_tensor.hpp>
#include <solens/core/shape.hpp>

namespace solens {

struct image_extent {
  index_t height = 0;
  index_t width = 0;
  friend bool operator==(const image_extent&, const image_extent&) = default;
};

/// An image that owns its pixels: 8-bit RGB, [height, width, 3], rows one after the other.
///
/// Pixels start uninitialised. Moves are cheap; copies are asked for with `clone`.
class rgb_image {
 public:
  rgb_image() = default;

  /// @throws shape_error for a negative extent or a size that no memory holds
  rgb_image(index_t height, index_t width) : pixels_(shape{height, width, 3}) {}

  index_t height() const { return pixels_.rank() == 0 ? 0 : pixels_.extents()[0]; }
  index_t width() const { return pixels_.rank() == 0 ? 0 : pixels_.extents()[1]; }
  bool empty() const { return pixels_.empty(); }

  /// The first of the 3 * width bytes of row `y`; not checked.
  std::uint8_t* row(index_t y) { return pixels_.data() + y * 3 * width(); }
  const std::uint8_t* row(index_t y) const { return pixels_.data() + y * 3 * width(); }

  /// [height, width, 3]
  host_view<std::uint8_t> view() { return pixels_; }
  host_view<const std::uint8_t> view() const { return pixels_; }

  rgb_image clone() const {
    rgb_image result;
    result.pixels_ = pixels_.clone();
    return result;
  }

 private:
  host_tensor<std::uint8_t> pixels_;
};

}  // namespace solens
