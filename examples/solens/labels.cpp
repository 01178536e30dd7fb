#include "labels.hpp"

#include <algorithm>
#include <filesystem>

#include <solens/core/error.hpp>
#include <solens/image/image_list.hpp>
#include <solens/weights/npy.hpp>

namespace solens::program {
namespace {

std::vector<index_t> numbers_of(const std::string& path, index_t n_classes) {
  const npy_file file(path);
  if (file.extents().rank() != 1) {
    throw shape_error("read labels", "a label an image", to_string(file.extents()), path);
  }
  const auto numbers = file.tensor<index_t>();
  for (const index_t label : numbers) {
    if (label < 0 || label >= n_classes) {
      throw argument_error("read labels", "labels from 0 to " + std::to_string(n_classes - 1),
                           std::to_string(label), path);
    }
  }
  return {numbers.begin(), numbers.end()};
}

/// The position of each folder's class among the classifier's.
std::vector<index_t> classes_of_folders(const image_list& images, index_t n_classes,
                                        const std::vector<std::string>& classes,
                                        const std::string& place) {
  const auto& names = classes.empty() ? images.classes : classes;
  if (std::ssize(images.classes) != n_classes && classes.empty()) {
    throw shape_error("read labels", std::to_string(n_classes) + " class folders, as --classifier",
                      std::to_string(images.classes.size()), place);
  }
  std::vector<index_t> result, n_images(names.size(), 0);
  for (const std::string& folder : images.classes) {
    const auto found = std::find(names.begin(), names.end(), folder);
    if (found == names.end()) {
      throw argument_error("read labels", "folders that --classes names", folder, place);
    }
    result.push_back(found - names.begin());
  }
  for (const index_t label : images.labels) {
    ++n_images[static_cast<std::size_t>(result[static_cast<std::size_t>(label)])];
  }
  for (std::size_t c = 0; c < names.size(); ++c) {
    if (n_images[c] > 0) continue;
    throw argument_error("read labels", "images of every class", "none of '" + names[c] + "'",
                         place);
  }
  return result;
}

}  // namespace

std::vector<index_t> labels_of(const image_options& input, const std::string& label_ids,
                               index_t n_images, index_t n_classes,
                               const std::vector<std::string>& classes) {
  std::vector<index_t> labels;
  if (!label_ids.empty()) {
    labels = numbers_of(label_ids, n_classes);
  } else {
    const image_list images = images_in_class_folders(input.images);
    const auto of_folder = classes_of_folders(images, n_classes, classes, input.images);
    for (const index_t label : images.labels) {
      labels.push_back(of_folder[static_cast<std::size_t>(label)]);
    }
  }
  if (std::ssize(labels) == n_images) return labels;
  throw shape_error("read labels", std::to_string(n_images) + " labels, as there are images",
                    std::to_string(labels.size()), label_ids.empty() ? input.images : label_ids);
}

}  // namespace solens::program
