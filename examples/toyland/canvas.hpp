#pragma once

#include <cstdint>
#include <vector>

#include <solens/core/host_tensor.hpp>
#include <solens/image/image.hpp>

#include "drawing.hpp"
#include "geometry.hpp"

namespace toyland {

/// How much of each pixel of a square picture something covers, 0 to 255.
class coverage {
 public:
  explicit coverage(int side);

  int side() const { return side_; }
  std::uint8_t& operator()(int x, int y) { return of_[index(x, y)]; }
  std::uint8_t operator()(int x, int y) const { return of_[index(x, y)]; }
  const std::vector<std::uint8_t>& values() const { return of_; }

  /// Adds a polygon: the union, as far as one number a pixel can tell.
  void add(const coverage&);

  /// Takes away what something in front hides.
  void hide_behind(const coverage&);

 private:
  std::size_t index(int x, int y) const {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(side_) +
           static_cast<std::size_t>(x);
  }

  int side_;
  std::vector<std::uint8_t> of_;
};

/// How much of each pixel lies inside a polygon: exact along the rows, four samples across them.
/// @param outline  in 1/256 pixel; may cross itself, what it winds around is inside
coverage rasterise(const polygon& outline, int side);

/// The same outline, wider by about `radius` pixels.
coverage grown(const coverage&, int radius);

/// A colour between two: `share` of 256 parts of the second.
rgb mix(rgb, rgb, int share);

/// A square picture that is painted on.
class canvas {
 public:
  explicit canvas(int side) : image_(side, side) {}

  int side() const { return static_cast<int>(image_.width()); }

  void set(int x, int y, rgb c) {
    std::uint8_t* p = image_.row(y) + 3 * x;
    p[0] = c.r, p[1] = c.g, p[2] = c.b;
  }

  void blend(int x, int y, rgb c, int opacity) {
    std::uint8_t* p = image_.row(y) + 3 * x;
    const auto toward = [opacity](std::uint8_t from, std::uint8_t to) {
      return static_cast<std::uint8_t>((from * (255 - opacity) + to * opacity + 127) / 255);
    };
    p[0] = toward(p[0], c.r), p[1] = toward(p[1], c.g), p[2] = toward(p[2], c.b);
  }

  /// Paints what is covered in one colour.
  void fill(const coverage&, rgb, int opacity = 255);

  solens::rgb_image finish() && { return std::move(image_); }

 private:
  solens::rgb_image image_;
};

}  // namespace toyland
