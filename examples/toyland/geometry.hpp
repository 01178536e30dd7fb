#pragma once

#include <array>
#include <cstddef>  // std::size_t
#include <cstdint>
#include <utility>  // std::swap
#include <vector>

/// Shapes in whole numbers, so that every machine draws the same ones: no rounding of floating
/// point, no library's sine.
namespace toyland {

struct point {
  int x, y;  ///< x to the right, y down
  bool operator==(const point&) const = default;
};

using polygon = std::vector<point>;

inline constexpr int full_turn = 1024;

/// 16384 times the sine of an angle in 1/1024 turn: a table of 16 steps a quarter, lines between.
inline int sine(int angle) {
  static constexpr std::array<int, 17> quarter{0,     1606,  3196,  4756,  6270,  7723,
                                               9102,  10394, 11585, 12665, 13623, 14449,
                                               15137, 15679, 16069, 16305, 16384};
  angle = ((angle % full_turn) + full_turn) % full_turn;
  const bool negative = angle >= 512;
  if (negative) angle -= 512;
  if (angle > 256) angle = 512 - angle;
  const auto step = static_cast<std::size_t>(angle / 16);
  int value = quarter[step];
  if (step < 16) value += (quarter[step + 1] - value) * (angle % 16) / 16;
  return negative ? -value : value;
}

inline int cosine(int angle) { return sine(angle + 256); }

/// The point at an angle (0: to the right, then clockwise) on an ellipse around `centre`.
inline point on_ellipse(point centre, int rx, int ry, int angle) {
  return {centre.x + rx * cosine(angle) / 16384, centre.y + ry * sine(angle) / 16384};
}

/// Part of an ellipse, from one angle to another, as a polygon that its chord closes.
inline polygon arc(point centre, int rx, int ry, int from, int to) {
  constexpr int steps = 32;
  polygon result;
  for (int i = 0; i <= steps; ++i) {
    result.push_back(on_ellipse(centre, rx, ry, from + (to - from) * i / steps));
  }
  return result;
}

inline polygon ellipse(point centre, int rx, int ry) { return arc(centre, rx, ry, 0, full_turn); }
inline polygon disc(point centre, int r) { return ellipse(centre, r, r); }

inline polygon box(int left, int top, int right, int bottom) {
  return {{left, top}, {right, top}, {right, bottom}, {left, bottom}};
}

/// A closed curve near a polygon: its corners cut off, again and again.
/// Source: Chaikin, An algorithm for high-speed curve generation, 1974.
inline polygon smooth(polygon p, int rounds = 3) {
  for (; rounds > 0; --rounds) {
    polygon finer;
    for (std::size_t i = 0; i < p.size(); ++i) {
      const point a = p[i], b = p[(i + 1) % p.size()];
      finer.push_back({(3 * a.x + b.x) / 4, (3 * a.y + b.y) / 4});
      finer.push_back({(a.x + 3 * b.x) / 4, (a.y + 3 * b.y) / 4});
    }
    std::swap(p, finer);
  }
  return p;
}

/// The whole part of a square root.
inline std::int64_t root(std::int64_t square) {
  std::int64_t r = 0;
  for (std::int64_t bit = std::int64_t{1} << 31; bit > 0; bit >>= 1) {
    if ((r + bit) * (r + bit) <= square) r += bit;
  }
  return r;
}

/// A straight stroke with round ends.
inline polygon stroke(point a, point b, int width) {
  const std::int64_t dx = b.x - a.x, dy = b.y - a.y;
  const std::int64_t length = root(dx * dx + dy * dy);
  if (length == 0) return disc(a, width / 2);
  const auto nx = static_cast<int>(-dy * width / 2 / length);
  const auto ny = static_cast<int>(dx * width / 2 / length);
  polygon result;
  constexpr int steps = 6;
  for (int i = 0; i <= steps; ++i) {  // half a turn at b, from +n over the direction to -n
    const int c = cosine(512 * i / steps), s = sine(512 * i / steps);
    result.push_back({b.x + (nx * c + ny * s) / 16384, b.y + (ny * c - nx * s) / 16384});
  }
  for (int i = 0; i <= steps; ++i) {
    const int c = cosine(512 * i / steps), s = sine(512 * i / steps);
    result.push_back({a.x - (nx * c + ny * s) / 16384, a.y - (ny * c - nx * s) / 16384});
  }
  return result;
}

inline polygon turned(polygon p, point around, int angle) {
  const int c = cosine(angle), s = sine(angle);
  for (point& q : p) {
    const int x = q.x - around.x, y = q.y - around.y;
    q = {around.x + (x * c - y * s) / 16384, around.y + (x * s + y * c) / 16384};
  }
  return p;
}

}  // namespace toyland
