#include "support/test.hpp"

#include <cstdint>
#include <cstdlib>  // std::abs
#include <span>

#include <toyland/data_set.hpp>
#include <toyland/painter.hpp>
#include <toyland/random.hpp>

using namespace toyland;

namespace {

/// FNV-1a, 64 bits.
std::uint64_t checksum(std::span<const std::uint8_t> bytes) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001B3U;
  return hash;
}

std::uint64_t checksum(const solens::rgb_image& image) {
  return checksum({image.row(0), static_cast<std::size_t>(image.view().size())});
}

scene picture_book(int i) { return scene_of({.seed = 1}, i); }

/// The share of the picture that a mask covers.
double area(const coverage& mask) {
  double sum = 0;
  for (const std::uint8_t value : mask.values()) sum += value;
  return sum / (255.0 * mask.side() * mask.side());
}

}  // namespace

TEST_CASE("a seed gives the same bytes on every machine") {
  CHECK(random_source(1).next() == 0x17DAF0019666393U);
  std::uint64_t all = 0;
  for (int i = 0; i < 200; ++i) all = all * 31 + checksum(paint(picture_book(i)).image);
  CHECK(all == 0xDF1CF0403158111AU);
  CHECK(checksum(paint(picture_book(0)).image) == 0xE91DED88C8C47343U);
  CHECK(checksum(paint(picture_book(0), 200).image) == 0xD324D71B090C8863U);
  CHECK(checksum(paint(scene_of({.seed = 2, .things = 3, .how = {.planted = false}}, 5)).image) ==
        0x15FCDDE8BDAC75C4U);
}

TEST_CASE("every kind, colour, texture and setting can be painted at any size") {
  for (int k = 0; k < n_kinds; ++k) {
    const mention m{static_cast<kind>(k), static_cast<colour>(k % n_colours),
                    static_cast<texture>(k % n_textures)};
    const scene s = imagine({{m}, {}, static_cast<setting>(k % n_settings)}, 3);
    for (const int side : {8, 63, 64, 150}) {
      const picture p = paint(s, side);
      CHECK(p.image.width() == side);
      REQUIRE(p.masks.size() == 1);
      CHECK(area(p.masks[0]) > 0.01);
    }
  }
  CHECK_THROWS_AS(paint(picture_book(0), 7), solens::argument_error);
  CHECK_THROWS_AS(paint(picture_book(0), 1025), solens::argument_error);
}

TEST_CASE("masks say where the things are") {
  for (int i = 0; i < 100; ++i) {
    const scene s = picture_book(i);
    const picture p = paint(s);
    REQUIRE(p.masks.size() == s.things.size());
    for (std::size_t j = 0; j < s.things.size(); ++j) {
      CAPTURE(i, j);
      CHECK(area(p.masks[j]) > 0.004);  // 16 pixels: nothing is hidden
      // Alone, without what hides it, a thing is centred where the scene says.
      scene alone = s;
      alone.things = {s.things[j]};
      const picture q = paint(alone);
      double x = 0, y = 0, sum = 0;
      for (int v = 0; v < usual_side; ++v) {
        for (int u = 0; u < usual_side; ++u) {
          CHECK(p.masks[j](u, v) <= q.masks[0](u, v));
          sum += q.masks[0](u, v);
          x += (u + 0.5) * q.masks[0](u, v);
          y += (v + 0.5) * q.masks[0](u, v);
        }
      }
      const placement& where = s.things[j].where;
      const double scale = 1024.0 / usual_side;
      CHECK(std::abs(x / sum * scale - where.centre.x) < where.size);
      CHECK(std::abs(y / sum * scale - where.centre.y) < where.size);
    }
  }
}

TEST_CASE("outside of its mask a thing changes nothing") {
  const scene with = picture_book(2);
  scene without = with;
  without.things.erase(without.things.begin());
  const picture a = paint(with), b = paint(without);
  for (int y = 0; y < usual_side; ++y) {
    for (int x = 0; x < usual_side; ++x) {
      if (a.masks[0](x, y) > 0) continue;
      for (int c = 0; c < 3; ++c) CHECK(a.image.row(y)[3 * x + c] == b.image.row(y)[3 * x + c]);
    }
  }
}
