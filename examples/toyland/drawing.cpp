#include "drawing.hpp"

#include <algorithm>  // std::min, std::max
#include <array>
#include <cstddef>  // std::size_t
#include <utility>  // std::move

#include "random.hpp"

namespace toyland {
namespace {

constexpr rgb ink{40, 36, 44}, wood{121, 82, 48}, cream{250, 240, 214}, glass{196, 226, 240},
    steel{150, 156, 168}, leaf{70, 150, 62}, gold{250, 196, 48}, carrot{240, 128, 32},
    flame{250, 140, 30};

/// Collects the parts of a drawing; coordinates are free, `fitted` centres and scales them.
class sketch {
 public:
  void body(polygon p) { add(std::move(p), {pigment::tone::body, {}}); }
  void shade(polygon p) { add(std::move(p), {pigment::tone::shade, {}}); }
  void tint(polygon p) { add(std::move(p), {pigment::tone::tint, {}}); }
  void fixed(polygon p, rgb colour) { add(std::move(p), {pigment::tone::fixed, colour}); }

  drawing fitted() && {
    point low = parts_[0].outline[0], high = low;
    for (const part& p : parts_) {
      for (const point q : p.outline) {
        low = {std::min(low.x, q.x), std::min(low.y, q.y)};
        high = {std::max(high.x, q.x), std::max(high.y, q.y)};
      }
    }
    const int width = high.x - low.x, height = high.y - low.y, longer = std::max(width, height);
    for (part& p : parts_) {
      for (point& q : p.outline) {
        q.x = (2 * q.x - low.x - high.x) * 1000 / longer;
        q.y = (2 * q.y - low.y - high.y) * 1000 / longer;
      }
    }
    return {std::move(parts_), width * 1000 / longer, height * 1000 / longer};
  }

 private:
  void add(polygon p, pigment with) { parts_.push_back({std::move(p), with}); }

