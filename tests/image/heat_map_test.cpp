#include "support/test.hpp"

#include <cmath>
#include <limits>

#include <solens/image/heat_map.hpp>

using namespace solens;
using namespace solens::test;

namespace {

/// Every pixel as a sum over all of the map, by tents around the positions; scaled at the end.
host_tensor<double> plain_heat(host_view<const float> map, index_t height, index_t width) {
  const auto tent = [](index_t i, index_t to, index_t j, index_t from) {
    const double at =
        (static_cast<double>(i) + 0.5) / static_cast<double>(to) * static_cast<double>(from) - 0.5;
    const double held = std::min(std::max(at, 0.0), static_cast<double>(from) - 1);
    return std::max(0.0, 1 - std::abs(held - static_cast<double>(j)));
  };
  host_tensor<double> heat({height, width}, 0);
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (index_t y = 0; y < height; ++y) {
    for (index_t x = 0; x < width; ++x) {
      for (index_t r = 0; r < map.extent(0); ++r) {
        for (index_t c = 0; c < map.extent(1); ++c) {
          heat(y, x) +=
              map(r, c) * tent(y, height, r, map.extent(0)) * tent(x, width, c, map.extent(1));
        }
      }
      low = std::min(low, heat(y, x));
      high = std::max(high, heat(y, x));
    }
  }
  for (double& h : heat) h = (h - low) / (high - low);
  return heat;
}

}  // namespace

TEST_CASE("a heat map is the map up-sampled and scaled from 0 to 1") {
  const auto extents = GENERATE(shape{7, 7}, shape{3, 5}, shape{1, 4}, shape{2, 2});
  const index_t height = GENERATE(index_t{1}, index_t{16}, index_t{57});
  auto map = random_tensor<float>(extents, 1);
  for (float& value : map) value += 1000;  // the scale is the range's, not the offset's
  CAPTURE(to_string(extents), height);
  const auto heat = heat_map(map, height, 40);
  CHECK(relative_difference<float, double>(heat, plain_heat(map, height, 40)) < 1e-6);
  CHECK(*std::min_element(heat.begin(), heat.end()) == 0);
  CHECK(*std::max_element(heat.begin(), heat.end()) == 1);
}

TEST_CASE("a heat map of 2 by 1 has the quarters of an up-sampling by two") {
  const float numbers[] = {3, 7};
  const auto heat = heat_map(host_view<const float>(numbers, {2, 1}), 4, 1);
  CHECK(std::vector<float>(heat.begin(), heat.end()) == std::vector<float>{0, 0.25F, 0.75F, 1});
}

TEST_CASE("a map that says nothing has no heat") {
  host_tensor<float> map({2, 3}, 5);
  for (const float h : heat_map(map, 6, 6)) CHECK(h == 0);
  map(0, 1) = std::numeric_limits<float>::quiet_NaN();
  for (const float h : heat_map(map, 6, 6)) CHECK((h >= 0 && h <= 1));
  CHECK_THROWS_AS(heat_map(host_view<const float>(), 6, 6), shape_error);
  CHECK_THROWS_AS(heat_map(map.view().slice(0, 0, 0), 6, 6), shape_error);
}

TEST_CASE("a mask is what is above the threshold, not at it") {
  const float numbers[] = {0, 0.5F, 0.50001F, 1};
  const auto mask = mask_of(host_view<const float>(numbers, {2, 2}), 0.5F);
  CHECK(std::vector<int>(mask.begin(), mask.end()) == std::vector<int>{0, 0, 1, 1});
}

TEST_CASE("an overlay shows heat over grey, and a white line around the mask") {
  rgb_image picture(5, 5);
  std::fill_n(picture.row(0), 75, std::uint8_t{200});
  host_tensor<float> heat({5, 5}, 0);
  host_tensor<std::uint8_t> mask({5, 5}, 0);
  for (index_t y = 1; y < 4; ++y) {
    for (index_t x = 1; x < 4; ++x) heat(y, x) = 1, mask(y, x) = 1;
  }
  const rgb_image shown = overlay(picture, heat, mask);
  const auto at = [&](index_t y, index_t x) {
    const std::uint8_t* p = shown.row(y) + 3 * x;
    return std::vector<int>{p[0], p[1], p[2]};
  };
  CHECK(at(0, 0) == std::vector<int>{100, 100, 102});  // half grey, half black of heat 0
  CHECK(at(1, 1) == std::vector<int>{255, 255, 255});
  CHECK(at(3, 2) == std::vector<int>{255, 255, 255});
  CHECK(at(2, 2) == std::vector<int>{226, 227, 182});  // half grey, half the colour of heat 1
  CHECK(heat_colour(0.5F) == std::array<std::uint8_t, 3>{188, 55, 84});
  CHECK(heat_colour(2) == heat_colour(1));
  CHECK_THROWS_AS(overlay(picture, heat.view().slice(0, 0, 4), mask), shape_error);
}
