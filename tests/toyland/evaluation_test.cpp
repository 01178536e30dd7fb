#include "support/test.hpp"

#include <chrono>
#include <cmath>

#include <toyland/evaluation.hpp>
#include <toyland/painter.hpp>

using namespace toyland;

namespace {

const std::filesystem::path model = TOYLAND_MODEL;

}  // namespace

TEST_CASE("the model is small, and told from its files alone") {
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(model)) bytes += entry.file_size();
  CHECK(bytes < 6'000'000);
}

TEST_CASE("the model tells the kinds of things in fresh scenes") {
  const clip toyland_clip(model, 2);
  const auto score = [&](int things) {
    return zero_shot(toyland_clip, {.n = 300, .seed = 77, .things = things});
  };
  CHECK(score(1).best >= 0.90);
  const zero_shot_score two = score(2), three = score(3);
  CHECK(two.best >= 0.75);
  CHECK(three.best >= 0.75);
  CHECK(three.all >= 0.60);
}

TEST_CASE("representations have norm 1, pictures and texts in one space") {
  const clip toyland_clip(model, 1);
  const auto texts = toyland_clip.of_texts({"a red boat on the sea", "a yellow moon at night"});
  std::vector<solens::rgb_image> pictures;
  const auto boat = imagine({{{kind::boat, colour::red, texture::plain}}, {}, setting::sea}, 1);
  pictures.push_back(paint(boat).image);
  const auto moon =
      imagine({{{kind::moon, colour::yellow, texture::plain}}, {}, setting::night}, 1);
  pictures.push_back(paint(moon, 128).image);  // any size: it is resized
  const auto rows = toyland_clip.of_pictures(pictures);
  const auto dot = [](const float* a, const float* b, solens::index_t n) {
    double sum = 0;
    for (solens::index_t i = 0; i < n; ++i) sum += double{a[i]} * double{b[i]};
    return sum;
  };
  const solens::index_t width = rows.extents()[1];
  for (solens::index_t i = 0; i < 2; ++i) {
    const float* picture = rows.data() + i * width;
    CHECK(dot(picture, picture, width) == Approx(1).margin(1e-5));
    CHECK(dot(picture, texts.data() + i * width, width) >
          dot(picture, texts.data() + (1 - i) * width, width) + 0.1);
  }
}