  std::vector<part> parts_;
};

void draw_boat(sketch& s, random_source& r) {
  const int depth = r.between(320, 460), bow = r.between(150, 320), height = r.between(900, 1250);
  const int mast = r.between(-120, 120), sail = r.between(560, 760);
  s.fixed(stroke({mast, 0}, {mast, -height}, 70), wood);
  s.fixed({{mast + 60, -height + 40}, {mast + 60, -140}, {mast + sail, -140}}, cream);
  if (r.chance(60)) {
    s.fixed({{mast - 60, -height + 200}, {mast - 60, -140}, {mast - sail * 3 / 4, -140}}, cream);
  }
  if (r.chance(50)) s.shade({{mast, -height}, {mast, -height - 180}, {mast + 240, -height - 90}});
  s.body(smooth({{-900, -60},
                 {900 + bow / 2, -60},
                 {900 + bow, -60},
                 {900 - bow, depth},
                 {-700, depth},
                 {-820, depth}},
                2));
  s.shade({{-830, -60}, {950, -60}, {940, 30}, {-830, 30}});
}

void draw_car(sketch& s, random_source& r) {
  const int roof = r.between(520, 700), back = r.between(-760, -560), front = r.between(260, 440);
  const int wheel = r.between(210, 260);
  s.body(smooth({{back - 60, -300},
                 {back + 160, -roof},
                 {back + 200, -roof},
                 {front - 180, -roof},
                 {front, -roof},
                 {front + 260, -280},
                 {front, -240},
                 {back, -240}},
                2));
  s.body(smooth({{-1000, 240},
                 {-1000, -200},
                 {-900, -300},
                 {-600, -310},
                 {600, -310},
                 {820, -280},
                 {1000, -160},
                 {1010, 240},
                 {600, 250},
                 {-600, 250}},
                2));
  const int middle = (back + front) / 2;
  s.fixed(
      {{back + 180, -roof + 90}, {middle - 40, -roof + 90}, {middle - 40, -290}, {back + 70, -290}},
      glass);
  s.fixed({{middle + 50, -roof + 90},
           {front - 60, -roof + 90},
           {front + 150, -290},
           {middle + 50, -290}},
          glass);
  s.fixed(disc({930, -110}, 80), gold);
  for (const int x : {-560, 560}) {
    s.fixed(disc({x, 240}, wheel), ink);
    s.fixed(disc({x, 240}, wheel / 2), steel);
  }
}

void draw_house(sketch& s, random_source& r) {
  const int half = r.between(620, 820), wall = r.between(-260, -60), top = r.between(-1000, -760);
  const int door = r.between(-1, 1) * half / 2, eaves = half + r.between(90, 190);
  if (r.chance(60)) s.fixed(box(half / 3, top, half / 3 + 190, wall), {150, 84, 70});
  s.body(box(-half, wall, half, 800));
  s.shade({{-eaves, wall + 20}, {0, top - 60}, {eaves, wall + 20}});
  s.fixed(box(door - 130, 230, door + 130, 800), wood);
  for (const int x : {-half / 2, 0, half / 2}) {
    if (x == door) continue;
    s.fixed(box(x - 105, 130, x + 105, 390), glass);
    s.fixed(box(x - 15, 130, x + 15, 390), ink);
  }
}

void draw_tree(sketch& s, random_source& r) {
  const int trunk = r.between(90, 140);
  s.fixed({{-trunk, 1000}, {-trunk * 2 / 3, 100}, {trunk * 2 / 3, 100}, {trunk, 1000}}, wood);
  if (r.chance(35)) {  // a fir
    const int half = r.between(520, 680);
    for (int i = 0; i < 3; ++i) {
      const int base = 560 - 430 * i, wide = half - 120 * i;
      s.body({{-wide, base}, {0, base - 800}, {wide, base}});
    }
    return;
  }
  const int size = r.between(430, 520), lean = r.between(-60, 60);
  s.body(disc({-360 + lean, -50}, size - 60));
  s.body(disc({370 + lean, -80}, size - 70));
  s.body(disc({lean, -430}, size));
  s.body(disc({lean, -60}, size - 40));
  if (r.chance(40)) {
    for (const point p : {point{-330, -90}, point{280, -240}, point{-40, -520}, point{80, 60}}) {
      s.fixed(disc(p, 75), {220, 50, 50});
    }
  }
}

void draw_fish(sketch& s, random_source& r) {
  const int tall = r.between(370, 540), tail = r.between(330, 480), fin = r.between(160, 300);
  s.shade(smooth(
      {{-560, 0}, {-1080, -tail}, {-1080, -tail}, {-940, 0}, {-1080, tail}, {-1080, tail}}, 2));
  s.shade(smooth(
      {{-250, -tall + 130}, {-60, -tall - fin}, {120, -tall - fin + 60}, {330, -tall + 160}}, 2));
  s.body(smooth({{-700, 0},
                 {-300, -tall},
                 {300, -tall - 40},
                 {900, -120},
                 {920, 0},
                 {900, 120},
                 {300, tall + 40},
                 {-300, tall}},
                3));
  s.shade(smooth({{60, 60}, {-260, 200}, {-200, 330}, {140, 220}}, 2));
  s.fixed(disc({520, -110}, 105), {255, 255, 255});
  s.fixed(disc({540, -105}, 58), ink);
  s.fixed(stroke({690, 130}, {800, 90}, 40), ink);
}

void draw_bird(sketch& s, random_source& r) {
  const int head = r.between(270, 340), lift = r.between(-760, 120), leg = r.between(160, 260);
  s.fixed(stroke({-40, 300}, {-60, 380 + leg}, 55), carrot);
  s.fixed(stroke({140, 300}, {150, 380 + leg}, 55), carrot);
  s.shade(smooth({{-420, 60}, {-1040, -200}, {-1080, 60}, {-900, 200}, {-400, 280}}, 2));
  s.body(smooth({{-560, -40}, {-160, -330}, {420, -300}, {620, 20}, {380, 400}, {-200, 440}}, 3));
  s.body(disc({470, -400}, head));
  s.fixed({{470 + head - 40, -500}, {470 + head + 290, -390}, {470 + head - 40, -300}}, carrot);
  s.shade(smooth(
      {{260, -120}, {-80, -260}, {-620, lift}, {-680, lift + 120}, {-260, 240}, {120, 160}}, 2));
  s.fixed(disc({540, -460}, 62), ink);
}

void draw_cat(sketch& s, random_source& r) {
  const int head = r.between(380, 450), ear = r.between(250, 340), side = r.between(480, 600);
  for (int i = 0; i < 6; ++i) {  // the tail, a bent stroke
    const point a = on_ellipse({side - 60, 560}, 420, 380, 240 - 80 * i);
    s.shade(stroke(a, on_ellipse({side - 60, 560}, 420, 380, 160 - 80 * i), 150));
  }
  s.body(smooth(
      {{-280, -260}, {280, -260}, {side, 640}, {side - 40, 1000}, {-side + 40, 1000}, {-side, 640}},
      3));
  for (const int x : {-1, 1}) {
    s.body({{x * (head - 40), -980 - ear / 2}, {x * 90, -880}, {x * (head - 30), -560}});
    s.fixed({{x * (head - 90), -900 - ear / 3}, {x * 190, -860}, {x * (head - 90), -700}},
            {240, 170, 170});
  }
  s.body(ellipse({0, -580}, head + 50, head));
  s.tint(ellipse({0, 560}, 210, 300));
  for (const int x : {-1, 1}) {
    s.fixed(ellipse({x * 190, -640}, 90, 105), {214, 232, 120});
    s.fixed(ellipse({x * 190, -640}, 36, 95), ink);
    s.fixed(stroke({x * 170, -430}, {x * (head + 180), -480}, 30), steel);
    s.fixed(stroke({x * 170, -380}, {x * (head + 160), -340}, 30), steel);
  }
  s.fixed({{-70, -500}, {70, -500}, {0, -410}}, {226, 110, 120});
}

void draw_flower(sketch& s, random_source& r) {
  const int n = r.between(5, 8), width = r.between(150, 200) * 6 / n + 40,
            bend = r.between(-90, 90);
  s.fixed(stroke({0, -300}, {bend, 1000}, 90), leaf);
  s.fixed(smooth({{bend / 2, 760}, {-260, 420}, {-520, 380}, {-330, 640}}, 2), leaf);
  if (r.chance(60)) {
    s.fixed(smooth({{bend / 2, 700}, {260, 360}, {520, 320}, {330, 580}}, 2), leaf);
  }
  const int start = r.below(full_turn);
  for (int i = 0; i < n; ++i) {
    const polygon petal = ellipse({330, -400}, 290, width);
    s.body(turned(petal, {0, -400}, start + full_turn * i / n));
  }
  s.fixed(disc({0, -400}, 190), gold);
}

void draw_star(sketch& s, random_source& r) {
  const int n = r.chance(75) ? 5 : 6, inner = r.between(400, 500);
  polygon p;
  for (int i = 0; i < 2 * n; ++i) {
    const int radius = i % 2 == 0 ? 1000 : inner;
    p.push_back(on_ellipse({0, 0}, radius, radius, full_turn * i / (2 * n) - 256));
  }
  s.body(r.chance(40) ? smooth(p, 1) : p);
}

void draw_moon(sketch& s, random_source& r) {
  const int cut = r.between(380, 620);
  polygon p = arc({0, 0}, 1000, 1000, 256, 768);  // the left half of the rim, from below to above
  for (const point q : arc({0, 0}, cut, 1000, 768, 256)) p.push_back(q);
  s.body(turned(p, {0, 0}, r.between(-110, 110)));
}

void draw_sun(sketch& s, random_source& r) {
  const int n = r.between(8, 13), core = r.between(520, 620), width = r.between(36, 48) * 8 / n;
  const bool round = r.chance(40);
  for (int i = 0; i < n; ++i) {
    const int angle = full_turn * i / n;
    const point tip = on_ellipse({0, 0}, 1000, 1000, angle);
    const int foot = core + 70;
    if (round) {
      s.body(stroke(on_ellipse({0, 0}, foot + 60, foot + 60, angle), tip, 110));
    } else {
      s.body({on_ellipse({0, 0}, foot, foot, angle - width), tip,
              on_ellipse({0, 0}, foot, foot, angle + width)});
    }
  }
  s.body(disc({0, 0}, core));
  if (r.chance(50)) {
    for (const int x : {-1, 1}) s.fixed(disc({x * core * 2 / 5, -core / 5}, core / 7), ink);
    s.fixed(smooth({{-core / 2, core / 5}, {0, core * 3 / 4}, {core / 2, core / 5}, {0, core / 2}}),
            ink);
  }
}

void draw_cloud(sketch& s, random_source& r) {
  const int n = r.between(3, 5);
  s.body(box(-700, 60, 700, 380));
  s.body(disc({-700, 120}, 262));
  s.body(disc({700, 140}, 242));
  for (int i = 0; i < n; ++i) {
    const int x = -620 + 1240 * i / (n - 1);
    const int reach = 330 - (x < 0 ? -x : x) / 5 + r.between(-40, 70);
    s.body(disc({x, 20 - r.between(0, 160)}, reach));
  }
}

void draw_apple(sketch& s, random_source& r) {
  const int wide = r.between(780, 900), dip = r.between(460, 560);
  s.body(smooth({{0, -dip},
                 {wide / 2, -800},
                 {wide, -560},
                 {wide, 200},
                 {wide / 2, 880},
                 {140, 880},
                 {0, 780},
                 {-140, 880},
                 {-wide / 2, 880},
                 {-wide, 200},
                 {-wide, -560},
                 {-wide / 2, -800}},
                3));
  const int bend = r.between(-120, 160);
  s.fixed(stroke({0, -520}, {bend, -960}, 90), wood);
  if (r.chance(75)) {
    s.fixed(smooth({{bend / 2, -720}, {240, -1040}, {640, -1040}, {420, -760}}, 2), leaf);
  }
  s.tint(turned(ellipse({-430, -260}, 90, 210), {-430, -260}, 70));
}

void draw_umbrella(sketch& s, random_source& r) {
  const int ribs = r.between(3, 5), tall = r.between(780, 960), hook = r.chance(50) ? 1 : -1;
  s.fixed(stroke({0, -tall - 100}, {0, 820}, 80), wood);
  for (int i = 0; i < 4; ++i) {
    const point a = on_ellipse({hook * 140, 820}, 140, 150, hook > 0 ? 512 - 128 * i : 128 * i);
    const int angle = hook > 0 ? 384 - 128 * i : 128 * (i + 1);
    s.fixed(stroke(a, on_ellipse({hook * 140, 820}, 140, 150, angle), 80), wood);
  }
  polygon dome = arc({0, 0}, 1000, tall, 512, 1024);
  for (int i = 0; i < ribs; ++i) {  // scallops, from right to left
    const int wide = 1000 / ribs;
    for (const point q : arc({1000 - wide * (2 * i + 1), 0}, wide, 150, 1024, 512)) {
      dome.push_back(q);
    }
  }
  s.body(dome);
  s.shade(stroke({0, -tall}, {0, -60}, 40));
}

void draw_balloon(sketch& s, random_source& r) {
  const int wide = r.between(540, 660), sway = r.between(-180, 180);
  s.fixed(stroke({0, 260}, {sway / 2, 640}, 50), ink);
  s.fixed(stroke({sway / 2, 640}, {-sway / 3, 1100}, 50), ink);
  s.body({{-110, 330}, {0, 180}, {110, 330}});
  s.body(smooth({{-wide, -900},
                 {0, -1100},
                 {wide, -900},
                 {wide, -300},
                 {wide / 2, 120},
                 {0, 280},
                 {-wide / 2, 120},
                 {-wide, -300}},
                3));
  s.tint(turned(ellipse({-wide * 2 / 5, -620}, 80, 190), {-wide * 2 / 5, -620}, 60));
}

void draw_mushroom(sketch& s, random_source& r) {
  const int wide = r.between(860, 1000), foot = r.between(230, 330), tall = r.between(760, 960);
  s.fixed(smooth({{-foot + 40, -60},
                  {foot - 40, -60},
                  {foot + 30, 500},
                  {foot + 90, 860},
                  {-foot - 90, 860},
                  {-foot - 30, 500}},
                 2),
          cream);
  polygon cap = arc({0, 0}, wide, tall, 512, 1024);
  for (const point q : arc({0, 0}, wide, 170, 1024, 1536)) cap.push_back(q);
  s.body(cap);
}

void draw_butterfly(sketch& s, random_source& r) {
  const int spread = r.between(820, 1000), upper = r.between(640, 860), lower = r.between(520, 720);
  for (const int x : {-1, 1}) {
    s.shade(smooth({{x * 40, 0},
                    {x * (spread - 120), 60},
                    {x * (spread - 200), lower},
                    {x * 300, lower + 120}},
                   3));
    s.body(smooth({{x * 40, 80},
                   {x * 200, -upper},
                   {x * spread, -upper - 100},
                   {x * spread, -120},
                   {x * 500, 140}},
                  3));
    s.tint(disc({x * 620, -upper / 2}, 130));
    s.fixed(stroke({x * 20, -380}, {x * 230, -820}, 46), ink);
  }
  s.fixed(ellipse({0, 60}, 100, 520), ink);
}

void draw_snowman(sketch& s, random_source& r) {
  const int belly = r.between(480, 560), chest = r.between(340, 400), head = r.between(260, 300);
  const int waist = 1000 - 2 * belly + 90, neck = waist - 2 * chest + 130;
  for (const int x : {-1, 1}) {
    s.fixed(stroke({x * chest, waist - chest}, {x * (chest + 420), waist - chest - 240}, 60), wood);
  }
  s.body(disc({0, 1000 - belly}, belly));
  s.body(disc({0, waist - chest + 45}, chest));
  s.body(disc({0, neck - head + 40}, head));
  const int top = neck - 2 * head + 90;
  s.fixed(box(-head - 60, top, head + 60, top + 80), ink);
  s.fixed(box(-head + 70, top - r.between(240, 340), head - 70, top + 30), ink);
  for (const int x : {-100, 100}) s.fixed(disc({x, neck - head - 20}, 44), ink);
  s.fixed({{0, neck - head + 10}, {330, neck - head + 80}, {0, neck - head + 120}}, carrot);
  for (const int y : {-60, 160}) s.fixed(disc({0, waist - chest + y}, 50), ink);
}

void draw_rocket(sketch& s, random_source& r) {
  const int half = r.between(270, 360), fin = r.between(260, 400), fire = r.between(260, 420);
  s.fixed(smooth({{-half + 90, 560},
                  {half - 90, 560},
                  {60, 640 + fire},
                  {0, 700 + fire},
                  {-60, 640 + fire}},
                 2),
          flame);
  for (const int x : {-1, 1}) {
    s.shade({{x * (half - 40), 120},
             {x * (half + fin), 560},
             {x * (half + fin), 760},
             {x * (half - 60), 600}});
  }
  s.body(smooth({{0, -1100},
                 {half * 3 / 4, -760},
                 {half, -200},
                 {half, 600},
                 {half - 40, 620},
                 {-half + 40, 620},
                 {-half, 600},
                 {-half, -200},
                 {-half * 3 / 4, -760}},
                2));
  s.fixed(disc({0, -320}, half * 3 / 5), steel);
  s.fixed(disc({0, -320}, half * 2 / 5), glass);
}

void draw_cup(sketch& s, random_source& r) {
  const int top = r.between(560, 680), foot = r.between(400, 560), loop = r.between(230, 300);
  for (int i = 0; i < 8; ++i) {
    const point a = on_ellipse({top - 60, 40}, loop + 130, loop, -256 + 64 * i);
    s.shade(stroke(a, on_ellipse({top - 60, 40}, loop + 130, loop, -192 + 64 * i), 130));
  }
  s.body(smooth({{-top, -480},
                 {-top, -500},
                 {top, -500},
                 {top, -480},
                 {foot + 40, 620},
                 {foot - 80, 700},
                 {-foot + 80, 700},
                 {-foot - 40, 620}},
                1));
  s.fixed(ellipse({0, -490}, top - 10, 110), {92, 60, 42});
  if (r.chance(55)) {
    for (const int x : {-240, 140}) {
      s.fixed(stroke({x, -680}, {x + 90, -800}, 64), {224, 228, 232});
      s.fixed(stroke({x + 90, -800}, {x + 10, -960}, 64), {224, 228, 232});
    }
  }
}

}  // namespace

drawing draw(kind k, std::uint64_t shape_seed) {
  using artist = void (*)(sketch&, random_source&);
  static constexpr std::array<artist, n_kinds> artists{
      draw_boat,     draw_car,       draw_house,   draw_tree,     draw_fish,
      draw_bird,     draw_cat,       draw_flower,  draw_star,     draw_moon,
      draw_sun,      draw_cloud,     draw_apple,   draw_umbrella, draw_balloon,
      draw_mushroom, draw_butterfly, draw_snowman, draw_rocket,   draw_cup};
  sketch s;
  random_source random(shape_seed, 1);
  artists[static_cast<std::size_t>(k)](s, random);
  return std::move(s).fitted();
}

}  // namespace toyland
