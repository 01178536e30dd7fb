#pragma once

#include <algorithm>  // std::min
#include <csetjmp>
#include <cstddef>  // std::size_t
#include <cstdint>  // std::uint8_t
#include <cstdio>   // jpeglib.h needs FILE
#include <span>
#include <string>
#include <utility>  // std::move
#include <vector>

#include <jpeglib.h>

#include <solens/core/error.hpp>
#include <solens/image/image.hpp>
#include <solens/image/limits.hpp>

namespace solens {

/// libjpeg as an object: errors are exceptions, and nothing leaks.
///
/// libjpeg reports an error by a call that must not return. It jumps back to `guarded`, over
/// frames of C and of lambdas that own nothing, and `guarded` throws.
class jpeg_decoder {
 public:
  jpeg_decoder(std::span<const std::uint8_t> bytes, std::string name)
      : bytes_(bytes), name_(std::move(name)) {}
  ~jpeg_decoder() { jpeg_destroy_decompress(&jpeg_); }
  jpeg_decoder(const jpeg_decoder&) = delete;
  jpeg_decoder& operator=(const jpeg_decoder&) = delete;

  /// What the header says of the image, with which `decode` begins.
  image_extent read_header(const image_limits& limits) {
    guarded([&] { open(); });
    const image_extent extent{index_t{jpeg_.image_height}, index_t{jpeg_.image_width}};
    check_extents("JPEG", extent.height, extent.width, limits, name_);
    return extent;
  }

  rgb_image decode(const image_limits& limits) {
    read_header(limits);
    const int components = jpeg_.num_components;
    if (components != 1 && components != 3 && components != 4) {
      throw format_error("JPEG", "1, 3 or 4 components", std::to_string(components), name_);
    }
    jpeg_.out_color_space = components == 4 ? JCS_CMYK : JCS_RGB;
    guarded([&] { jpeg_start_decompress(&jpeg_); });

    rgb_image image(jpeg_.output_height, jpeg_.output_width);
    if (components == 4) {
      read_cmyk(image);
    } else {
      guarded([&] {
        while (jpeg_.output_scanline < jpeg_.output_height) read_rows(image);
      });
    }
    return image;
  }

 private:
  struct failure {
    jpeg_error_mgr base;  // first, so that libjpeg's pointer to it is one to the whole
    std::jmp_buf jump;
    char text[JMSG_LENGTH_MAX];
  };

  /// Runs `step`, which must hold nothing that has a destructor.
  template <class F>
  void guarded(F step) {
    if (setjmp(error_.jump) != 0) {
      throw format_error("JPEG", "an image", error_.text, name_);
    }
    step();
  }

  [[noreturn]] static void on_error(j_common_ptr jpeg) {
    auto& error = *reinterpret_cast<failure*>(jpeg->err);
    error.base.format_message(jpeg, error.text);
    std::longjmp(error.jump, 1);
  }

  [[noreturn]] static void fail(j_common_ptr jpeg, const char* text) {
    auto& error = *reinterpret_cast<failure*>(jpeg->err);
    std::snprintf(error.text, sizeof error.text, "%s", text);
    std::longjmp(error.jump, 1);
  }

  /// A small file can hold thousands of scans, each of which costs a pass over the image.
  static void limit_scans(j_common_ptr jpeg) {
    if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number > 500) {
      fail(jpeg, "more than 500 scans");
    }
  }

  void open() {
    jpeg_.err = jpeg_std_error(&error_.base);
    error_.base.error_exit = on_error;
    error_.base.emit_message = [](j_common_ptr, int) {};  // like Pillow, silent on warnings
    jpeg_create_decompress(&jpeg_);
    jpeg_mem_src(&jpeg_, bytes_.data(), static_cast<unsigned long>(bytes_.size()));
    // libjpeg would go on with a made-up end of image, grey where the rows are missing.
    jpeg_.src->fill_input_buffer = [](j_decompress_ptr jpeg) -> boolean {
      fail(reinterpret_cast<j_common_ptr>(jpeg), "a file that is cut short");
    };
    progress_.progress_monitor = limit_scans;
    jpeg_.progress = &progress_;
    jpeg_read_header(&jpeg_, TRUE);
  }

  void read_rows(rgb_image& image) {
    constexpr JDIMENSION at_once = 8;
    JSAMPROW rows[at_once];
    const JDIMENSION first = jpeg_.output_scanline;
    const JDIMENSION count = std::min(at_once, jpeg_.output_height - first);
    for (JDIMENSION i = 0; i < count; ++i) rows[i] = image.row(first + i);
    jpeg_read_scanlines(&jpeg_, rows, count);
  }

  /// Inks as Adobe's programs write them, inverted: the larger, the less of it.
  void read_cmyk(rgb_image& image) {
    std::vector<std::uint8_t> inks(std::size_t{4} * jpeg_.output_width);
    while (jpeg_.output_scanline < jpeg_.output_height) {
      std::uint8_t* rgb = image.row(jpeg_.output_scanline);
      JSAMPROW row = inks.data();
      guarded([&] { jpeg_read_scanlines(&jpeg_, &row, 1); });
      for (std::size_t x = 0; x < jpeg_.output_width; ++x) {
        for (std::size_t c = 0; c < 3; ++c) {
          const unsigned product = (255u - inks[4 * x + c]) * inks[4 * x + 3] + 128u;
          const unsigned ink = (product + (product >> 8)) >> 8;  // product / 255, rounded
          const unsigned light = inks[4 * x + 3];
          rgb[3 * x + c] = static_cast<std::uint8_t>(light > ink ? light - ink : 0);
        }
      }
    }
  }

  std::span<const std::uint8_t> bytes_;
  std::string name_;
  failure error_{};
  jpeg_decompress_struct jpeg_{};
  jpeg_progress_mgr progress_{};
};

}  // namespace solens
