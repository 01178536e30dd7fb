#pragma once

#include <algorithm>  // std::clamp, std::copy_n, std::fill_n, std::max, std::min
#include <array>
#include <cmath>    // std::nearbyint
#include <cstddef>  // std::size_t
#include <cstdint>  // std::uint8_t
#include <string>

#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>
#include <solens/core/tensor_view.hpp>
#include <solens/image/image.hpp>
#include <solens/image/resize.hpp>

namespace solens {

/// What an image is resized to before the centre is cut out.
enum class resize_mode {
  none,
  shortest,  ///< the ratio kept, so that `size` is covered
  longest,   ///< the ratio kept, so that it fits into `size`
  squash     ///< to `size`, whatever the ratio
};

/// How an image becomes what a model sees. The defaults are CLIP's.
///
/// Images are RGB before anything else happens, as in scripts that read them with torchvision's
/// ImageFolder; pipelines that resize first and convert then differ for transparent and palette
/// images.
struct preprocess_options {
  resize_mode resize = resize_mode::shortest;
  image_extent size{224, 224};
  interpolation filter = interpolation::bicubic;
  bool center_crop = true;
  image_extent crop{224, 224};
  std::uint8_t fill = 0;  ///< of pixels around an image that is smaller than the crop
  double white = 255;     ///< the pixel value that becomes 1 before mean and std are applied
  std::array<double, 3> mean{0.48145466, 0.4578275, 0.40821073};
  std::array<double, 3> std{0.26862954, 0.26130258, 0.27577711};
};

/// The extent that every image ends up with.
/// @throws argument_error when the options leave it to the image, or make no sense
inline image_extent output_extent(const preprocess_options& options) {
  const auto require = [](bool holds, const char* expected, const std::string& got,
                          const char* option) {
    if (!holds) throw argument_error("preprocess", expected, got, option);
  };
  const auto require_pixels = [&](const image_extent& extent, const char* option) {
    require(extent.height > 0 && extent.width > 0, "pixels",
            to_string(shape{extent.height, extent.width}), option);
  };
  if (options.resize != resize_mode::none) require_pixels(options.size, "size");
  if (options.center_crop) require_pixels(options.crop, "crop");
  require(options.white > 0, "a positive number", std::to_string(options.white), "white");
  for (double deviation : options.std) {
    require(deviation != 0, "a number other than 0", std::to_string(deviation), "std");
  }
  require(options.center_crop || options.resize == resize_mode::squash,
          "a crop, or a size whatever the image's ratio", "neither", "center_crop");
  return options.center_crop ? options.crop : options.size;
}

/// What an image of extent `from` is resized to, before it is cropped.
///
/// For a square `size` the longer side is cut to whole pixels, as torchvision's Resize does;
/// else both are rounded half to even, as open_clip's ResizeKeepRatio does.
inline image_extent resized_extent(const image_extent& from, const preprocess_options& options) {
  const image_extent& size = options.size;
  if (options.resize == resize_mode::none) return from;
  if (options.resize == resize_mode::squash) return size;
  if (options.resize == resize_mode::shortest && size.height == size.width) {
    const index_t shorter = std::min(from.height, from.width);
    const auto scaled = [&](index_t side) {
      return side == shorter ? size.height
                             : static_cast<index_t>(static_cast<double>(size.height * side) /
                                                    static_cast<double>(shorter));
    };
    return {scaled(from.height), scaled(from.width)};
  }
  const double down = static_cast<double>(from.height) / static_cast<double>(size.height);
  const double across = static_cast<double>(from.width) / static_cast<double>(size.width);
  const double ratio =
      options.resize == resize_mode::longest ? std::max(down, across) : std::min(down, across);
  const auto scaled = [&](index_t side) {
    return static_cast<index_t>(std::nearbyint(static_cast<double>(side) / ratio));
  };
  return {std::max(index_t{1}, scaled(from.height)), std::max(index_t{1}, scaled(from.width))};
}

/// How one axis is cropped about its centre: `count` pixels from `begin` on go to `to`.
struct crop_span {
  index_t begin = 0;
  index_t to = 0;
  index_t count = 0;

