#pragma once

#include <array>
#include <cstddef>  // std::size_t
#include <span>
#include <string_view>

/// What there is in toyland, what it is called, and what goes with what.
namespace toyland {

enum class kind {
  boat,
  car,
  house,
  tree,
  fish,
  bird,
  cat,
  flower,
  star,
  moon,
  sun,
  cloud,
  apple,
  umbrella,
  balloon,
  mushroom,
  butterfly,
  snowman,
  rocket,
  cup
};
enum class colour { red, orange, yellow, green, blue, purple, pink, brown, black, white };
enum class texture { plain, striped, dotted, checked };
enum class setting { sea, meadow, night, desert, snow, room };
enum class relation { left_of, right_of, above, below, on };

inline constexpr int n_kinds = 20, n_colours = 10, n_textures = 4, n_settings = 6, n_relations = 5;

/// What a value is called; the first word is its name, the others are synonyms.
using words = std::span<const std::string_view>;
words words_of(kind);
words words_of(colour);
words words_of(texture);
words words_of(setting);   ///< nouns: "sea", "ocean", ...
words words_of(relation);  ///< as they stand between two things: "left of", ...

/// How captions say where a scene takes place: "on the sea", "at sea", ...
words phrases_of(setting);

template <class T>
std::string_view name_of(T value) {
  return words_of(value)[0];
}

/// Where a kind is at home in the picture.
enum class habit { flies, stands, swims };
habit habit_of(kind);

/// The planted correlations: how often things of a kind are in a setting, have a colour, a texture.
/// Weights that sum to 100.
std::span<const int> settings_of(kind);
std::array<int, n_colours> colours_of(kind);
std::array<int, n_textures> textures_of(kind);

/// The kind that likes to be in a scene with it.
kind partner_of(kind);

}  // namespace toyland
