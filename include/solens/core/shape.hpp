#pragma once

#include <algorithm>  // std::equal, std::copy
#include <array>
#include <cstddef>  // std::size_t
#include <cstdint>  // std::int64_t
#include <initializer_list>
#include <optional>
#include <span>
#include <string>

#include <solens/core/error.hpp>

namespace solens {

/// Extents, strides and positions. Signed, so that differences are safe.
using index_t = std::int64_t;

/// The extents (or strides) of a tensor: up to `max_rank` numbers, held inline.
class shape {
 public:
  static constexpr std::size_t max_rank = 6;

  constexpr shape() = default;
  constexpr shape(std::initializer_list<index_t> values)
      : shape(std::span<const index_t>(values.begin(), values.size())) {}

  /// @throws shape_error when there are more than `max_rank` values
  constexpr explicit shape(std::span<const index_t> values) : rank_(values.size()) {
    if (rank_ > max_rank) {
      throw shape_error("shape", "at most 6 axes", std::to_string(rank_));
    }
    std::copy(values.begin(), values.end(), values_.begin());
  }

  constexpr std::size_t rank() const { return rank_; }
  constexpr index_t operator[](std::size_t axis) const { return values_[axis]; }
  constexpr index_t& operator[](std::size_t axis) { return values_[axis]; }
  constexpr const index_t* begin() const { return values_.data(); }
  constexpr const index_t* end() const { return values_.data() + rank_; }

  /// The product of the extents: 1 for rank 0.
  constexpr index_t size() const {
    index_t product = 1;
    for (index_t value : *this) product *= value;
    return product;
  }

  /// A copy without one axis.
  constexpr shape without(std::size_t axis) const {
    shape result;
    for (std::size_t i = 0; i < rank_; ++i) {
      if (i != axis) result.push_back(values_[i]);
    }
    return result;
  }

  /// @throws shape_error when the shape is full
  constexpr void push_back(index_t value) {
    if (rank_ == max_rank) throw shape_error("shape", "at most 6 axes", "7");
    values_[rank_++] = value;
  }

  friend constexpr bool operator==(const shape& a, const shape& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  std::array<index_t, max_rank> values_{};
  std::size_t rank_ = 0;
};

/// `[2, 3, 4]`, as error messages show it.
inline std::string to_string(const shape& s) {
  std::string text = "[";
  for (std::size_t i = 0; i < s.rank(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(s[i]);
  }
  return text + "]";
}

/// The product of extents that come from elsewhere. Nothing where one is negative, or where the
/// product of those that are not 0 exceeds `most`: strides are such products even of no elements.
constexpr std::optional<index_t> bounded_size(std::span<const index_t> extents, index_t most) {
  index_t size = 1;
  bool any = true;
  for (const index_t extent : extents) {
    if (extent < 0 || (extent > 0 && size > most / extent)) return std::nullopt;
    size *= extent > 0 ? extent : 1;
    any = any && extent > 0;
  }
  return any ? size : 0;
}

/// The strides of a contiguous row-major tensor, in elements.
constexpr shape row_major_strides(const shape& extents) {
  shape strides = extents;
  index_t step = 1;
  for (std::size_t i = extents.rank(); i-- > 0;) {
    strides[i] = step;
    step *= extents[i];
  }
  return strides;
}

}  // namespace solens
