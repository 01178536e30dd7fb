#include "masks.hpp"

#include <algorithm>
#include <utility>

#include <solens/core/error.hpp>
#include <solens/image/decode.hpp>
#include <solens/image/image_list.hpp>

namespace solens::program {
namespace {

/// 255 for the thing, else 0, in all three channels.
/// @throws format_error for a picture with colours
rgb_image in_black_and_white(rgb_image mask, const std::string& name) {
  const std::size_t n = static_cast<std::size_t>(mask.height() * mask.width());
  std::uint8_t* const pixels = mask.row(0);
  std::uint8_t brightest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint8_t* p = pixels + 3 * i;
    if (p[0] != p[1] || p[1] != p[2]) {
      throw format_error("read mask", "a grey picture", "one with colours", name);
    }
    brightest = std::max(brightest, p[0]);
  }
  for (std::size_t i = 0; i < 3 * n; ++i) pixels[i] = 2 * pixels[i] > brightest ? 255 : 0;
  return mask;
}

}  // namespace

std::vector<std::string> names_of_files(const std::vector<std::string>& paths) {
  std::vector<std::string> names;
  std::map<std::string, std::string> seen;
  for (const std::string& path : paths) {
    names.push_back(std::filesystem::path(path).stem().string());
    const auto [first, is_new] = seen.emplace(names.back(), path);
    if (is_new) continue;
    throw argument_error("list images", "names that differ, but for the ending",
                         "'" + names.back() + "' twice", first->second + ", " + path);
  }
  return names;
}

mask_folder::mask_folder(const std::filesystem::path& folder,
                         const std::vector<std::string>& images)
    : images_(images) {
  std::vector<std::string> found;
  for (const auto& path : images_in_folder(folder).paths) found.push_back(path.string());
  std::map<std::string, std::string> by_name;
  const auto names = names_of_files(found);
  for (std::size_t i = 0; i < found.size(); ++i) by_name.emplace(names[i], found[i]);
  for (const std::string& name : names_of_files(images)) {
    const auto mask = by_name.find(name);
    if (mask == by_name.end()) {
      throw argument_error("pair masks", "a mask for every image",
                           "none for " + images[masks_.size()], (folder / name).string() + ".png");
    }
    masks_.emplace_back(mask->second);
    by_name.erase(mask);
  }
  if (by_name.empty()) return;
  throw argument_error("pair masks", "an image for every mask", "none", by_name.begin()->second);
}

host_tensor<std::uint8_t> mask_folder::read(index_t position, preprocess_options how) const {
  const std::filesystem::path& path = masks_[static_cast<std::size_t>(position)];
  const std::string& image = images_[static_cast<std::size_t>(position)];
  const rgb_image mask = in_black_and_white(read_image(path), path.string()),
                  marked = read_image(image);
  if (mask.view().extents() != marked.view().extents()) {
    const auto size = [](const rgb_image& of) {
      return std::to_string(of.width()) + " x " + std::to_string(of.height());
    };
    throw shape_error("read mask", size(marked) + " pixels, as " + image + " has", size(mask),
                      path.string());
  }
  how.filter = interpolation::nearest;
  how.fill = 0;
  const rgb_image seen = resize_and_crop(mask, how);
  host_tensor<std::uint8_t> result({seen.height(), seen.width()});
  for (index_t i = 0; i < result.size(); ++i) result.data()[i] = seen.row(0)[3 * i] == 0 ? 0 : 1;
  return result;
}

}  // namespace solens::program
