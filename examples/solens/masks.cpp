#include "masks.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <solens/core/error.hpp>
#include <solens/image/decode.hpp>
#if defined(SOLENS_WITH_HDF5)
#include <solens/image/hdf5_segmentation.hpp>
#endif
#include <solens/image/image_list.hpp>

namespace solens::program {
namespace {

/// @throws format_error for a picture with colours
host_tensor<std::uint8_t> read_mask(const std::string& file) {
  const rgb_image picture = read_image(file);
  host_tensor<std::uint8_t> mask({picture.height(), picture.width()});
  const std::uint8_t* p = picture.row(0);
  for (std::uint8_t& grey : mask) {
    if (p[0] != p[1] || p[1] != p[2]) {
      throw format_error("read mask", "a grey picture", "one with colours", file);
    }
    grey = *p;
    p += 3;
  }
  const std::uint8_t brightest = *std::max_element(mask.begin(), mask.end());
  for (std::uint8_t& grey : mask) grey = 2 * grey > brightest ? 1 : 0;
  return mask;
}

/// The size of an image; none where it cannot be read, which is found out again later.
std::optional<image_extent> size_of(const std::string& image) {
  try {
    return read_image_extent(image);
  } catch (const error&) {
    return std::nullopt;
  }
}

/// @throws shape_error naming the mask that has another size than its image
void check_size(const std::string& mask, const std::string& image) {
  const image_extent own = read_image_extent(mask), wanted = size_of(image).value_or(own);
  if (own == wanted) return;
  const auto text = [](const image_extent& e) {
    return std::to_string(e.width) + " x " + std::to_string(e.height);
  };
  throw shape_error("read mask", text(wanted) + " pixels, as " + image + " has", text(own), mask);
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

mask_reader masks_in_folder(const std::filesystem::path& folder,
                            const std::vector<std::string>& images) {
  std::vector<std::string> found, masks;
  for (const auto& path : images_in_folder(folder).paths) found.push_back(path.string());
  std::map<std::string, std::string> by_name;
  const auto names = names_of_files(found);
  for (std::size_t i = 0; i < found.size(); ++i) by_name.emplace(names[i], found[i]);
  for (const std::string& name : names_of_files(images)) {
    const auto mask = by_name.find(name);
    if (mask == by_name.end()) {
      throw argument_error("pair masks", "a mask for every image",
                           "none for " + images[masks.size()], (folder / name).string() + ".png");
    }
    masks.push_back(mask->second);
    by_name.erase(mask);
  }
  if (!by_name.empty()) {
    throw argument_error("pair masks", "an image for every mask", "none", by_name.begin()->second);
  }
  for (std::size_t i = 0; i < masks.size(); ++i) check_size(masks[i], images[i]);
  return [masks](index_t position) { return read_mask(masks[static_cast<std::size_t>(position)]); };
}

bool is_imagenet_segmentation(const std::filesystem::path& path) {
  return path.extension() == ".mat";
}

#if defined(SOLENS_WITH_HDF5)
marked_images open_imagenet_segmentation(const std::filesystem::path& path) {
  const auto file = std::make_shared<const imagenet_segmentation>(path);
  const auto name = [place = path.string()](index_t i) {
    return place + "[" + std::to_string(i) + "]";
  };
  return {{file->size(), name, [file](index_t i) { return file->image(i); }},
          [file](index_t i) { return file->mask(i); }};
}
#else
marked_images open_imagenet_segmentation(const std::filesystem::path& path) {
  throw not_supported("ImageNet-Segmentation", "a build of solens with HDF5 (libhdf5-dev)",
                      "one without", path.string());
}
#endif

host_tensor<std::uint8_t> mask_as_seen(const host_tensor<std::uint8_t>& mask,
                                       preprocess_options how) {
  how.filter = interpolation::nearest;
  how.fill = 0;
  rgb_image picture(mask.extent(0), mask.extent(1));
  for (index_t i = 0; i < 3 * mask.size(); ++i) picture.row(0)[i] = mask.data()[i / 3];
  const rgb_image seen = resize_and_crop(picture, how);
  host_tensor<std::uint8_t> result({seen.height(), seen.width()});
  for (index_t i = 0; i < result.size(); ++i) result.data()[i] = seen.row(0)[3 * i];
  return result;
}

}  // namespace solens::program
