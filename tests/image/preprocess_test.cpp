#include <solens/image/preprocess.hpp>

#include <zlib.h>

#include <solens/image/decode.hpp>
#include <solens/image/image_list.hpp>
#include <solens/image/image_stream.hpp>
#include <solens/weights/safetensors.hpp>
#include <support/test.hpp>

using namespace solens;

namespace {

rgb_image noise(index_t height, index_t width) {
  rgb_image image(height, width);
  std::mt19937 generator(2);
  for (index_t i = 0; i < image.view().size(); ++i) {
    image.row(0)[i] = static_cast<std::uint8_t>(generator() & 255);
  }
  return image;
}

}  // namespace

TEST_CASE("images are resized to the extents that torchvision and open_clip choose") {
  struct choice {
    image_extent from, shortest_square, shortest, longest_square, longest;
  };
  // From torchvision's Resize(224) and open_clip's ResizeKeepRatio for (224, 336) and 0,
  // (224, 224) and 1, (50, 80) and 1.
  const choice choices[] = {
      {{375, 500}, {224, 298}, {252, 336}, {168, 224}, {50, 67}},
      {{500, 333}, {336, 224}, {505, 336}, {224, 149}, {50, 33}},
      {{1, 40}, {224, 8960}, {224, 8960}, {6, 224}, {2, 80}},
      {{33, 97}, {224, 658}, {224, 658}, {76, 224}, {27, 80}},
      {{224, 224}, {224, 224}, {336, 336}, {224, 224}, {50, 50}},
      {{7, 5}, {313, 224}, {470, 336}, {224, 160}, {50, 36}},
      {{1000, 3}, {74666, 224}, {112000, 336}, {224, 1}, {50, 1}},  // the last is 0 in open_clip
  };
  for (const auto& [from, shortest_square, shortest, longest_square, longest] : choices) {
    INFO(from.height << " x " << from.width);
    CHECK(resized_extent(from, {}) == shortest_square);
    CHECK(resized_extent(from, {.size = {224, 336}}) == shortest);
    CHECK(resized_extent(from, {.resize = resize_mode::longest}) == longest_square);
    CHECK(resized_extent(from, {.resize = resize_mode::longest, .size = {50, 80}}) == longest);
    CHECK(resized_extent(from, {.resize = resize_mode::squash}) == image_extent{224, 224});
    CHECK(resized_extent(from, {.resize = resize_mode::none}) == from);
  }
}

TEST_CASE("a crop is centred as torchvision does, and padded where the image ends") {
  const auto check = [](index_t from, index_t crop, index_t begin, index_t to, index_t count) {
    INFO(from << " to " << crop);
    const auto span = crop_span::centered(from, crop);
    CHECK(span.begin == begin);
    CHECK(span.to == to);
    CHECK(span.count == count);
  };
  check(9, 4, 2, 0, 4);
  check(7, 4, 2, 0, 4);
  check(5, 4, 0, 0, 4);
  check(11, 4, 4, 0, 4);
  check(6, 6, 0, 0, 6);
  check(3, 8, 0, 2, 3);
  check(4, 7, 0, 1, 4);
  check(5, 6, 0, 0, 5);

  const rgb_image image = noise(3, 9);
  const rgb_image padded =
      resize_and_crop(image, {.resize = resize_mode::none, .crop = {8, 4}, .fill = 77});
  for (index_t y = 0; y < 8; ++y) {
    for (index_t i = 0; i < 12; ++i) {
      const bool inside = y >= 2 && y < 5;
      REQUIRE(padded.row(y)[i] == (inside ? image.row(y - 2)[6 + i] : 77));
    }
  }
}

TEST_CASE("pixels are normalised with torchvision's rounding") {
  rgb_image ramp(1, 256);
  for (index_t i = 0; i < ramp.view().size(); ++i) {
    ramp.row(0)[i] = static_cast<std::uint8_t>(i / 3);
  }
  host_tensor<float> out(shape{3, 1, 256});
  normalize(ramp, {}, out);
  CHECK(out(0, 0, 0) == -0x1.cad1b8p+0f);
  CHECK(out(2, 0, 128) == 0x1.5c1b88p-2f);
  // Of the bytes of torchvision's to_tensor and normalize.
  CHECK(crc32(0, reinterpret_cast<const Bytef*>(out.data()), 3 * 256 * sizeof(float)) ==
        0x88a84fb3);
}

