#include <solens/image/resize.hpp>

#include <image/photos.hpp>

#include <solens/image/decode.hpp>
#include <solens/image/preprocess.hpp>

namespace {

std::vector<solens::rgb_image> decoded_photos() {
  std::vector<solens::rgb_image> images;
  for (const auto& bytes : solens::bench::photos()) {
    images.push_back(solens::decode_image(bytes, "a photo"));
  }
  return images;
}

/// The shortest side to 224, all of the image.
void resize_whole(benchmark::State& state, solens::interpolation filter) {
  solens::bench::each_photo(state, decoded_photos(), [&](const solens::rgb_image& image) {
    const auto extent = solens::resized_extent({image.height(), image.width()}, {});
    benchmark::DoNotOptimize(solens::resize(image, extent.height, extent.width, filter));
  });
}
BENCHMARK_CAPTURE(resize_whole, bilinear, solens::interpolation::bilinear)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(resize_whole, bicubic, solens::interpolation::bicubic)
    ->Unit(benchmark::kMillisecond);

/// The same, but only what the centre crop shows.
void resize_crop(benchmark::State& state) {
  solens::bench::each_photo(state, decoded_photos(), [](const solens::rgb_image& image) {
    benchmark::DoNotOptimize(solens::resize_and_crop(image, {}));
  });
}
BENCHMARK(resize_crop)->Unit(benchmark::kMillisecond);

}  // namespace
