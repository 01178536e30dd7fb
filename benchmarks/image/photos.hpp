#pragma once

#include <algorithm>  // std::sort
#include <cstdint>
#include <cstdlib>  // std::getenv
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

namespace solens::bench {

/// The bytes of the photos to decode: those of the folder SOLENS_PHOTOS, or of the shared data
/// beside the repository. They are other people's, and so not in the repository.
inline const std::vector<std::vector<std::uint8_t>>& photos() {
  static const auto all = [] {
    const char* folder = std::getenv("SOLENS_PHOTOS");
    const std::filesystem::path path =
        folder != nullptr ? folder : SOLENS_TEST_DATA "/../../../shared/data/images";
    std::vector<std::vector<std::uint8_t>> files;
    if (!std::filesystem::is_directory(path)) return files;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      std::ifstream in(entry.path(), std::ios::binary);
      files.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    return files;
  }();
  return all;
}

/// Runs `work` on photo after photo; reports images a second of one core.
template <class Inputs, class F>
void each_photo(benchmark::State& state, const Inputs& inputs, F work) {
  if (inputs.empty()) {
    state.SkipWithError("no photos: set SOLENS_PHOTOS to a folder of them");
    return;
  }
  std::size_t next = 0;
  for (auto _ : state) {
    work(inputs[next]);
    next = (next + 1) % inputs.size();
  }
  state.SetItemsProcessed(state.iterations());
}

}  // namespace solens::bench
