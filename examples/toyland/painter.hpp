#pragma once

#include <vector>

#include <solens/image/image.hpp>

#include "canvas.hpp"
#include "scene.hpp"

namespace toyland {

struct picture {
  solens::rgb_image image;      ///< [side, side, 3]
  std::vector<coverage> masks;  ///< one a thing, in the scene's order: what is seen of it, 0 to 255
};

inline constexpr int usual_side = 64;

/// Paints a scene. Whole numbers only: the same scene gives the same bytes on every machine.
/// @param side  of the picture in pixels, 8 to 1024
/// @throws solens::argument_error for another side
picture paint(const scene&, int side = usual_side);

}  // namespace toyland
