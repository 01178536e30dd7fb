#include "backdrop.hpp"

#include <algorithm>  // std::clamp
#include <array>
#include <cstddef>  // std::size_t

#include "random.hpp"

namespace toyland {
namespace {

/// Paints in 1/1024 of the picture's side.
class brush {
 public:
  explicit brush(canvas& on) : on_(on) {}

  void fill(polygon p, rgb colour, int opacity = 255) {
    for (point& q : p) q = {q.x * on_.side() / 4, q.y * on_.side() / 4};  // 1/256 pixel
    on_.fill(rasterise(p, on_.side()), colour, opacity);
  }

  /// The whole width from one height to another, in colours from `upper` to `lower`.
  void gradient(int top, int bottom, rgb upper, rgb lower) {
    const int n = on_.side();
    for (int y = top * n / 1024; y < bottom * n / 1024; ++y) {
      const int share = ((2 * y + 1) * 512 / n - top) * 256 / (bottom - top);
      const rgb colour = mix(upper, lower, std::clamp(share, 0, 256));
      for (int x = 0; x < n; ++x) on_.set(x, y, colour);
    }
  }

 private:
  canvas& on_;
};

/// A line of hills across the picture, down to its lower edge.
polygon hills(random_source& r, int height, int swing) {
  polygon line{{-300, 1400}, {-300, height}};
  for (int x = -100; x <= 1124; x += r.between(180, 360)) {
    line.push_back({x, height + r.between(-swing, swing)});
  }
  line.push_back({1324, height});
  line.push_back({1324, 1400});
  return smooth(line, 3);
}

rgb varied(rgb c, random_source& r) {
  const int share = r.between(0, 40);
  return r.chance(50) ? mix(c, {255, 255, 255}, share) : mix(c, {0, 0, 0}, share);
}

void paint_hills(brush& b, random_source& r, int height, int swing, rgb colour) {
  colour = varied(colour, r);
  b.fill(hills(r, height, swing), colour);
}

void paint_sea(brush& b, random_source& r) {
  const int horizon = r.between(360, 520);
  b.gradient(0, horizon, varied({126, 188, 238}, r), {214, 236, 250});
  b.gradient(horizon, 1024, varied({46, 128, 190}, r), {22, 72, 136});
  for (int y = horizon + 60; y < 1024; y += r.between(70, 110)) {
    for (int x = r.between(-60, 120); x < 1024; x += r.between(200, 340)) {
      const int length = r.between(70, 140);
      b.fill(
          smooth({{x, y}, {x + length / 2, y - 26}, {x + length, y}, {x + length / 2, y - 8}}, 2),
          {206, 232, 248}, 190);
    }
  }
}

void paint_meadow(brush& b, random_source& r) {
  b.gradient(0, 700, varied({142, 202, 244}, r), {226, 242, 250});
  const int horizon = r.between(420, 560);
  paint_hills(b, r, horizon, 70, {150, 202, 120});
  paint_hills(b, r, horizon + 130, 40, {112, 178, 82});
  for (int i = 0; i < 26; ++i) {
    const point p{r.between(0, 1024), r.between(horizon + 190, 1010)};
    b.fill({{p.x - 14, p.y}, {p.x, p.y - 54}, {p.x + 14, p.y}}, {74, 140, 58});
    if (i % 4 == 0) b.fill(disc({p.x + 30, p.y - 10}, 17), {250, 246, 220});
  }
}

void paint_night(brush& b, random_source& r) {
  const rgb lower = varied({58, 58, 118}, r), upper = varied({14, 18, 52}, r);
  b.gradient(0, 1024, upper, lower);
  for (int i = 0; i < 44; ++i) {
    const point p{r.between(0, 1024), r.between(0, 880)};
    const int size = r.between(6, 11);
    b.fill(disc(p, size), {236, 236, 214}, r.between(140, 255));
  }
  b.fill(hills(r, r.between(860, 930), 50), {16, 18, 36});
}

void paint_desert(brush& b, random_source& r) {
  b.gradient(0, 700, varied({246, 196, 140}, r), {252, 232, 196});
  const int horizon = r.between(440, 560);
  paint_hills(b, r, horizon, 90, {226, 176, 104});
  paint_hills(b, r, horizon + 170, 80, {212, 156, 86});
  for (int i = 0; i < 14; ++i) {
    const point p{r.between(0, 1024), r.between(horizon + 260, 1010)};
    const int length = r.between(60, 130);
    b.fill(stroke(p, {p.x + length, p.y - 12}, 12), {184, 130, 70}, 200);
  }
}

void paint_snow(brush& b, random_source& r) {
  b.gradient(0, 700, varied({168, 186, 212}, r), {218, 226, 238});
  const int horizon = r.between(440, 580);
  paint_hills(b, r, horizon, 60, {222, 230, 242});
  paint_hills(b, r, horizon + 180, 50, {240, 244, 250});
  for (int i = 0; i < 40; ++i) {
    const point p{r.between(0, 1024), r.between(0, 1024)};
    b.fill(disc(p, r.between(9, 16)), {255, 255, 255}, 235);
  }
}

void paint_room(brush& b, random_source& r) {
  static constexpr std::array<rgb, 4> walls{
      {{222, 206, 182}, {196, 206, 190}, {216, 190, 186}, {190, 200, 214}}};
  const rgb wall = varied(walls[static_cast<std::size_t>(r.below(4))], r);
  const int floor = r.between(640, 740), step = r.between(110, 180);
  b.gradient(0, floor, wall, wall);
  for (int x = r.between(0, step); x < 1024; x += step) {
    b.fill(box(x, 0, x + step / 3, floor), mix(wall, {255, 255, 255}, 70));
  }
  const rgb planks = varied({164, 116, 76}, r);
  b.gradient(floor, 1024, planks, mix(planks, {0, 0, 0}, 40));
  for (int x = -1400; x < 2400; x += 240) {
    b.fill({{512 + (x - 512) / 2, floor}, {520 + (x - 512) / 2, floor}, {x + 16, 1024}, {x, 1024}},
           mix(planks, {0, 0, 0}, 90));
  }
  b.fill(box(0, floor - 30, 1024, floor + 4), {240, 234, 224});
}

}  // namespace

void paint_setting(canvas& on, setting place, std::uint64_t seed) {
  using painter = void (*)(brush&, random_source&);
  static constexpr std::array<painter, n_settings> painters{paint_sea,    paint_meadow, paint_night,
                                                            paint_desert, paint_snow,   paint_room};
  brush b(on);
  random_source random(seed, 2);
  painters[static_cast<std::size_t>(place)](b, random);
}

}  // namespace toyland
