#include "painter.hpp"

#include <algorithm>  // std::clamp, std::max
#include <array>
#include <cstddef>  // std::size_t
#include <string>

#include <solens/core/error.hpp>

#include "backdrop.hpp"
#include "drawing.hpp"
#include "random.hpp"

namespace toyland {
namespace {

constexpr std::array<rgb, n_colours> colours{{{214, 48, 44},
                                              {244, 136, 34},
                                              {250, 212, 56},
                                              {58, 160, 70},
                                              {52, 104, 214},
                                              {134, 66, 176},
                                              {244, 142, 184},
                                              {134, 88, 54},
                                              {46, 46, 52},
                                              {246, 246, 242}}};
constexpr rgb light{255, 255, 255}, dark{18, 16, 26};

int brightness(rgb c) { return (c.r * 3 + c.g * 6 + c.b) / 10; }

/// Between a thing's own coordinates and the picture's, in 1/256 pixel.
class pose {
 public:
  pose(const placement& p, int side)
      : x_(p.centre.x * side / 4),
        y_(p.centre.y * side / 4),
        size_(std::max(p.size * side / 4, 1)),
        cos_(cosine(p.turn)),
        sin_(sine(p.turn)),
        mirror_(p.mirrored ? -1 : 1) {}

  point to_picture(point p) const {
    const std::int64_t x = std::int64_t{p.x} * mirror_ * size_ / 1000;
    const std::int64_t y = std::int64_t{p.y} * size_ / 1000;
    return {static_cast<int>(x_ + (x * cos_ - y * sin_) / 16384),
            static_cast<int>(y_ + (x * sin_ + y * cos_) / 16384)};
  }

  point to_thing(point p) const {
    const std::int64_t x = p.x - x_, y = p.y - y_;
    return {static_cast<int>((x * cos_ + y * sin_) / 16384 * 1000 * mirror_ / size_),
            static_cast<int>((y * cos_ - x * sin_) / 16384 * 1000 / size_)};
  }

 private:
  std::int64_t x_, y_, size_, cos_, sin_;
  int mirror_;
};

/// A thing's own colours, pattern and light.
class surface {
 public:
  explicit surface(const thing& t) : pattern_(t.pattern) {
    random_source r(t.shape_seed, 3);
    const rgb base = colours[static_cast<std::size_t>(t.hue)];
    body_ = r.chance(50) ? mix(base, light, r.between(0, 24)) : mix(base, dark, r.between(0, 24));
    const bool bright = brightness(body_) > 150;
    second_ = bright ? mix(body_, dark, 120) : mix(body_, light, 165);
    shade_ = mix(body_, dark, 70);
    tint_ = mix(body_, light, 110);
    period_ = r.between(400, 520);
    offset_ = {r.below(period_), r.below(period_)};
    across_ = r.chance(50);
  }

  rgb outline() const { return mix(body_, dark, 190); }

  rgb colour(const pigment& with) const {
    switch (with.of) {
      case pigment::tone::body: return body_;
      case pigment::tone::shade: return shade_;
      case pigment::tone::tint: return tint_;
      case pigment::tone::fixed: break;
    }
    return with.own;
  }

  /// The body's colour at a place: the pattern, lit from above.
  /// @param marked  how many of `n` samples around the place carry the pattern's second colour
  rgb body_at(int y, int marked, int n) const {
    const rgb flat = mix(body_, second_, 256 * marked / n);
    return y < 0 ? mix(flat, light, std::min(-y, 1000) * 40 / 1000)
                 : mix(flat, dark, std::min(y, 1000) * 56 / 1000);
  }

  /// Whether the pattern has its second colour at a point of the thing.
  bool marked(point p) const {
    const auto wrap = [this](int v) { return ((v % period_) + period_) % period_; };
    const int u = wrap(p.x + offset_.x), v = wrap(p.y + offset_.y), half = period_ / 2;
    switch (pattern_) {
      case texture::plain: return false;
      case texture::striped: return (across_ ? v : u) < half;
      case texture::checked: return (u < half) != (v < half);
      case texture::dotted: break;
    }
    const int radius = period_ * 3 / 10;
    return (u - half) * (u - half) + (v - half) * (v - half) < radius * radius;
  }

 private:
  rgb body_, second_, shade_, tint_;
  texture pattern_;
  int period_ = 0;
  point offset_{};
  bool across_ = false;
};

/// Paints the covered pixels with the body's pattern, 3 x 3 samples a pixel.
void fill_with_pattern(canvas& on, const coverage& where, const surface& s, const pose& from) {
  for (int y = 0; y < on.side(); ++y) {
    for (int x = 0; x < on.side(); ++x) {
      const int covered = where(x, y);
      if (covered == 0) continue;
      int marked = 0;
      for (const int v : {43, 128, 213}) {
        for (const int u : {43, 128, 213}) {
          marked += s.marked(from.to_thing({256 * x + u, 256 * y + v}));
        }
      }
      const point centre = from.to_thing({256 * x + 128, 256 * y + 128});
      on.blend(x, y, s.body_at(centre.y, marked, 9), covered);
    }
  }
}

/// @return what the thing covers, its outline included
coverage paint_thing(canvas& on, const thing& t) {
  const drawing d = draw(t.what, t.shape_seed);
  const pose where(t.where, on.side());
  const surface s(t);
  std::vector<coverage> covered;
  coverage whole(on.side());
  for (const part& p : d.parts) {
    polygon outline;
    for (const point q : p.outline) outline.push_back(where.to_picture(q));
    covered.push_back(rasterise(outline, on.side()));
    whole.add(covered.back());
  }
  whole = grown(whole, std::max(on.side() / usual_side, 1));
  on.fill(whole, s.outline());
  for (std::size_t i = 0; i < d.parts.size(); ++i) {
    if (d.parts[i].with.of == pigment::tone::body) {
      fill_with_pattern(on, covered[i], s, where);
    } else {
      on.fill(covered[i], s.colour(d.parts[i].with));
    }
  }
  return whole;
}

}  // namespace

picture paint(const scene& s, int side) {
  if (side < 8 || side > 1024) {
    throw solens::argument_error("paint", "8 to 1024 pixels a side", std::to_string(side));
  }
  canvas on(side);
  paint_setting(on, s.place, s.place_seed);
  std::vector<coverage> masks(s.things.size(), coverage(side));
  for (std::size_t i = s.things.size(); i-- > 0;) {  // the ones in front last
    masks[i] = paint_thing(on, s.things[i]);
    for (std::size_t j = i + 1; j < masks.size(); ++j) masks[j].hide_behind(masks[i]);
  }
  return {std::move(on).finish(), std::move(masks)};
}

}  // namespace toyland