  /// An offset of half a pixel is rounded to even; what is missing is shared by both sides, the
  /// odd pixel at the end. Both as torchvision's CenterCrop does.
  static crop_span centered(index_t from, index_t crop) {
    if (crop >= from) return {0, (crop - from) / 2, from};
    const index_t spare = from - crop, half = spare / 2;
    return {spare % 2 == 0 || half % 2 == 0 ? half : half + 1, 0, crop};
  }
};

/// The 8-bit pixels that a model sees of an image: resized, then cropped about the centre.
/// @throws shape_error for an image without pixels; argument_error as `output_extent` does
inline rgb_image resize_and_crop(const rgb_image& image, const preprocess_options& options) {
  output_extent(options);
  if (image.empty()) {
    throw shape_error("resize_and_crop", "an image with pixels", to_string(image.view().extents()));
  }
  const image_extent resized = resized_extent({image.height(), image.width()}, options);
  if (!options.center_crop) return resize(image, resized.height, resized.width, options.filter);

  const auto y = crop_span::centered(resized.height, options.crop.height);
  const auto x = crop_span::centered(resized.width, options.crop.width);
  rgb_image part = resize(image, resized.height, resized.width, options.filter,
                          {y.begin, x.begin, y.count, x.count});
  if (y.count == options.crop.height && x.count == options.crop.width) return part;

  rgb_image padded(options.crop.height, options.crop.width);
  std::fill_n(padded.row(0), padded.view().size(), options.fill);
  for (index_t i = 0; i < y.count; ++i) {
    std::copy_n(part.row(i), 3 * x.count, padded.row(y.to + i) + 3 * x.to);
  }
  return padded;
}

/// (x / white - mean) / std of every pixel, in float32 and with torchvision's rounding.
/// @param out  overwritten, [3, height, width]
/// @throws shape_error when `out` has another shape
inline void normalize(const rgb_image& image, const preprocess_options& options,
                      host_view<float> out) {
  const shape extents{3, image.height(), image.width()};
  if (out.extents() != extents) {
    throw shape_error("normalize", to_string(extents), to_string(out.extents()), "out");
  }
  for (std::size_t c = 0; c < 3; ++c) {
    std::array<float, 256> table;
    for (std::size_t value = 0; value < table.size(); ++value) {
      table[value] = (static_cast<float>(value) / static_cast<float>(options.white) -
                      static_cast<float>(options.mean[c])) /
                     static_cast<float>(options.std[c]);
    }
    const auto plane = out[static_cast<index_t>(c)];
    for (index_t y = 0; y < image.height(); ++y) {
      const std::uint8_t* from = image.row(y) + c;
      const auto to = row_of(plane, y);
      for (index_t x = 0; x < to.size; ++x) to[x] = table[from[3 * x]];
    }
  }
}

/// The picture that `normalize` made these pixels of, to the bit; of others, the nearest one.
/// @param pixels  [3, height, width]
/// @throws shape_error for pixels of another shape
inline rgb_image denormalize(host_view<const float> pixels, const preprocess_options& options) {
  if (pixels.rank() != 3 || pixels.extent(0) != 3) {
    throw shape_error("denormalize", "[3, height, width]", to_string(pixels.extents()), "pixels");
  }
  rgb_image image(pixels.extent(1), pixels.extent(2));
  for (std::size_t c = 0; c < 3; ++c) {
    const auto plane = pixels[static_cast<index_t>(c)];
    for (index_t y = 0; y < image.height(); ++y) {
      const auto from = row_of(plane, y);
      std::uint8_t* to = image.row(y) + c;
      for (index_t x = 0; x < from.size; ++x) {
        const double value = (from[x] * options.std[c] + options.mean[c]) * options.white;
        to[3 * x] = static_cast<std::uint8_t>(std::clamp(std::nearbyint(value), 0.0, 255.0));
      }
    }
  }
  return image;
}

/// What a model sees of an image: resized, cropped, normalised.
/// @param out  overwritten, [3, height, width] with `output_extent(options)`
/// @throws shape_error when `out` has another shape or the image has no pixels
inline void preprocess(const rgb_image& image, const preprocess_options& options,
                       host_view<float> out) {
  normalize(resize_and_crop(image, options), options, out);
}

}  // namespace solens