TEST_CASE("a picture comes back to the bit from the pixels that were made of it") {
  const rgb_image image = noise(32, 40);
  const preprocess_options other{.white = 200, .mean = {0, 0.5, 1}, .std = {1, 0.01, -2}};
  for (const auto& options : {preprocess_options{}, other}) {
    host_tensor<float> pixels({3, 32, 40});
    normalize(image, options, pixels);
    const rgb_image back = denormalize(pixels, options);
    CHECK(std::equal(back.row(0), back.row(0) + back.view().size(), image.row(0)));
  }
  host_tensor<float> bright({3, 1, 1}, 1e9F);
  CHECK(denormalize(bright, {}).row(0)[2] == 255);
  CHECK_THROWS_AS(denormalize(bright.view().slice(0, 0, 2), {}), shape_error);
}

TEST_CASE("preprocess fills strided outputs and refuses wrong ones") {
  const rgb_image image = noise(40, 30);
  const preprocess_options options{.size = {8, 8}, .crop = {8, 8}};
  host_tensor<float> plain(shape{3, 8, 8}), batch(shape{3, 2, 8, 8});
  preprocess(image, options, plain);
  preprocess(image, options, batch.view().permuted({1, 0, 2, 3})[1]);
  for (index_t c = 0; c < 3; ++c) {
    for (index_t y = 0; y < 8; ++y) {
      for (index_t x = 0; x < 8; ++x) REQUIRE(batch(c, 1, y, x) == plain(c, y, x));
    }
  }
  CHECK_THROWS_AS(preprocess(image, options, host_tensor<float>(shape{3, 8, 9}).view()),
                  shape_error);
  CHECK_THROWS_AS(preprocess(rgb_image(), options, plain), shape_error);
}

TEST_CASE("options that make no sense are refused") {
  CHECK(output_extent({}) == image_extent{224, 224});
  CHECK_THROWS_AS(output_extent({.size = {0, 5}}), argument_error);
  CHECK_THROWS_AS(output_extent({.crop = {-1, 5}}), argument_error);
  CHECK_THROWS_AS(output_extent({.center_crop = false}), argument_error);
  CHECK_THROWS_AS(output_extent({.white = 0}), argument_error);
  CHECK_THROWS_AS(output_extent({.std = {1, 0, 1}}), argument_error);
  CHECK(output_extent({.resize = resize_mode::squash, .size = {3, 4}, .center_crop = false}) ==
        image_extent{3, 4});
}

// What torchvision and Pillow make of the twelve images of tests/data/images.
TEST_CASE("the pixels of the fixtures come out to the bit") {
  const index_t side = GENERATE(32, 64);
  const safetensors_file fixture(test::data("preprocess.safetensors"));
  const auto bytes = fixture.tensor<std::uint8_t>("rgb_first_uint8_" + std::to_string(side));

  const image_list list = images_in_folder(test::data("images"));
  REQUIRE(list.paths.size() == 12);
  const preprocess_options options{.size = {side, side}, .crop = {side, side}};
  for (index_t i = 0; i < 12; ++i) {
    const auto& path = list.paths[static_cast<std::size_t>(i)];
    INFO(path.string() << " to " << side);
    const rgb_image image = resize_and_crop(read_image(path), options);
    const std::uint8_t* expected = bytes.data() + i * image.view().size();
    CHECK(std::equal(image.row(0), image.row(0) + image.view().size(), expected));
  }
}

TEST_CASE("the normalised pixels of the fixtures come out of the stream") {
  const safetensors_file fixture(test::data("preprocess.safetensors"));
  const auto expected = fixture.tensor<float>("rgb_first_32");
  host_tensor<float> pixels(expected.extents());
  const auto paths = images_in_folder(test::data("images")).paths;
  image_stream stream(
      std::ssize(paths), {.size = {32, 32}, .crop = {32, 32}},
      [&](index_t position) { return read_image(paths[static_cast<std::size_t>(position)]); });
  REQUIRE(stream.next(pixels).size() == 12);
  CHECK(stream.skipped().empty());
  CHECK(std::equal(pixels.begin(), pixels.end(), expected.begin()));
}

TEST_CASE("images that resize before they become RGB differ only where RGB is not their kind") {
  const safetensors_file fixture(test::data("preprocess.safetensors"));
  const auto direct = fixture.tensor<float>("direct_32");
  host_tensor<float> pixels(shape{3, 32, 32});
  const image_list list = images_in_folder(test::data("images"));
  for (index_t i = 0; i < 12; ++i) {
    const std::string name = list.paths[static_cast<std::size_t>(i)].filename().string();
    INFO(name);
    preprocess(read_image(list.paths[static_cast<std::size_t>(i)]),
               {.size = {32, 32}, .crop = {32, 32}}, pixels);
    const bool same = std::equal(pixels.begin(), pixels.end(), direct.data() + i * pixels.size());
    const bool other_kind = name.find("rgba") != std::string::npos ||
                            name.find("palette") != std::string::npos ||
                            name.find("alpha") != std::string::npos;
    CHECK(same != other_kind);
  }
}
