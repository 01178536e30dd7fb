#pragma once

#include <string>

#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>

namespace solens {

/// What a file may ask for before anything is allocated for it.
struct image_limits {
  /// Pixels of one image. The default is the count above which Pillow refuses to open one.
  index_t max_pixels = 178'956'970;
  /// Bytes of a file that holds one: what the largest takes uncompressed, in 16-bit RGBA, and 64 MB
  /// of what is no pixel.
  index_t max_bytes() const { return 8 * max_pixels + (index_t{64} << 20); }
};

/// Checks what a file's header claims.
/// @throws format_error when the image is empty or larger than the limit
inline void check_extents(const char* kind, index_t height, index_t width,
                          const image_limits& limits, const std::string& name) {
  const std::string claimed = std::to_string(width) + " x " + std::to_string(height);
  if (height <= 0 || width <= 0) throw format_error(kind, "an image with pixels", claimed, name);
  if (height > limits.max_pixels / width) {
    throw format_error(kind, "at most " + std::to_string(limits.max_pixels) + " pixels", claimed,
                       name);
  }
}

}  // namespace solens
