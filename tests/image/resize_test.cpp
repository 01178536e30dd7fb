#include <solens/image/resize.hpp>

#include <support/test.hpp>

using namespace solens;

namespace {

rgb_image noise(index_t height, index_t width) {
  rgb_image image(height, width);
  std::mt19937 generator(5);
  for (index_t i = 0; i < image.view().size(); ++i) {
    image.row(0)[i] = static_cast<std::uint8_t>(generator() & 255);
  }
  return image;
}

/// The definition: exact weights, each pass over the whole image, one number at a time.
rgb_image resize_plainly(const rgb_image& image, index_t height, index_t width,
                         interpolation filter) {
  const auto sum = [](const resample_window& window, std::size_t i, auto pixel) {
    std::int64_t total = 1 << (resample_window::fraction_bits - 1);
    for (std::size_t t = 0; t < window.count(i); ++t) {
      total += std::int64_t{window.weights(i)[t]} * pixel(window.first(i) + index_t(t));
    }
    return static_cast<std::uint8_t>(
        std::clamp<std::int64_t>(total >> resample_window::fraction_bits, 0, 255));
  };
  rgb_image between(image.height(), width), out(height, width);
  const resample_window x(image.width(), width, 0, width, filter);
  const resample_window y(image.height(), height, 0, height, filter);
  for (index_t r = 0; r < image.height(); ++r) {
    for (index_t i = 0; i < 3 * width; ++i) {
      between.row(r)[i] =
          sum(x, std::size_t(i / 3), [&](index_t at) { return image.row(r)[3 * at + i % 3]; });
    }
  }
  for (index_t r = 0; r < height; ++r) {
    for (index_t i = 0; i < 3 * width; ++i) {
      out.row(r)[i] = sum(y, std::size_t(r), [&](index_t at) { return between.row(at)[i]; });
    }
  }
  return out;
}

bool same(const rgb_image& a, const rgb_image& b) {
  return a.view().extents() == b.view().extents() &&
         std::equal(a.row(0), a.row(0) + a.view().size(), b.row(0));
}

}  // namespace

TEST_CASE("the weights of a window add up to one") {
  const auto filter = GENERATE(interpolation::bilinear, interpolation::bicubic);
  for (const auto& [from, to] : {std::pair{500, 224}, {37, 100}, {1, 9}, {9, 1}, {64, 63}}) {
    const resample_window window(from, to, 0, to, filter);
    REQUIRE(window.size() == static_cast<std::size_t>(to));
    for (std::size_t i = 0; i < window.size(); ++i) {
      REQUIRE(window.count(i) > 0);
      REQUIRE(window.first(i) >= 0);
      REQUIRE(window.first(i) + static_cast<index_t>(window.count(i)) <= from);
      const double sum =
          std::accumulate(window.weights(i), window.weights(i) + window.count(i), 0.0) /
          (1 << resample_window::fraction_bits);
      // Each weight is rounded by at most half a unit.
      CHECK(std::abs(sum - 1) <=
            0.5 * static_cast<double>(window.count(i)) / (1 << resample_window::fraction_bits));
    }
  }
}

TEST_CASE("the fast passes give what the definition gives") {
  const auto filter = GENERATE(interpolation::bilinear, interpolation::bicubic);
  const rgb_image image = noise(29, 41);
  for (const auto& [height, width] :
       {std::pair{7, 11}, {60, 90}, {29, 20}, {14, 41}, {29, 41}, {1, 1}, {90, 5}, {3, 77}}) {
    INFO(height << " x " << width);
    CHECK(same(resize(image, height, width, filter), resize_plainly(image, height, width, filter)));
  }
  const rgb_image line = noise(1, 50), column = noise(50, 1);
  CHECK(same(resize(line, 9, 30, filter), resize_plainly(line, 9, 30, filter)));
  CHECK(same(resize(column, 30, 9, filter), resize_plainly(column, 30, 9, filter)));
}

TEST_CASE("part of a resized image is the same as that part cut out") {
  const auto filter =
      GENERATE(interpolation::nearest, interpolation::bilinear, interpolation::bicubic);
  const rgb_image image = noise(31, 47);
  for (const auto& [height, width] : {std::pair{20, 25}, {31, 30}, {25, 47}, {70, 90}, {31, 47}}) {
    const rgb_image whole = resize(image, height, width, filter);
    const image_part part{3, 5, 14, 18};
    const rgb_image cut = resize(image, height, width, filter, part);
    for (index_t y = 0; y < part.height; ++y) {
      const std::uint8_t* expected = whole.row(part.top + y) + 3 * part.left;
      REQUIRE(std::equal(cut.row(y), cut.row(y) + 3 * part.width, expected));
    }
  }
}

TEST_CASE("the nearest pixel is the one under the centre") {
  rgb_image image(1, 4);
  for (index_t i = 0; i < 12; ++i) image.row(0)[i] = static_cast<std::uint8_t>(i);
  const rgb_image half = resize(image, 1, 2, interpolation::nearest);
  CHECK(half.row(0)[0] == 3);
  CHECK(half.row(0)[3] == 9);
  const rgb_image twice = resize(image, 2, 8, interpolation::nearest);
  CHECK(twice.row(1)[3 * 5] == 6);
}

TEST_CASE("an image keeps its pixels under its own extent") {
  const rgb_image image = noise(9, 8);
  for (auto filter : {interpolation::nearest, interpolation::bilinear, interpolation::bicubic}) {
    CHECK(same(resize(image, 9, 8, filter), image));
  }
}

TEST_CASE("impossible resizes are errors") {
  const rgb_image image = noise(4, 4);
  const auto cubic = interpolation::bicubic;
  CHECK_THROWS_AS(resize(rgb_image(), 4, 4, cubic), shape_error);
  CHECK_THROWS_AS(resize(image, 0, 4, cubic), shape_error);
  CHECK_THROWS_AS(resize(image, 8, 8, cubic, {0, 1, 8, 8}), shape_error);
  CHECK_THROWS_AS(resize(image, 8, 8, cubic, {-1, 0, 4, 4}), shape_error);
}
