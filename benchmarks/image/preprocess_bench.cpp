#include <solens/image/preprocess.hpp>

#include <image/photos.hpp>

#include <solens/image/decode.hpp>

namespace {

/// From the bytes of a file to the crop in 8 bits: what rivals/pillow_preprocess.py times too.
void decode_resize_crop(benchmark::State& state) {
  solens::bench::each_photo(state, solens::bench::photos(), [](const auto& bytes) {
    const auto image = solens::decode_image(bytes, "a photo");
    benchmark::DoNotOptimize(solens::resize_and_crop(image, {}));
  });
}
BENCHMARK(decode_resize_crop)->Unit(benchmark::kMillisecond);

/// From the bytes of a file to a model's pixels.
void decode_preprocess(benchmark::State& state) {
  solens::host_tensor<float> pixels(solens::shape{3, 224, 224});
  solens::bench::each_photo(state, solens::bench::photos(), [&](const auto& bytes) {
    solens::preprocess(solens::decode_image(bytes, "a photo"), {}, pixels);
    benchmark::ClobberMemory();
  });
}
BENCHMARK(decode_preprocess)->Unit(benchmark::kMillisecond);

}  // namespace
