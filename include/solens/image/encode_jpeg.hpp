#pragma once

#include <csetjmp>
#include <cstddef>  // std::size_t
#include <cstdint>  // std::uint8_t
#include <cstdio>   // jpeglib.h needs FILE
#include <cstdlib>  // std::free
#include <string>

#include <jpeglib.h>

#include <solens/core/error.hpp>
#include <solens/core/tensor_view.hpp>

namespace solens {

/// libjpeg's writer as an object: errors are exceptions, and nothing leaks. It jumps back to
/// `encode` as the reader does, over frames that own nothing.
class jpeg_encoder {
 public:
  jpeg_encoder() {
    jpeg_.err = jpeg_std_error(&error_.base);
    error_.base.error_exit = on_error;
  }
  ~jpeg_encoder() {
    jpeg_destroy_compress(&jpeg_);
    std::free(bytes_);
  }
  jpeg_encoder(const jpeg_encoder&) = delete;
  jpeg_encoder& operator=(const jpeg_encoder&) = delete;

  std::string encode(host_view<const std::uint8_t> pixels, int quality) {
    if (setjmp(error_.jump) != 0) {
      throw format_error("JPEG", "pixels that can be written", error_.text);
    }
    jpeg_create_compress(&jpeg_);
    jpeg_mem_dest(&jpeg_, &bytes_, &size_);
    jpeg_.image_height = static_cast<JDIMENSION>(pixels.extent(0));
    jpeg_.image_width = static_cast<JDIMENSION>(pixels.extent(1));
    jpeg_.input_components = 3;
    jpeg_.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg_);
    jpeg_set_quality(&jpeg_, quality, TRUE);
    jpeg_.optimize_coding = TRUE;  // a tenth less of a small picture
    jpeg_start_compress(&jpeg_, TRUE);
    while (jpeg_.next_scanline < jpeg_.image_height) {
      const std::uint8_t* from = &pixels(static_cast<index_t>(jpeg_.next_scanline), 0, 0);
      JSAMPROW row = const_cast<JSAMPROW>(from);  // libjpeg only reads it
      jpeg_write_scanlines(&jpeg_, &row, 1);
    }
    jpeg_finish_compress(&jpeg_);
    return {reinterpret_cast<const char*>(bytes_), static_cast<std::size_t>(size_)};
  }

 private:
  struct failure {
    jpeg_error_mgr base;  // first, so that libjpeg's pointer to it is one to the whole
    std::jmp_buf jump;
    char text[JMSG_LENGTH_MAX];
  };

  [[noreturn]] static void on_error(j_common_ptr jpeg) {
    auto& error = *reinterpret_cast<failure*>(jpeg->err);
    error.base.format_message(jpeg, error.text);
    std::longjmp(error.jump, 1);
  }

  failure error_{};
  jpeg_compress_struct jpeg_{};
  unsigned char* bytes_ = nullptr;
  unsigned long size_ = 0;
};

/// The bytes of a JPEG file, colours at half the resolution, for pictures to look at.
/// @param pixels   [height, width, 3], rows contiguous
/// @param quality  from 1 to 100
/// @throws shape_error when the pixels have another shape, are none, or more than JPEG allows
inline std::string encode_jpeg(host_view<const std::uint8_t> pixels, int quality = 85) {
  const bool right_shape = pixels.rank() == 3 && pixels.extent(2) == 3 && !pixels.empty() &&
                           pixels.stride(2) == 1 && pixels.stride(1) == 3;
  if (!right_shape || pixels.extent(0) > JPEG_MAX_DIMENSION ||
      pixels.extent(1) > JPEG_MAX_DIMENSION) {
    throw shape_error("encode_jpeg", "[height, width, 3], contiguous rows",
                      to_string(pixels.extents()));
  }
  return jpeg_encoder().encode(pixels, quality);
}

}  // namespace solens
