#include <solens/image/decode.hpp>

#include <cstdint>
#include <filesystem>
#include <sstream>

#include <zlib.h>

#include <solens/image/preprocess.hpp>
#include <support/test.hpp>

using namespace solens;
using Catch::Matchers::Contains;

namespace {

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string kind_file(const std::string& name) {
  return test::read_file(test::data("images-kinds/" + name));
}

unsigned long crc_of(const rgb_image& image) {
  return crc32(0, image.row(0), static_cast<uInt>(image.view().size()));
}

std::string big_endian(std::uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 255);
  return text;
}

std::string png_chunk(const std::string& kind, const std::string& data) {
  const std::string body = kind + data;
  const auto crc = crc32(0, bytes_of(body).data(), static_cast<uInt>(body.size()));
  return big_endian(static_cast<std::uint32_t>(data.size())) + body +
         big_endian(static_cast<std::uint32_t>(crc));
}

/// The head of an 8-bit RGB PNG that claims an extent, and no pixels.
std::string png_that_claims(std::uint32_t width, std::uint32_t height) {
  using namespace std::string_literals;
  return "\x89PNG\r\n\x1a\n" +
         png_chunk("IHDR", big_endian(width) + big_endian(height) + "\x08\x02\x00\x00\x00"s) +
         png_chunk("IDAT", "");
}

/// Either an image comes out, or one of our errors; anything else fails the test.
bool decodes(const std::string& bytes) {
  try {
    return !decode_image(bytes_of(bytes), "a test").empty();
  } catch (const format_error&) {
    return false;
  }
}

}  // namespace

TEST_CASE("every kind of JPEG and PNG becomes the pixels that Pillow reads") {
  std::istringstream table(kind_file("expected.txt"));
  std::string name;
  index_t width = 0, height = 0;
  unsigned long crc = 0;
  int n_files = 0;
  while (table >> name >> width >> height >> std::hex >> crc >> std::dec) {
    INFO(name);
    const rgb_image image = read_image(test::data("images-kinds/" + name));
    CHECK(image.width() == width);
    CHECK(image.height() == height);
    CHECK(crc_of(image) == crc);
    ++n_files;
  }
  CHECK(n_files == 45);
}

TEST_CASE("photos and their crops are Pillow's to the bit") {
  SOLENS_NEEDS(test::shared_data("images"));
  std::ifstream table(test::data("pixel-checksums.txt"));
  std::string name;
  unsigned long whole = 0, crop = 0;
  int n_files = 0;
  while (table >> name >> std::hex >> whole >> crop) {
    INFO(name);
    const rgb_image image = read_image(test::shared_data("images/" + name));
    CHECK(crc_of(image) == whole);
    CHECK(crc_of(resize_and_crop(image, {})) == crop);
    ++n_files;
  }
  CHECK(n_files == 200);
}

TEST_CASE("the kind is told by the content, not by the name") {
  const test::temporary_folder folder;
  test::write_file(folder / "is-a-png.jpg", kind_file("rgb-8.png"));
  test::write_file(folder / "is-a-jpeg.png", kind_file("grey.jpg"));
  CHECK(read_image(folder / "is-a-png.jpg").width() == 19);
  CHECK(read_image(folder / "is-a-jpeg.png").width() == 19);
}

TEST_CASE("an image's size is known by its header alone") {
  const test::temporary_folder folder;
  for (const char* name :
       {"ycbcr-420.jpg", "progressive-cmyk.jpg", "rgb-8-interlaced.png", "palette-short.png"}) {
    const rgb_image image = read_image(test::data("images-kinds") / name);
    CHECK(read_image_extent(test::data("images-kinds") / name) ==
          image_extent{image.height(), image.width()});
    const std::string whole = kind_file(name);
    test::write_file(folder / "cut", whole.substr(0, whole.size() - 40));
    CHECK(read_image_extent(folder / "cut") == image_extent{image.height(), image.width()});
  }
  test::write_file(folder / "cut", kind_file("rgb-8.png").substr(0, 20));
  CHECK_THROWS_AS(read_image_extent(folder / "cut"), format_error);
  CHECK_THROWS_WITH(read_image_extent(test::data("images-kinds/rgb-8.png"), {.max_pixels = 5}),
                    Contains("at most 5 pixels") && Contains("rgb-8.png"));
}

