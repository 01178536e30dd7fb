#pragma once

#include <string>
#include <vector>

namespace solens::program {

/// Writes images side by side, the first at the top left, for a look: at most 16 of them, eight in
/// a row, each made to fit a square of 96 pixels.
/// @param png    where the sheet goes
/// @param paths  images; one that cannot be read leaves a gap
/// @throws io_error naming the PNG, or the first image where there are some and none can be read
void write_contact_sheet(const std::string& png, const std::vector<std::string>& paths);

}  // namespace solens::program
