#pragma once

#include <algorithm>  // std::equal, std::max
#include <cstdint>    // std::uint8_t
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <solens/core/error.hpp>
#include <solens/image/decode_jpeg.hpp>
#include <solens/image/decode_png.hpp>
#include <solens/image/image.hpp>
#include <solens/image/limits.hpp>

namespace solens {

enum class image_kind { unknown, jpeg, png };

/// What the first bytes of a file say that it is; 8 are enough.
inline image_kind kind_of_image(std::span<const std::uint8_t> bytes) {
  constexpr std::uint8_t jpeg[] = {0xFF, 0xD8, 0xFF};
  constexpr std::uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  const auto starts_with = [&](std::span<const std::uint8_t> magic) {
    return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin());
  };
  if (starts_with(jpeg)) return image_kind::jpeg;
  if (starts_with(png)) return image_kind::png;
  return image_kind::unknown;
}

/// What `f` makes of the decoder for an image's bytes.
/// @throws format_error when they are no image
template <class F>
auto with_image_decoder(std::span<const std::uint8_t> bytes, const std::string& name, F f) {
  switch (kind_of_image(bytes)) {
    case image_kind::jpeg: {
      jpeg_decoder decoder(bytes, name);
      return f(decoder);
    }
    case image_kind::png: {
      png_decoder decoder(bytes, name);
      return f(decoder);
    }
    case image_kind::unknown: break;
  }
  throw format_error("decode_image", "a JPEG or PNG image",
                     bytes.empty() ? "an empty file" : "bytes of another kind", name);
}

/// An image from the bytes of a JPEG or PNG file, told apart by what they hold.
///
/// The pixels are those of Pillow's `Image.open(file).convert("RGB")`: transparency is dropped,
/// not composited; 16 bits a channel become their high byte, but 16-bit grey is clipped at 255;
/// CMYK and YCCK are read as Adobe writes them, inverted; colour profiles, gamma and the EXIF
/// orientation are ignored.
/// @param name  stands in errors, best the file's path
/// @throws format_error when the bytes are no image, are cut short or broken, or claim more
///         pixels than `limits` allow
inline rgb_image decode_image(std::span<const std::uint8_t> bytes, const std::string& name,
                              const image_limits& limits = {}) {
  return with_image_decoder(bytes, name, [&](auto& decoder) { return decoder.decode(limits); });
}

/// The bytes of a file that may be an image: of one that is none, the first few.
/// @throws io_error when the file cannot be read; format_error when it is larger than the limits
inline std::vector<std::uint8_t> read_image_bytes(const std::filesystem::path& path,
                                                  const image_limits& limits) {
  const std::string name = path.string();
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  if (!std::filesystem::is_regular_file(status)) {
    throw io_error("read_image", "a file",
                   std::filesystem::exists(status) ? "something else" : "nothing there", name);
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) throw io_error("read_image", "a file that can be read", "no access", name);

  // A look at the kind first: a large file that is no image need not be read.
  std::vector<std::uint8_t> bytes(8);
  const auto read_more = [&](std::size_t offset) {
    in.read(reinterpret_cast<char*>(bytes.data() + offset),
            static_cast<std::streamsize>(bytes.size() - offset));
    bytes.resize(offset + static_cast<std::size_t>(in.gcount()));
  };
  read_more(0);
  if (kind_of_image(bytes) != image_kind::unknown) {
    const auto size = std::filesystem::file_size(path, failure);
    if (failure) throw io_error("read_image", "a file size", failure.message(), name);
    if (size > static_cast<std::uintmax_t>(limits.max_bytes())) {
      throw format_error("read_image", "at most " + std::to_string(limits.max_bytes()) + " bytes",
                         std::to_string(size), name);
    }
    const std::size_t offset = bytes.size();
    bytes.resize(std::max(offset, static_cast<std::size_t>(size)));
    read_more(offset);
    if (in.bad()) throw io_error("read_image", "a file that can be read", "an error", name);
  }
  return bytes;
}

/// `decode_image` of a file.
/// @throws io_error when the file cannot be read
inline rgb_image read_image(const std::filesystem::path& path, const image_limits& limits = {}) {
  return decode_image(read_image_bytes(path, limits), path.string(), limits);
}

/// The size of a file's image by its header alone.
/// @throws as `read_image` does, but for what is behind the header
inline image_extent read_image_extent(const std::filesystem::path& path,
                                      const image_limits& limits = {}) {
  return with_image_decoder(read_image_bytes(path, limits), path.string(),
                            [&](auto& decoder) { return decoder.read_header(limits); });
}

}  // namespace solens
