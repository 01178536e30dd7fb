#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "geometry.hpp"
#include "world.hpp"

namespace toyland {

/// A thing as words tell of it: what they leave out is open.
struct mention {
  std::optional<kind> what;
  std::optional<colour> hue;
  std::optional<texture> pattern;
  bool operator==(const mention&) const = default;
};

/// A scene as words tell of it.
struct description {
  std::vector<mention> things;      ///< at most `most_things`; none: any number
  std::optional<relation> between;  ///< of the first thing to the second
  std::optional<setting> place;
  bool operator==(const description&) const = default;
};

inline constexpr int most_things = 3;

/// Where a thing is, in 1/1024 of the picture's side.
struct placement {
  point centre;
  int size;       ///< half the longer side of its box, before it is turned
  int turn;       ///< clockwise, in 1/1024 turn
  bool mirrored;  ///< looks to the left
};

/// One thing, with all that is needed to draw it.
struct thing {
  kind what;
  colour hue;
  texture pattern;
  placement where;
  std::uint64_t shape_seed;  ///< of its shape, shade and texture
};

/// Everything that is in a picture. The same scene is painted the same, at any size.
struct scene {
  setting place;
  std::vector<thing> things;        ///< the ones in front first
  std::optional<relation> between;  ///< of the first thing to the second; set when there are two
  std::uint64_t place_seed;         ///< of the setting's details
};

struct imagination {
  /// Whether what words leave open follows the planted correlations (`settings_of`, `colours_of`,
  /// ...), or is drawn evenly.
  bool planted = true;
};

/// A scene that fits the words. The same words and seed give the same scene, on every machine.
/// @throws solens::argument_error for more than `most_things` things
scene imagine(const description&, std::uint64_t seed, imagination how = {});

/// All of a scene that words could tell.
description describe(const scene&);

/// Whether what words tell is true of a scene: each thing told of is one of its own, and the
/// setting and relation are these. A relation told with two things stands between just these.
bool fits(const description& told, const scene&);

/// The names of what is in a scene, without repetition: kinds, colours and textures of its things,
/// the relation, the setting.
std::vector<std::string> concepts_of(const scene&);

}  // namespace toyland
