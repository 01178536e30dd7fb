#include <solens/image/decode.hpp>

#include <image/photos.hpp>

namespace {

void decode(benchmark::State& state) {
  solens::bench::each_photo(state, solens::bench::photos(), [](const auto& bytes) {
    benchmark::DoNotOptimize(solens::decode_image(bytes, "a photo"));
  });
}
BENCHMARK(decode)->Unit(benchmark::kMillisecond);

}  // namespace
