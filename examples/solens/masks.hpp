#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <solens/core/host_tensor.hpp>
#include <solens/image/preprocess.hpp>

namespace solens::program {

/// Where things are in images, as people marked it: a folder of grey pictures, one for each image,
/// of the image's size and its name but for the ending.
///
/// A pixel is the thing's where it is brighter than half of the brightest of its mask, so that
/// masks of 0 and 1, of 0 and 255, and with soft edges mean what they look like.
class mask_folder {
 public:
  /// @param images  that the masks are of, by position
  /// @throws io_error, argument_error naming the image without a mask, or the mask without an image
  mask_folder(const std::filesystem::path& folder, const std::vector<std::string>& images);

  /// The mask of an image, resized and cropped as the model sees the image: 1 for the thing, else
  /// 0, [height, width].
  /// @throws io_error; shape_error, format_error naming the mask that has another size than its
  ///         image, or is not grey
  host_tensor<std::uint8_t> read(index_t position, preprocess_options how) const;

 private:
  std::vector<std::string> images_;
  std::vector<std::filesystem::path> masks_;  ///< by position of the image
};

/// The name of each file, without folder and ending.
/// @throws argument_error naming two files that would have the same
std::vector<std::string> names_of_files(const std::vector<std::string>& paths);

}  // namespace solens::program
