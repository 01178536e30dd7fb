#pragma once

#include <cstddef>  // std::size_t
#include <cstdint>  // std::uint8_t
#include <filesystem>
#include <new>  // std::bad_alloc
#include <string>
#include <utility>  // std::move

#include <png.h>

#include <solens/core/atomic_file.hpp>
#include <solens/core/error.hpp>
#include <solens/core/tensor_view.hpp>
#include <solens/image/decode_png.hpp>

namespace solens {

/// libpng's writer as an object: errors are exceptions, and nothing leaks.
class png_encoder {
 public:
  png_encoder() {
    png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, &failure_, png_failure::on_error,
                                   png_failure::on_warning);
    info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_write_struct(&png_, nullptr);
      throw std::bad_alloc();
    }
    png_set_write_fn(png_, &bytes_, append, nullptr);
  }
  ~png_encoder() { png_destroy_write_struct(&png_, &info_); }
  png_encoder(const png_encoder&) = delete;
  png_encoder& operator=(const png_encoder&) = delete;

  std::string encode(host_view<const std::uint8_t> pixels) {
    const int kind = pixels.rank() == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY;
    const auto height = static_cast<png_uint_32>(pixels.extent(0));
    const auto width = static_cast<png_uint_32>(pixels.extent(1));
    const auto bytes_a_row = static_cast<std::size_t>(pixels.stride(0));
    failure_.guarded<format_error>("pixels that can be written", "", [&] {
      png_set_IHDR(png_, info_, width, height, 8, kind, PNG_INTERLACE_NONE,
                   PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
      png_write_info(png_, info_);
      for (std::size_t y = 0; y < height; ++y) {
        png_write_row(png_, pixels.data() + y * bytes_a_row);
      }
      png_write_end(png_, nullptr);
    });
    return std::move(bytes_);
  }

 private:
  static void append(png_structp png, png_bytep data, std::size_t size) {
    bool fits = true;
    try {
      static_cast<std::string*>(png_get_io_ptr(png))
          ->append(reinterpret_cast<const char*>(data), size);
    } catch (...) {
      fits = false;  // libpng's frames let no exception through
    }
    if (!fits) png_error(png, "no memory");
  }

  std::string bytes_;
  png_failure failure_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

/// The bytes of a PNG file.
/// @param pixels  [height, width, 3] for RGB or [height, width] for grey, contiguous
/// @throws shape_error when the pixels have another shape, are none, or more than PNG allows
inline std::string encode_png(host_view<const std::uint8_t> pixels) {
  constexpr index_t limit = 1'000'000;  // a side, of libpng
  const bool right_shape = pixels.rank() == 2 || (pixels.rank() == 3 && pixels.extent(2) == 3);
  if (!right_shape || pixels.empty() || !pixels.contiguous() || pixels.extent(0) > limit ||
      pixels.extent(1) > limit) {
    throw shape_error("encode_png", "contiguous [height, width, 3] or [height, width]",
                      to_string(pixels.extents()));
  }
  return png_encoder().encode(pixels);
}

/// Writes a PNG file, whole or not at all.
/// @param pixels  as for `encode_png`
/// @throws io_error naming the file when it cannot be written; shape_error as `encode_png` does
inline void write_png(const std::filesystem::path& path, host_view<const std::uint8_t> pixels) {
  write_file_atomically(path, encode_png(pixels));
}

}  // namespace solens
