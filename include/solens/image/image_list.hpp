#pragma once

#include <algorithm>  // std::sort, std::any_of
#include <cctype>     // std::tolower
#include <cstddef>    // std::size_t
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>  // std::move
#include <vector>

#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>

namespace solens {

/// Paths of images, in the order in which they are worked through.
struct image_list {
  std::vector<std::filesystem::path> paths;
  std::vector<index_t> labels;       ///< a class an image; empty when there are no classes
  std::vector<std::string> classes;  ///< names of the classes, sorted; empty likewise
};

/// Whether a name ends as an image's does: jpg, jpeg or png, in any case.
inline bool has_image_ending(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return ending == ".jpg" || ending == ".jpeg" || ending == ".png";
}

/// Walks a folder for `images_in_folder`. Links to folders are followed, but not in circles.
class image_folder_walk {
 public:
  static std::vector<std::filesystem::path> images(const std::filesystem::path& folder) {
    image_folder_walk walk;
    walk.enter(folder);
    std::sort(walk.found_.begin(), walk.found_.end(),
              [](const auto& a, const auto& b) { return a.generic_string() < b.generic_string(); });
    return std::move(walk.found_);
  }

 private:
  void enter(const std::filesystem::path& folder) {
    std::error_code failure;
    const auto real = std::filesystem::canonical(folder, failure);
    const auto is_real = [&](const auto& above) { return above == real; };
    if (std::any_of(above_.begin(), above_.end(), is_real)) return;
    std::filesystem::directory_iterator entries(folder, failure);
    if (failure) {
      throw io_error("list images", "a folder that can be read", failure.message(),
                     folder.string());
    }
    above_.push_back(real);
    for (const auto& entry : entries) {
      if (entry.is_directory(failure)) {
        enter(entry.path());
      } else if (has_image_ending(entry.path())) {
        found_.push_back(entry.path());
      }
    }
    above_.pop_back();
  }

  std::vector<std::filesystem::path> above_;
  std::vector<std::filesystem::path> found_;
};

/// @throws io_error when there is no such folder
inline void require_folder(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) {
    throw io_error("list images", "a folder", "no folder", folder.string());
  }
}

/// The images of a folder and all folders in it, sorted by the bytes of their paths.
/// @throws io_error when there is no such folder, it cannot be read, or it holds no image
inline image_list images_in_folder(const std::filesystem::path& folder) {
  require_folder(folder);
  image_list list;
  list.paths = image_folder_walk::images(folder);
  if (list.paths.empty()) {
    throw io_error("list images", "a folder with jpg, jpeg or png files", "none", folder.string());
  }
  return list;
}

/// The images of a folder that holds a folder a class, with labels: class after class in the
/// order of their names' bytes. Images outside of the class folders are left out.
/// @throws io_error when there is no such folder, it cannot be read, or no class has an image
inline image_list images_in_class_folders(const std::filesystem::path& folder) {
  require_folder(folder);
  image_list list;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_directory()) list.classes.push_back(entry.path().filename().string());
  }
  std::sort(list.classes.begin(), list.classes.end());
  for (std::size_t label = 0; label < list.classes.size(); ++label) {
    for (auto& path : image_folder_walk::images(folder / list.classes[label])) {
      list.paths.push_back(std::move(path));
      list.labels.push_back(static_cast<index_t>(label));
    }
  }
  if (list.paths.empty()) {
    throw io_error("list images", "folders of images, one for each class", "none", folder.string());
  }
  return list;
}

/// The images that a text file names, a path a line, in its order; empty lines are passed over.
///
/// A relative path that is not found from the working folder is taken from the text file's. A
/// byte order mark and Windows' line ends do no harm. Whether the images are there is found out
/// when they are read.
/// @throws io_error when the file cannot be read; format_error when it names no image or is no
///         text
inline image_list images_in_text_file(const std::filesystem::path& file) {
  std::error_code ignored;
  std::ifstream in;
  // A pipe would block whoever opens it until somebody writes to it.
  if (std::filesystem::is_regular_file(file, ignored)) in.open(file, std::ios::binary);
  if (!in.is_open()) {
    throw io_error("list images", "a text file that can be read", "none", file.string());
  }
  image_list list;
  std::string line;
  for (bool first = true; std::getline(in, line); first = false) {
    if (first && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    if (line.find('\0') != std::string::npos) {
      throw format_error("list images", "a text file with a path a line", "bytes that are no text",
                         file.string());
    }
    while (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    std::filesystem::path path(line);
    if (path.is_relative() && !std::filesystem::exists(path, ignored)) {
      path = file.parent_path() / path;
    }
    list.paths.push_back(std::move(path));
  }
  if (list.paths.empty()) {
    throw format_error("list images", "a text file with a path a line", "no path", file.string());
  }
  return list;
}

/// The images that a path stands for: a folder's, those that a text file names, or one image.
/// @throws as `images_in_folder` and `images_in_text_file` do
inline image_list list_images(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return images_in_folder(path);
  if (!std::filesystem::exists(path, ignored)) {
    throw io_error("list images", "a folder, a text file or an image", "nothing there",
                   path.string());
  }
  if (has_image_ending(path)) return {.paths = {path}, .labels = {}, .classes = {}};
  return images_in_text_file(path);
}

}  // namespace solens
