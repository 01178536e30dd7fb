#include "canvas.hpp"

#include <algorithm>  // std::min, std::max, std::sort
#include <array>
#include <cstddef>  // std::size_t

namespace toyland {

coverage::coverage(int side)
    : side_(side), of_(static_cast<std::size_t>(side) * static_cast<std::size_t>(side)) {}

void coverage::add(const coverage& other) {
  for (std::size_t i = 0; i < of_.size(); ++i) of_[i] = std::max(of_[i], other.of_[i]);
}

void coverage::hide_behind(const coverage& other) {
  for (std::size_t i = 0; i < of_.size(); ++i) {
    of_[i] = static_cast<std::uint8_t>(of_[i] * (255 - other.of_[i]) / 255);
  }
}

namespace {

constexpr int samples = 4;  // rows of samples a pixel

struct crossing {
  std::int64_t x;
  int direction;
};

/// Where a polygon's edges cross a row of samples, in 1/256 pixel.
void cross(const polygon& p, std::int64_t y, std::vector<crossing>& found) {
  found.clear();
  for (std::size_t i = 0; i < p.size(); ++i) {
    const point a = p[i], b = p[i + 1 == p.size() ? 0 : i + 1];
    if ((a.y <= y) == (b.y <= y)) continue;
    const std::int64_t x = a.x + (y - a.y) * (b.x - a.x) / (b.y - a.y);
    found.push_back({x, a.y < b.y ? 1 : -1});
  }
  std::sort(found.begin(), found.end(), [](const crossing& a, const crossing& b) {
    return a.x != b.x ? a.x < b.x : a.direction < b.direction;
  });
}

/// Adds a stretch of a row of samples to the pixels below it, 256 for a whole one.
void add_span(std::vector<int>& row, std::int64_t from, std::int64_t to) {
  const auto width = static_cast<std::int64_t>(row.size());
  from = std::max<std::int64_t>(from, 0);
  to = std::min(to, width * 256);
  for (std::int64_t x = from / 256; x * 256 < to; ++x) {
    row[static_cast<std::size_t>(x)] +=
        static_cast<int>(std::min(to, (x + 1) * 256) - std::max(from, x * 256));
  }
}

}  // namespace

coverage rasterise(const polygon& outline, int side) {
  coverage result(side);
  int top = outline[0].y, bottom = top;
  for (const point p : outline) top = std::min(top, p.y), bottom = std::max(bottom, p.y);
  std::vector<crossing> crossings;
  std::vector<int> row(static_cast<std::size_t>(side));
  for (int y = std::max(top / 256 - 1, 0); y < std::min(bottom / 256 + 1, side); ++y) {
    std::fill(row.begin(), row.end(), 0);
    for (int i = 0; i < samples; ++i) {
      cross(outline, y * 256 + 256 * i / samples + 128 / samples, crossings);
      int winding = 0;
      for (std::size_t c = 0; c + 1 < crossings.size(); ++c) {
        winding += crossings[c].direction;
        if (winding != 0) add_span(row, crossings[c].x, crossings[c + 1].x);
      }
    }
    for (int x = 0; x < side; ++x) {
      const int covered = row[static_cast<std::size_t>(x)] / samples;
      result(x, y) = static_cast<std::uint8_t>(std::min(covered, 255));
    }
  }
  return result;
}

coverage grown(const coverage& c, int radius) {
  coverage result(c.side());
  const int n = c.side();
  for (int y = 0; y < n; ++y) {
    for (int x = 0; x < n; ++x) {
      int most = 0;
      for (int v = std::max(y - radius, 0); v <= std::min(y + radius, n - 1); ++v) {
        for (int u = std::max(x - radius, 0); u <= std::min(x + radius, n - 1); ++u) {
          const int square = (u - x) * (u - x) + (v - y) * (v - y);
          if (square > radius * radius + radius) continue;
          const int weight = square > radius * radius ? 128 : 256;  // corners of the disc
          most = std::max(most, c(u, v) * weight / 256);
        }
      }
      result(x, y) = static_cast<std::uint8_t>(most);
    }
  }
  return result;
}

rgb mix(rgb a, rgb b, int share) {
  const auto part = [share](std::uint8_t from, std::uint8_t to) {
    return static_cast<std::uint8_t>((from * (256 - share) + to * share) / 256);
  };
  return {part(a.r, b.r), part(a.g, b.g), part(a.b, b.b)};
}

void canvas::fill(const coverage& where, rgb colour, int opacity) {
  for (int y = 0; y < side(); ++y) {
    for (int x = 0; x < side(); ++x) {
      if (const int covered = where(x, y); covered > 0) {
        blend(x, y, colour, covered * opacity / 255);
      }
    }
  }
}

}  // namespace toyland
