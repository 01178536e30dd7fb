#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <solens/core/host_tensor.hpp>
#include <solens/image/preprocess.hpp>

#include "image_input.hpp"

namespace solens::program {

/// Where a thing is in an image, as people marked it, by the image's position: [height, width] of
/// the image, 1 for the thing and 0 for the rest.
/// @throws io_error, format_error naming the mask
using mask_reader = std::function<host_tensor<std::uint8_t>(index_t position)>;

/// Masks from a folder of grey pictures, one for each image, of the image's size and its name but
/// for the ending.
///
/// A pixel is the thing's where it is brighter than half of the brightest of its mask, so that
/// masks of 0 and 1, of 0 and 255, and with soft edges mean what they look like.
/// @param images  that the masks are of, by position
/// @throws argument_error naming the image without a mask, or the mask without an image;
///         shape_error naming a mask of another size than its image; io_error, format_error
mask_reader masks_in_folder(const std::filesystem::path& folder,
                            const std::vector<std::string>& images);

/// Images, and a mask for each.
struct marked_images {
  image_source images;
  mask_reader mask;
};

/// Whether a path is one of ImageNet-Segmentation's file, `gtsegs_ijcv.mat`.
bool is_imagenet_segmentation(const std::filesystem::path&);

/// @throws not_supported in a build without HDF5; as `imagenet_segmentation` does
marked_images open_imagenet_segmentation(const std::filesystem::path&);

/// A mask, resized and cropped as the model sees its image.
host_tensor<std::uint8_t> mask_as_seen(const host_tensor<std::uint8_t>& mask,
                                       preprocess_options how);

/// The name of each file, without folder and ending.
/// @throws argument_error naming two files that would have the same
std::vector<std::string> names_of_files(const std::vector<std::string>& paths);

}  // namespace solens::program
