#pragma once

#include <cstdint>

#include "canvas.hpp"
#include "world.hpp"

namespace toyland {

/// Paints a setting over the whole picture.
/// @param seed  of its details: where the horizon is, the waves, the flowers, the shade of light
void paint_setting(canvas&, setting, std::uint64_t seed);

}  // namespace toyland
