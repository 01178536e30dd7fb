#pragma once

#include <cstdint>
#include <vector>

#include "geometry.hpp"
#include "world.hpp"

namespace toyland {

struct rgb {
  std::uint8_t r, g, b;
  bool operator==(const rgb&) const = default;
};

/// What a part of a drawing is painted with: a tone of the thing's own colour, or one of its own.
struct pigment {
  enum class tone { body, shade, tint, fixed } of = tone::body;
  rgb own{};
};

/// A part of a drawing. Parts of the body carry the texture.
struct part {
  polygon outline;
  pigment with;
};

/// A thing's parts, from back to front. Its box is centred at 0 and 2000 on its longer side.
struct drawing {
  std::vector<part> parts;
  int half_width, half_height;
};

/// The shape of a thing: of one kind, but of many forms.
drawing draw(kind, std::uint64_t shape_seed);

}  // namespace toyland
