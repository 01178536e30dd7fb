#pragma once

#include <algorithm>  // std::clamp, std::max
#include <bit>        // std::endian
#include <cmath>      // std::abs, std::isfinite, std::lround
#include <concepts>
#include <cstddef>  // std::byte, std::size_t
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>  // std::is_arithmetic_v
#include <utility>      // std::move
#include <vector>

#include <solens/core/tensor_view.hpp>

namespace solens {

static_assert(std::endian::native == std::endian::little, "columns are little-endian");

/// Numbers of a report, as the page reads them: a typed array.
struct report_column {
  std::string name;
  std::string type;              ///< of an element: the prefix of JavaScript's typed array
  std::vector<std::byte> bytes;  ///< little-endian
};

/// The JavaScript name of an element type: "Uint16" of std::uint16_t.
template <class T>
  requires(std::is_arithmetic_v<T> && sizeof(T) <= 4)
std::string column_type() {
  const std::string bits = std::to_string(8 * sizeof(T));
  if constexpr (std::floating_point<T>) {
    return "Float" + bits;
  } else {
    return (std::signed_integral<T> ? "Int" : "Uint") + bits;
  }
}

/// A column that grows as numbers come, layer after layer.
template <class T>
class column_writer {
 public:
  explicit column_writer(std::string name) : name_(std::move(name)) {}

  void add(T value) { values_.push_back(value); }
  const std::vector<T>& values() const { return values_; }

  report_column column() const {
    const auto bytes = std::as_bytes(std::span(values_));
    return {name_, column_type<T>(), {bytes.begin(), bytes.end()}};
  }

 private:
  std::string name_;
  std::vector<T> values_;
};

/// Adds a row of numbers as whole ones, the row's scale standing for the largest that `Q` holds.
///
/// What comes back is within scale / (2 * largest of Q) of what went in; a number beyond the scale
/// comes back as the scale, one that is not finite as 0.
/// @param scale  of the row, 0 for a row of zeros
template <std::integral Q, class T>
void add_quantized(std::span<const T> row, double scale, column_writer<Q>& to) {
  constexpr double most = std::numeric_limits<Q>::max();
  for (const T x : row) {
    const double ratio = scale > 0 ? static_cast<double>(x) / scale : 0;
    const double low = std::signed_integral<Q> ? -1.0 : 0.0;
    to.add(
        static_cast<Q>(std::isfinite(ratio) ? std::lround(most * std::clamp(ratio, low, 1.0)) : 0));
  }
}

/// The largest magnitude of a row; what is not finite does not count.
template <class T>
double largest_magnitude(std::span<const T> row) {
  double largest = 0;
  for (const T x : row) {
    if (std::isfinite(x)) largest = std::max(largest, std::abs(static_cast<double>(x)));
  }
  return largest;
}

}  // namespace solens
