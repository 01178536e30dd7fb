#include <solens/image/image_stream.hpp>

#include <atomic>
#include <chrono>

#include <support/test.hpp>

using namespace solens;
using Catch::Matchers::Contains;

namespace {

const preprocess_options small{
    .size = {4, 6}, .crop = {4, 6}, .white = 1, .mean = {0, 0, 0}, .std = {1, 1, 1}};

/// A reader of images that are all of one colour: their position.
rgb_image plain(index_t position) {
  rgb_image image(4, 6);
  std::fill_n(image.row(0), image.view().size(), static_cast<std::uint8_t>(position));
  return image;
}

/// Every seventh cannot be read; the others take a time of their own.
rgb_image now_and_then(index_t position) {
  std::this_thread::sleep_for(std::chrono::microseconds(position * 7919 % 500));
  if (position % 7 == 3) throw format_error("test", "an image", "none", std::to_string(position));
  return plain(position);
}

/// Everything that a stream gives, checked: positions, and colours with them.
std::vector<index_t> drain(image_stream& stream, index_t batch) {
  std::vector<index_t> all;
  host_tensor<float> pixels(shape{batch, 3, 4, 6});
  while (true) {
    const auto positions = stream.next(pixels);
    if (positions.empty()) return all;
    for (std::size_t i = 0; i < positions.size(); ++i) {
      const auto image = pixels.view()[static_cast<index_t>(i)];
      for (index_t c = 0; c < 3; ++c) {
        REQUIRE(image(c, 0, 0) == static_cast<float>(positions[i]));
        REQUIRE(image(c, 3, 5) == static_cast<float>(positions[i]));
      }
      all.push_back(positions[i]);
    }
  }
}

}  // namespace

TEST_CASE("a stream keeps the order, whatever its threads, batch and room") {
  for (int threads : {1, 2, 5}) {
    for (index_t ahead : {1, 3, 64}) {
      for (index_t batch : {1, 4, 100}) {
        INFO(threads << " threads, " << ahead << " ahead, batch " << batch);
        image_stream stream(60, small, now_and_then, {.threads = threads, .ahead = ahead});
        const auto positions = drain(stream, batch);
        std::vector<index_t> expected;
        for (index_t i = 0; i < 60; ++i) {
          if (i % 7 != 3) expected.push_back(i);
        }
        REQUIRE(positions == expected);
        REQUIRE(stream.done() == 60);
        REQUIRE(stream.skipped().size() == 9);
        REQUIRE(stream.skipped()[1].position == 10);
        REQUIRE_THAT(stream.skipped()[1].reason, Contains("expected an image, got none (10)"));
      }
    }
  }
}

TEST_CASE("batches are full while there are images") {
  image_stream stream(20, small, now_and_then);
  host_tensor<float> pixels(shape{8, 3, 4, 6});
  CHECK(stream.next(pixels) == std::vector<index_t>{0, 1, 2, 4, 5, 6, 7, 8});
  CHECK(stream.next(pixels) == std::vector<index_t>{9, 11, 12, 13, 14, 15, 16, 18});
  CHECK(stream.next(pixels) == std::vector<index_t>{19});
  CHECK(stream.next(pixels).empty());
  CHECK(stream.next(pixels).empty());
}

TEST_CASE("a stream that begins further on counts from the first image all the same") {
  image_stream stream(20, small, now_and_then, {.threads = 2, .ahead = 3, .first = 8});
  CHECK(stream.done() == 8);
  CHECK(drain(stream, 4) == std::vector<index_t>{8, 9, 11, 12, 13, 14, 15, 16, 18, 19});
  CHECK(stream.done() == 20);
  REQUIRE(stream.skipped().size() == 2);
  CHECK(stream.skipped()[0].position == 10);
  image_stream through(20, small, now_and_then, {.first = 30});
  CHECK(through.done() == 20);
  CHECK(drain(through, 4).empty());
}

TEST_CASE("no more images are held than there is room for") {
  std::atomic<int> n_read = 0;
  image_stream stream(100, small,
                      [&](index_t position) {
                        ++n_read;
                        return plain(position);
                      },
                      {.threads = 3, .ahead = 5});
  host_tensor<float> pixels(shape{1, 3, 4, 6});
  for (int taken = 1; taken <= 30; ++taken) {
    stream.next(pixels);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    REQUIRE(n_read <= taken + 5);
  }
}

TEST_CASE("a strict stream throws for the first image that cannot be read") {
  image_stream stream(20, small, now_and_then, {.threads = 2, .strict = true});
  CHECK_THROWS_AS(drain(stream, 2), format_error);
  CHECK(stream.done() == 4);
}

TEST_CASE("an exception that is no error of an image comes through") {
  image_stream stream(9, small, [](index_t position) -> rgb_image {
    if (position == 5) throw std::bad_alloc();
    return plain(position);
  });
  CHECK_THROWS_AS(drain(stream, 2), std::bad_alloc);
}

TEST_CASE("a stream may be left at any time") {
  for (int n_taken = 0; n_taken < 4; ++n_taken) {
    image_stream stream(200, small, now_and_then, {.threads = 4, .ahead = 8});
    host_tensor<float> pixels(shape{1, 3, 4, 6});
    for (int i = 0; i < n_taken; ++i) CHECK(stream.next(pixels).size() == 1);
  }
}

TEST_CASE("a stream of nothing ends at once, and one into the wrong shape is an error") {
  image_stream nothing(0, small, plain);
  host_tensor<float> pixels(shape{2, 3, 4, 6});
  CHECK(nothing.next(pixels).empty());

  image_stream stream(2, small, plain);
  CHECK_THROWS_AS(stream.next(host_tensor<float>(shape{2, 3, 6, 4}).view()), shape_error);
  CHECK_THROWS_AS(stream.next(host_tensor<float>(shape{3, 4, 6}).view()), shape_error);
  CHECK_THROWS_AS(stream.next(host_view<float>()), shape_error);
}
