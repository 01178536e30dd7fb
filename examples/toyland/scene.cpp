#include "scene.hpp"

#include <algorithm>  // std::find, std::clamp, std::min
#include <array>
#include <cstddef>  // std::size_t
#include <utility>  // std::exchange

#include <solens/core/error.hpp>

#include "drawing.hpp"
#include "random.hpp"

namespace toyland {
namespace {

/// Fills in what words leave open.
class imaginer {
 public:
  imaginer(std::uint64_t seed, imagination how) : random_(seed), planted_(how.planted) {}

  scene operator()(description told) {
    if (told.things.empty()) {
      static constexpr std::array<int, most_things> how_many{40, 35, 25};
      told.things.resize(static_cast<std::size_t>(random_.pick(how_many)) + 1);
    }
    scene s{};
    choose_place(told, s);
    for (const mention& m : told.things) s.things.push_back(choose_thing(m, told, s));
    if (s.things.size() > 1) {
      s.between = told.between ? *told.between : static_cast<relation>(random_.below(n_relations));
    }
    for (thing& t : s.things) t.shape_seed = random_.next();
    s.place_seed = random_.next();
    arrange(s);
    return s;
  }

 private:
  /// The setting, and the first thing's kind when it is open: each as the other asks for.
  void choose_place(description& told, scene& s) {
    mention& first = told.things[0];
    if (!first.what && told.place) {
      first.what = choose_kind(*told.place);
    } else if (!first.what) {
      first.what = static_cast<kind>(random_.below(n_kinds));
    }
    if (told.place) {
      s.place = *told.place;
    } else {
      s.place = static_cast<setting>(planted_ ? random_.pick(settings_of(*first.what))
                                              : random_.below(n_settings));
    }
  }

  kind choose_kind(setting place) {
    std::array<int, n_kinds> weights{};
    for (int k = 0; k < n_kinds; ++k) {
      weights[static_cast<std::size_t>(k)] =
          planted_ ? settings_of(static_cast<kind>(k))[static_cast<std::size_t>(place)] : 1;
    }
    return static_cast<kind>(random_.pick(weights));
  }

  thing choose_thing(const mention& m, const description& told, const scene& s) {
    thing t{};
    t.what = m.what ? *m.what : another_kind(told, s);
    t.hue = m.hue ? *m.hue
                  : static_cast<colour>(planted_ ? random_.pick(colours_of(t.what))
                                                 : random_.below(n_colours));
    t.pattern = m.pattern ? *m.pattern
                          : static_cast<texture>(planted_ ? random_.pick(textures_of(t.what))
                                                          : random_.below(n_textures));
    return t;
  }

  /// A kind that is neither told of nor there yet: for the second thing often the first's partner.
  kind another_kind(const description& told, const scene& s) {
    const auto taken = [&](kind k) {
      for (const mention& m : told.things) {
        if (m.what == k) return true;
      }
      for (const thing& t : s.things) {
        if (t.what == k) return true;
      }
      return false;
    };
    if (planted_ && s.things.size() == 1 && random_.chance(35)) {
      if (const kind partner = partner_of(s.things[0].what); !taken(partner)) return partner;
    }
    for (;;) {
      if (const kind k = choose_kind(s.place); !taken(k)) return k;
    }
  }

  void arrange(scene& s) {
    static constexpr std::array<std::array<int, 2>, most_things> sizes{
        {{210, 380}, {160, 235}, {140, 195}}};
    const auto [smallest, largest] = sizes[s.things.size() - 1];
    for (thing& t : s.things) {
      t.where.size = random_.between(smallest, largest);
      const int sway = habit_of(t.what) == habit::stands ? 20 : 40;  // 7 and 14 degrees
      t.where.turn = random_.between(-sway, sway);
      if (t.what == kind::rocket) t.where.turn = random_.between(-90, 150);
      t.where.mirrored = random_.chance(50);
    }
    place_alone(s.things[0]);
    if (s.things.size() > 1) place_pair(s.things[0], s.things[1], *s.between);
    if (s.things.size() > 2) place_third(s);
    for (thing& t : s.things) keep_inside(t.where);
  }

  /// A height where things of the kind are found.
  int natural_height(kind k) {
    return habit_of(k) == habit::flies ? random_.between(280, 540) : random_.between(500, 720);
  }

  void place_alone(thing& t) {
    t.where.centre.x = random_.between(300, 724);
    t.where.centre.y = natural_height(t.what);
  }

