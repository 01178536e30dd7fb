#include <solens/image/encode_png.hpp>

#include <solens/image/decode.hpp>
#include <support/test.hpp>

using namespace solens;

namespace {

host_tensor<std::uint8_t> noise(const shape& extents) {
  host_tensor<std::uint8_t> pixels(extents);
  std::mt19937 generator(11);
  for (auto& value : pixels) value = static_cast<std::uint8_t>(generator() & 255);
  return pixels;
}

}  // namespace

TEST_CASE("a written PNG reads back as the same pixels") {
  const test::temporary_folder folder;
  const auto colour = noise({7, 9, 3});
  write_png(folder / "colour.png", colour);
  const rgb_image image = read_image(folder / "colour.png");
  REQUIRE(image.view().extents() == colour.extents());
  CHECK(std::equal(colour.begin(), colour.end(), image.row(0)));

  const auto grey = noise({9, 5});
  write_png(folder / "grey.png", grey);
  const rgb_image same = read_image(folder / "grey.png");
  REQUIRE(same.view().extents() == shape{9, 5, 3});
  for (index_t i = 0; i < grey.size(); ++i) {
    for (index_t c = 0; c < 3; ++c) REQUIRE(same.row(0)[3 * i + c] == grey.data()[i]);
  }
}

TEST_CASE("a PNG that cannot be written leaves what was there") {
  const test::temporary_folder folder;
  const auto pixels = noise({2, 2, 3});
  CHECK_THROWS_AS(write_png(folder / "nowhere/a.png", pixels), io_error);

  test::write_file(folder / "kept.png", "kept");
  CHECK_THROWS_AS(write_png(folder / "kept.png", noise({2, 2, 4})), shape_error);
  CHECK(test::read_file(folder / "kept.png") == "kept");
}

TEST_CASE("what is no picture is refused") {
  CHECK_THROWS_AS(encode_png(host_view<const std::uint8_t>()), shape_error);
  CHECK_THROWS_AS(encode_png(noise({4})), shape_error);
  CHECK_THROWS_AS(encode_png(noise({0, 3, 3})), shape_error);
  const auto pixels = noise({4, 4});
  CHECK_THROWS_AS(encode_png(pixels.view().transposed()), shape_error);
}
