#pragma once

#include <cstddef>  // std::size_t
#include <cstdint>
#include <span>

namespace toyland {

/// Random numbers that are the same on every machine: SplitMix64, and integers only. The standard
/// library's engines would do, its distributions differ between libraries.
///
/// The order of evaluation of arguments does, too: never draw twice in the arguments of one call.
/// Source: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, 2014.
class random_source {
 public:
  /// @param stream  sources with one seed and different streams are independent
  explicit random_source(std::uint64_t seed, std::uint64_t stream = 0)
      : state_(mix(seed + golden) ^ mix(stream * golden + 1)) {}

  std::uint64_t next() { return mix(state_ += golden); }

  /// 0 to n - 1
  int below(int n) {
    return static_cast<int>((next() >> 32) * static_cast<std::uint64_t>(n) >> 32);
  }

  /// a to b, both included
  int between(int a, int b) { return a + below(b - a + 1); }

  /// True in so many of a hundred cases.
  bool chance(int percent) { return below(100) < percent; }

  /// An index, as often as its weight says; not all weights are zero.
  int pick(std::span<const int> weights) {
    int sum = 0;
    for (const int w : weights) sum += w;
    int left = below(sum), i = 0;
    while (left >= weights[static_cast<std::size_t>(i)]) {
      left -= weights[static_cast<std::size_t>(i++)];
    }
    return i;
  }

  /// One of the elements, each as likely.
  template <class Range>
  const auto& pick_of(const Range& choices) {
    return choices[static_cast<std::size_t>(below(static_cast<int>(choices.size())))];
  }

 private:
  static constexpr std::uint64_t golden = 0x9E3779B97F4A7C15U;

  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }

  std::uint64_t state_;
};

}  // namespace toyland
