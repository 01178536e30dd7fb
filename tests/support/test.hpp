#pragma once

// Catch2, version 2 or 3.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include <solens/core/host_tensor.hpp>

namespace solens::test {

/// A file of tests/data.
inline std::filesystem::path data(const std::string& name) {
  return std::filesystem::path(SOLENS_TEST_DATA) / name;
}

/// A file of the shared data, other people's and so not in the repository. A test that needs
/// it calls SOLENS_NEEDS(path) first, which reports *not run* where it is missing.
inline std::filesystem::path shared_data(const std::string& name) {
  return std::filesystem::path(SOLENS_SHARED_DATA) / name;
}

/// A folder of its own for one test, removed at the end.
class temporary_folder {
 public:
  temporary_folder() {
    std::random_device seed;
    do {
      path_ = std::filesystem::temp_directory_path() / ("solens-test-" + std::to_string(seed()));
    } while (!std::filesystem::create_directory(path_));
  }
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// Standard normal numbers, the same for the same seed.
template <class T>
host_tensor<T> random_tensor(const shape& extents, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  host_tensor<T> x(extents);
  for (T& value : x) value = static_cast<T>(normal(generator));
  return x;
}

/// The largest magnitude of a - b over the largest magnitude of b (0 where both are 0).
template <class A, class B>
double relative_difference(host_view<const A> a, host_view<const B> b) {
  REQUIRE(a.extents() == b.extents());
  double difference = 0, largest = 0;
  for (index_t r = 0; r < (a.empty() ? 0 : row_count(a)); ++r) {
    auto x = row_of(a, r);
    auto y = row_of(b, r);
    for (index_t i = 0; i < x.size; ++i) {
      const double d = std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i]));
      difference = d <= difference ? difference : d;  // a NaN sticks
      largest = std::max(largest, std::abs(static_cast<double>(y[i])));
    }
  }
  return difference == 0 ? 0 : difference / largest;
}

}  // namespace solens::test

/// Reports *not run*, and leaves the test, where a file of the shared data is missing.
#define SOLENS_NEEDS(path)                                    \
  do {                                                        \
    if (!std::filesystem::exists(path)) {                     \
      WARN("not run: " << (path).string() << " is not here"); \
      return;                                                 \
    }                                                         \
  } while (false)
