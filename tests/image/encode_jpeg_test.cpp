#include <solens/image/encode_jpeg.hpp>

#include <cmath>

#include <solens/image/decode.hpp>
#include <support/test.hpp>

using namespace solens;

namespace {

/// Colours that change slowly, as JPEG likes them.
rgb_image gradient(index_t height, index_t width) {
  rgb_image image(height, width);
  for (index_t y = 0; y < height; ++y) {
    for (index_t x = 0; x < width; ++x) {
      std::uint8_t* pixel = image.row(y) + 3 * x;
      pixel[0] = static_cast<std::uint8_t>(255 * y / height);
      pixel[1] = static_cast<std::uint8_t>(255 * x / width);
      pixel[2] = 90;
    }
  }
  return image;
}

rgb_image read_back(const std::string& bytes) {
  return decode_image({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, "jpeg");
}

double mean_difference(const rgb_image& a, const rgb_image& b) {
  REQUIRE(a.view().extents() == b.view().extents());
  double sum = 0;
  for (index_t i = 0; i < a.view().size(); ++i) sum += std::abs(a.row(0)[i] - b.row(0)[i]);
  return sum / static_cast<double>(a.view().size());
}

}  // namespace

TEST_CASE("a JPEG reads back as nearly the same pixels, the nearer the better its quality") {
  const rgb_image image = gradient(37, 53);
  const std::string good = encode_jpeg(image.view(), 95), poor = encode_jpeg(image.view(), 10);
  CHECK(mean_difference(read_back(good), image) < 2);
  CHECK(mean_difference(read_back(poor), image) > mean_difference(read_back(good), image));
  CHECK(poor.size() < good.size());
  CHECK(encode_jpeg(image.view(), 95) == good);
  // a part of an image, whose rows do not follow one another
  const auto part = image.view().slice(1, 5, 21);
  CHECK(read_back(encode_jpeg(part)).view().extents() == shape{37, 16, 3});
}

TEST_CASE("pixels that no JPEG holds are refused") {
  const host_tensor<std::uint8_t> grey({4, 4}), tall({70000, 1, 3});
  CHECK_THROWS_AS(encode_jpeg(grey.view()), shape_error);
  CHECK_THROWS_AS(encode_jpeg(tall.view()), shape_error);
  CHECK_THROWS_AS(encode_jpeg({}), shape_error);
  const rgb_image image = gradient(8, 8);
  CHECK_THROWS_AS(encode_jpeg(image.view().permuted({1, 0, 2})), shape_error);
}