TEST_CASE("files that are no image say so, with their name") {
  const test::temporary_folder folder;
  test::write_file(folder / "text.jpg", "These are words, and not a picture of any.\n");
  test::write_file(folder / "empty.png", "");
  CHECK_THROWS_AS(read_image(folder / "text.jpg"), format_error);
  CHECK_THROWS_WITH(read_image(folder / "text.jpg"),
                    Contains("expected a JPEG or PNG image") && Contains("text.jpg"));
  CHECK_THROWS_AS(read_image(folder / "empty.png"), format_error);
  CHECK_THROWS_WITH(read_image(folder / "empty.png"),
                    Contains("an empty file") && Contains("empty.png"));
  CHECK_THROWS_AS(read_image(folder / "missing.png"), io_error);
  CHECK_THROWS_WITH(read_image(folder / "missing.png"), Contains("missing.png"));
  CHECK_THROWS_AS(read_image(folder.path()), io_error);
}

TEST_CASE("a file that is cut anywhere is an error or an image, never a crash") {
  for (const char* name : {"ycbcr-420.jpg", "progressive-cmyk.jpg", "cmyk.jpg", "rgb-8.png",
                           "grey-16-interlaced.png", "palette-short.png"}) {
    const std::string whole = kind_file(name);
    REQUIRE(decodes(whole));
    for (std::size_t size = 0; size < whole.size(); ++size) {
      INFO(name << " cut to " << size << " of " << whole.size());
      // Copied, so that the address sanitizer sees a read past the end.
      const bool decoded = decodes(std::string(whole, 0, size));
      // A PNG's last chunk, of 12 bytes, holds no pixels; Pillow reads one without it as well.
      if (kind_of_image(bytes_of(whole)) == image_kind::jpeg || size + 24 < whole.size()) {
        CHECK_FALSE(decoded);
      }
    }
  }
}

TEST_CASE("a cut JPEG is an error and not half grey") {
  const std::string whole = kind_file("ycbcr-444.jpg");
  const std::string cut = whole.substr(0, whole.size() - 40);
  CHECK_THROWS_AS(decode_image(bytes_of(cut), "cut.jpg"), format_error);
  CHECK_THROWS_WITH(decode_image(bytes_of(cut), "cut.jpg"),
                    Contains("cut short") && Contains("cut.jpg"));
}

TEST_CASE("a file with any one byte changed is an error or an image, never a crash") {
  for (const char* name : {"ycbcr-420.jpg", "progressive.jpg", "ycck.jpg", "rgba-16.png",
                           "palette-4-trns.png", "rgb-8-interlaced.png"}) {
    std::string bytes = kind_file(name);
    int n_errors = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const char kept = bytes[i];
      for (const int flip : {0x01, 0x80, 0xFF}) {
        INFO(name << ": byte " << i << " ^ " << flip);
        bytes[i] = static_cast<char>(kept ^ flip);
        try {
          decode_image(bytes_of(bytes), "a test", {.max_pixels = 1'000'000});
        } catch (const format_error&) {
          ++n_errors;
        }
      }
      bytes[i] = kept;
    }
    CHECK(n_errors > 0);
  }
}

TEST_CASE("an image that claims too many pixels is refused before memory is asked for") {
  const std::string huge = png_that_claims(100'000, 100'000);
  CHECK_THROWS_AS(decode_image(bytes_of(huge), "huge.png"), format_error);
  CHECK_THROWS_WITH(decode_image(bytes_of(huge), "huge.png"),
                    Contains("at most 178956970 pixels, got 100000 x 100000 (huge.png)"));

  std::string jpeg = kind_file("grey.jpg");
  const std::size_t frame = jpeg.find("\xFF\xC0");
  REQUIRE(frame != std::string::npos);
  jpeg.replace(frame + 5, 4, "\xF0\x00\xF0\x00", 4);
  CHECK_THROWS_WITH(decode_image(bytes_of(jpeg), "huge.jpg"),
                    Contains("pixels, got 61440 x 61440 (huge.jpg)"));

  const std::string small = kind_file("rgb-8.png");
  CHECK_THROWS_AS(decode_image(bytes_of(small), "small.png", {.max_pixels = 19 * 13 - 1}),
                  format_error);
  CHECK(decode_image(bytes_of(small), "small.png", {.max_pixels = 19 * 13}).width() == 19);
}

TEST_CASE("a file larger than any image is refused before it is read") {
  const test::temporary_folder folder;
  const auto file = folder / "sparse.png";
  test::write_file(file, kind_file("rgb-8.png"));
  CHECK(read_image(file).width() == 19);
  std::filesystem::resize_file(file, std::uintmax_t{1} << 40);
  CHECK_THROWS_AS(read_image(file), format_error);
  CHECK_THROWS_WITH(read_image_extent(file),
                    Contains("at most 1498764624 bytes, got 1099511627776"));
}
