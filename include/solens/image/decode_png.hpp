#pragma once

#include <csetjmp>
#include <cstddef>  // std::size_t
#include <cstdint>  // std::uint8_t
#include <cstdio>   // std::snprintf
#include <cstring>  // std::memcpy
#include <new>      // std::bad_alloc
#include <span>
#include <string>
#include <utility>  // std::move

#include <png.h>

#include <solens/core/error.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/image/image.hpp>
#include <solens/image/limits.hpp>

namespace solens {

/// Where libpng's errors land: they jump back to `guarded`, over frames of C and of lambdas
/// that own nothing, and `guarded` throws.
struct png_failure {
  std::jmp_buf jump;
  char text[256] = {};

  /// Runs `step`, which must hold nothing that has a destructor.
  template <class Error, class F>
  void guarded(const char* expected, const std::string& name, F step) {
    if (setjmp(jump) != 0) throw Error("PNG", expected, text, name);
    step();
  }

  [[noreturn]] static void on_error(png_structp png, png_const_charp text) {
    auto& failure = *static_cast<png_failure*>(png_get_error_ptr(png));
    std::snprintf(failure.text, sizeof failure.text, "%s", text);
    std::longjmp(failure.jump, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}
};

/// libpng's reader as an object: errors are exceptions, and nothing leaks.
class png_decoder {
 public:
  png_decoder(std::span<const std::uint8_t> bytes, std::string name)
      : rest_(bytes), name_(std::move(name)) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure_, png_failure::on_error,
                                  png_failure::on_warning);
    info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
    png_set_read_fn(png_, &rest_, read);
  }
  ~png_decoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  png_decoder(const png_decoder&) = delete;
  png_decoder& operator=(const png_decoder&) = delete;

  /// What the header says of the image, with which `decode` begins.
  image_extent read_header(const image_limits& limits) {
    guarded([&] { png_read_info(png_, info_); });
    const image_extent extent{png_get_image_height(png_, info_), png_get_image_width(png_, info_)};
    check_extents("PNG", extent.height, extent.width, limits, name_);
    return extent;
  }

  rgb_image decode(const image_limits& limits) {
    const auto [height, width] = read_header(limits);
    rgb_image image(height, width);
    if (png_get_bit_depth(png_, info_) == 16 &&
        png_get_color_type(png_, info_) == PNG_COLOR_TYPE_GRAY) {
      read_grey_16(image);
    } else {
      guarded([&] {
        convert_to_rgb();
        read_rows(image.row(0), 3 * static_cast<std::size_t>(image.width()));
      });
    }
    return image;
  }

 private:
  template <class F>
  void guarded(F step) {
    failure_.guarded<format_error>("an image", name_, step);
  }

  static void read(png_structp png, png_bytep out, std::size_t size) {
    auto& rest = *static_cast<std::span<const std::uint8_t>*>(png_get_io_ptr(png));
    if (size > rest.size()) png_error(png, "a file that is cut short");
    std::memcpy(out, rest.data(), size);
    rest = rest.subspan(size);
  }

  /// Every kind but 16-bit grey: 8 bits a channel (the high byte of 16), transparency dropped.
  void convert_to_rgb() {
    const auto kind = png_get_color_type(png_, info_);
    if (kind == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (kind == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png_);
    png_set_strip_16(png_);
    png_set_strip_alpha(png_);
    png_set_gray_to_rgb(png_);
  }

  void read_rows(std::uint8_t* to, std::size_t bytes_a_row) {
    const int passes = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    if (png_get_rowbytes(png_, info_) != bytes_a_row) png_error(png_, "rows of another size");
    const std::size_t height = png_get_image_height(png_, info_);
    for (int pass = 0; pass < passes; ++pass) {
      for (std::size_t y = 0; y < height; ++y) png_read_row(png_, to + y * bytes_a_row, nullptr);
    }
  }

  /// 16-bit grey keeps its numbers and is clipped at 255, which is what Pillow's "I;16" does.
  void read_grey_16(rgb_image& image) {
    host_tensor<std::uint8_t> grey(shape{image.height(), image.width(), 2});
    guarded([&] { read_rows(grey.data(), static_cast<std::size_t>(2 * image.width())); });
    const std::uint8_t* from = grey.data();
    std::uint8_t* to = image.row(0);
    for (index_t i = 0; i < image.height() * image.width(); ++i) {
      const std::uint8_t value = from[2 * i] == 0 ? from[2 * i + 1] : std::uint8_t{255};
      for (index_t c = 0; c < 3; ++c) to[3 * i + c] = value;
    }
  }

  std::span<const std::uint8_t> rest_;
  std::string name_;
  png_failure failure_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace solens
