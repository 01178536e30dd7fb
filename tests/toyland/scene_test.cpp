#include "support/test.hpp"

#include <algorithm>  // std::count
#include <array>
#include <set>

#include <toyland/data_set.hpp>
#include <toyland/scene.hpp>

using namespace toyland;

TEST_CASE("what is told is painted, what is not is filled in") {
  const description told{{{kind::boat, colour::green, {}}, {{}, {}, texture::dotted}},
                         relation::left_of,
                         setting::desert};
  std::set<colour> colours;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const scene s = imagine(told, seed);
    REQUIRE(s.things.size() == 2);
    CHECK(s.things[0].what == kind::boat);
    CHECK(s.things[0].hue == colour::green);
    CHECK(s.things[1].what != kind::boat);
    CHECK(s.things[1].pattern == texture::dotted);
    CHECK(s.between == relation::left_of);
    CHECK(s.place == setting::desert);
    colours.insert(s.things[1].hue);
  }
  CHECK(colours.size() > 3);
  CHECK_THROWS_AS(imagine({std::vector<mention>(4), {}, {}}, 1), solens::argument_error);
}

TEST_CASE("the first two things stand as their relation says") {
  std::array<int, n_relations> seen{};
  for (int i = 0; i < 400; ++i) {
    const scene s = scene_of({.seed = 4, .things = 2 + i % 2}, i);
    REQUIRE(s.between);
    const point a = s.things[0].where.centre, b = s.things[1].where.centre;
    CAPTURE(i, name_of(*s.between));
    switch (*s.between) {
      case relation::left_of: CHECK(a.x < b.x - 100); break;
      case relation::right_of: CHECK(a.x > b.x + 100); break;
      case relation::on:
      case relation::above: CHECK(a.y < b.y - 100); break;
      case relation::below: CHECK(a.y > b.y + 100); break;
    }
    ++seen[static_cast<std::size_t>(*s.between)];
  }
  for (const int count : seen) CHECK(count > 40);
}

TEST_CASE("a scene tells its concepts, each once") {
  const scene s = imagine(
      {{{kind::cat, colour::black, texture::striped}, {kind::cat, colour::white, texture::striped}},
       relation::on,
       setting::room},
      1);
  CHECK(concepts_of(s) ==
        std::vector<std::string>{"cat", "black", "white", "striped", "on", "room"});
}

TEST_CASE("the planted correlations hold, and can be turned off") {
  constexpr int n = 6000;
  for (const bool planted : {true, false}) {
    int boats = 0, boats_on_sea = 0, apples = 0, red_apples = 0, partners = 0, pairs = 0;
    int mushrooms = 0, dotted_mushrooms = 0;
    for (int i = 0; i < n; ++i) {
      const scene s = scene_of({.seed = 9, .how = {.planted = planted}}, i);
      const thing& first = s.things[0];
      boats += first.what == kind::boat;
      boats_on_sea += first.what == kind::boat && s.place == setting::sea;
      for (const thing& t : s.things) {
        apples += t.what == kind::apple;
        red_apples += t.what == kind::apple && t.hue == colour::red;
        mushrooms += t.what == kind::mushroom;
        dotted_mushrooms += t.what == kind::mushroom && t.pattern == texture::dotted;
      }
      if (s.things.size() < 2) continue;
      ++pairs;
      partners += s.things[1].what == partner_of(first.what);
    }
    CAPTURE(planted);
    REQUIRE(boats > 200);
    REQUIRE(apples > 300);
    REQUIRE(mushrooms > 300);
    // Three standard deviations of a share of 200 things are a tenth.
    CHECK(double(boats_on_sea) / boats == Approx(planted ? 0.75 : 1.0 / 6).margin(0.1));
    CHECK(double(red_apples) / apples == Approx(planted ? 0.58 : 0.1).margin(0.08));
    CHECK(double(dotted_mushrooms) / mushrooms == Approx(planted ? 0.5 : 0.25).margin(0.08));
    CHECK(double(partners) / pairs == Approx(planted ? 0.41 : 1.0 / 19).margin(0.06));
  }
}

TEST_CASE("weights of what goes with what sum to a hundred") {
  const auto sum = [](const auto& weights) {
    int total = 0;
    for (const int w : weights) total += w;
    return total;
  };
  for (int k = 0; k < n_kinds; ++k) {
    CAPTURE(name_of(static_cast<kind>(k)));
    CHECK(sum(settings_of(static_cast<kind>(k))) == 100);
    CHECK(sum(colours_of(static_cast<kind>(k))) == 100);
    CHECK(sum(textures_of(static_cast<kind>(k))) == 100);
  }
}
