#include "contact_sheet.hpp"

#include <algorithm>
#include <cstdint>

#include <solens/image/decode.hpp>
#include <solens/image/encode_png.hpp>
#include <solens/image/resize.hpp>

namespace solens::program {
namespace {

constexpr index_t most = 16, columns = 8, side = 96, gap = 4;

/// The image within a square: as large as fits, in the middle.
void place(const rgb_image& image, rgb_image& sheet, index_t top, index_t left) {
  const index_t longer = std::max(image.height(), image.width());
  const index_t height = std::max<index_t>(1, image.height() * side / longer);
  const index_t width = std::max<index_t>(1, image.width() * side / longer);
  const rgb_image small = resize(image, height, width, interpolation::bicubic);
  top += (side - height) / 2;
  left += (side - width) / 2;
  for (index_t y = 0; y < height; ++y) {
    std::copy_n(small.row(y), 3 * width, sheet.row(top + y) + 3 * left);
  }
}

}  // namespace

void write_contact_sheet(const std::string& png, const std::vector<std::string>& paths) {
  const index_t n = std::min(most, std::ssize(paths));
  const index_t wide = std::clamp<index_t>(n, 1, columns);
  const index_t high = std::max<index_t>(1, (n + columns - 1) / columns);
  rgb_image sheet(high * (side + gap) - gap, wide * (side + gap) - gap);
  std::fill_n(sheet.row(0), sheet.view().size(), std::uint8_t{255});
  index_t n_placed = 0;
  for (index_t i = 0; i < n; ++i) {
    try {
      place(read_image(paths[static_cast<std::size_t>(i)]), sheet, i / columns * (side + gap),
            i % columns * (side + gap));
      ++n_placed;
    } catch (const error&) {
      continue;  // an image that has gone since; the JSON names it
    }
  }
  if (n > 0 && n_placed == 0) {
    throw io_error("contact sheet", "image files", "none that can be read", paths.front());
  }
  write_png(png, sheet.view());
}

}  // namespace solens::program