  void place_pair(thing& a, thing& b, relation how) {
    if (how == relation::right_of) return place_pair(b, a, relation::left_of);
    if (how == relation::below) return place_pair(b, a, relation::above);
    if (how == relation::on) return place_on(a, b);
    point first{random_.between(220, 300), natural_height(a.what)};
    point second{random_.between(724, 804), natural_height(b.what)};
    if (how == relation::above) {
      first = {random_.between(330, 694), random_.between(230, 300)};
      second = {first.x + random_.between(-90, 90), random_.between(710, 780)};
    }
    a.where.centre = first;
    b.where.centre = second;
  }

  /// The first thing stands on top of the second, both upright.
  void place_on(thing& a, thing& b) {
    const auto half_height = [](const thing& t) {
      return draw(t.what, t.shape_seed).half_height * t.where.size / 1000;
    };
    for (thing* t : {&a, &b}) t->where.turn = 0;
    const int x = random_.between(330, 694);
    const int bottom = random_.between(900, 960);
    b.where.centre = {x, bottom - half_height(b)};
    const int seat = b.where.centre.y - half_height(b) + b.where.size / 8;
    a.where.centre = {x + random_.between(-40, 40), seat - half_height(a)};
  }

  /// The last thing goes where there is most room.
  void place_third(scene& s) {
    int best = -1;
    point chosen{};
    for (const int y : {230, 512, 790}) {
      for (const int x : {220, 512, 804}) {
        const point p{x + random_.between(-50, 50), y + random_.between(-40, 40)};
        int room = 1 << 30;
        for (int i = 0; i < 2; ++i) {
          const placement& other = s.things[static_cast<std::size_t>(i)].where;
          const std::int64_t dx = p.x - other.centre.x, dy = p.y - other.centre.y;
          room = std::min(room, static_cast<int>(root(dx * dx + dy * dy)) - other.size);
        }
        if (room > best) best = room, chosen = p;
      }
    }
    s.things[2].where.centre = chosen;
  }

  /// Nine tenths of a thing's box stay in the picture.
  static void keep_inside(placement& p) {
    const int margin = p.size * 9 / 10;
    p.centre.x = std::clamp(p.centre.x, margin, 1024 - margin);
    p.centre.y = std::clamp(p.centre.y, margin, 1024 - margin);
  }

  random_source random_;
  bool planted_;
};

}  // namespace

scene imagine(const description& told, std::uint64_t seed, imagination how) {
  if (told.things.size() > most_things) {
    throw solens::argument_error("imagine", "at most " + std::to_string(most_things) + " things",
                                 std::to_string(told.things.size()));
  }
  return imaginer(seed, how)(told);
}

description describe(const scene& s) {
  description d{.things = {}, .between = s.between, .place = s.place};
  for (const thing& t : s.things) d.things.push_back({t.what, t.hue, t.pattern});
  return d;
}

namespace {

/// Whether mentions from `first` on have things of their own among those that are free.
bool all_found(const std::vector<mention>& mentions, std::size_t first,
               std::vector<mention>& things) {
  if (first == mentions.size()) return true;
  const mention& m = mentions[first];
  for (mention& t : things) {
    if (t == mention{}) continue;  // taken
    if ((m.what && m.what != t.what) || (m.hue && m.hue != t.hue) ||
        (m.pattern && m.pattern != t.pattern)) {
      continue;
    }
    const mention taken = std::exchange(t, {});
    if (all_found(mentions, first + 1, things)) return true;
    t = taken;
  }
  return false;
}

}  // namespace

bool fits(const description& told, const scene& s) {
  if (told.place && told.place != s.place) return false;
  if (told.between && told.between != s.between) return false;
  description all = describe(s);
  if (!told.between || told.things.size() < 2) return all_found(told.things, 0, all.things);
  for (std::size_t i = 0; i < 2; ++i) {  // things in relation are told in the scene's order
    std::vector<mention> one{all.things[i]};
    if (!all_found({told.things[i]}, 0, one)) return false;
    all.things[i] = {};
  }
  return all_found(told.things, 2, all.things);
}

std::vector<std::string> concepts_of(const scene& s) {
  std::vector<std::string> names;
  const auto add = [&names](std::string_view name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
  };
  for (const thing& t : s.things) add(name_of(t.what));
  for (const thing& t : s.things) add(name_of(t.hue));
  for (const thing& t : s.things) add(name_of(t.pattern));
  if (s.between) add(name_of(*s.between));
  add(name_of(s.place));
  return names;
}

}  // namespace toyland
