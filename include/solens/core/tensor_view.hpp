#pragma once

#include <array>
#include <concepts>
#include <cstddef>  // std::size_t
#include <string>
#include <type_traits>

#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>

namespace solens {

/// Memory that the CPU addresses. A backend with memory of its own declares
/// its own tag, so that a view of one can never be passed as the other.
struct host_space {};

/// A pointer with extents and strides: how every tensor crosses every interface.
///
/// Cheap to copy, owns nothing. `T` may be const. Strides count elements and
/// may be 0, which repeats an axis. A default-constructed view is `empty()` and
/// stands for an output that is not wanted.
template <class T, class Space = host_space>
class tensor_view {
 public:
  using value_type = std::remove_const_t<T>;
  using space = Space;

  tensor_view() = default;

  /// Contiguous and row-major.
  tensor_view(T* data, const shape& extents)
      : tensor_view(data, extents, row_major_strides(extents)) {}

  /// @throws shape_error when extents and strides differ in rank
  tensor_view(T* data, const shape& extents, const shape& strides)
      : data_(data), extents_(extents), strides_(strides) {
    if (extents.rank() != strides.rank()) {
      throw shape_error("tensor_view", "a stride for each of " + to_string(extents),
                        to_string(strides));
    }
  }

  /// A view of const elements from one of mutable ones.
  template <class U>
    requires(std::same_as<const U, T> && !std::same_as<U, T>)
  tensor_view(const tensor_view<U, Space>& other)
      : data_(other.data()), extents_(other.extents()), strides_(other.strides()) {}

  T* data() const { return data_; }
  const shape& extents() const { return extents_; }
  const shape& strides() const { return strides_; }
  std::size_t rank() const { return extents_.rank(); }
  index_t extent(std::size_t axis) const { return extents_[checked(axis)]; }
  index_t stride(std::size_t axis) const { return strides_[checked(axis)]; }

  /// Number of elements; 0 for a default-constructed view.
  index_t size() const { return data_ == nullptr && rank() == 0 ? 0 : extents_.size(); }
  bool empty() const { return size() == 0; }

  /// Whether the elements lie one after the other in row-major order.
  bool contiguous() const {
    index_t step = 1;
    for (std::size_t i = rank(); i-- > 0;) {
      if (extents_[i] != 1 && strides_[i] != step) return false;
      step *= extents_[i];
    }
    return true;
  }

  /// The element at a position; one index an axis, not checked.
  template <std::convertible_to<index_t>... I>
    requires std::same_as<Space, host_space>
  T& operator()(I... position) const {
    index_t offset = 0;
    std::size_t axis = 0;
    ((offset += static_cast<index_t>(position) * strides_[axis++]), ...);
    return data_[offset];
  }

  /// The part of one axis in [begin, end).
  /// @throws shape_error when that is no part of it
  tensor_view slice(std::size_t axis, index_t begin, index_t end) const {
    if (begin < 0 || end < begin || end > extent(axis)) {
      throw shape_error("slice",
                        "a part of axis " + std::to_string(axis) + " of " + to_string(extents_),
                        to_string(shape{begin, end}));
    }
    tensor_view result = *this;
    result.data_ += begin * strides_[axis];
    result.extents_[axis] = end - begin;
    return result;
  }

  /// One position of an axis; the axis is gone from the result.
  /// @throws shape_error when the position is out of range
  tensor_view select(std::size_t axis, index_t position) const {
    tensor_view result = slice(axis, position, position + 1);
    result.extents_ = extents_.without(axis);
    result.strides_ = strides_.without(axis);
    return result;
  }

  /// `select(0, position)`.
  tensor_view operator[](index_t position) const { return select(0, position); }

  /// The axes in another order.
  /// @throws shape_error when `order` is no permutation of the axes
  tensor_view permuted(std::initializer_list<std::size_t> order) const {
    tensor_view result = *this;
    std::array<bool, shape::max_rank> seen{};
    std::size_t i = 0;
    for (std::size_t axis : order) {
      if (axis >= rank() || seen[axis] || i >= rank()) break;
      seen[axis] = true;
      result.extents_[i] = extents_[axis];
      result.strides_[i++] = strides_[axis];
    }
    if (i != rank() || order.size() != rank()) {
      throw shape_error("permuted", "each axis of " + to_string(extents_) + " once",
                        "another list of axes");
    }
    return result;
  }

  /// The last two axes swapped.
  tensor_view transposed() const {
    if (rank() < 2) throw shape_error("transposed", "two axes or more", to_string(extents_));
    tensor_view result = *this;
    std::swap(result.extents_[rank() - 1], result.extents_[rank() - 2]);
    std::swap(result.strides_[rank() - 1], result.strides_[rank() - 2]);
    return result;
  }

  /// One axis split in two, the second of `inner` elements. Never copies.
  /// @throws shape_error when `inner` does not divide the axis
  tensor_view split(std::size_t axis, index_t inner) const {
    if (inner <= 0 || extent(axis) % inner != 0) {
      throw shape_error("split",
                        "a divisor of axis " + std::to_string(axis) + " of " + to_string(extents_),
                        std::to_string(inner));
    }
    shape extents, strides;
    for (std::size_t i = 0; i < rank(); ++i) {
      if (i == axis) {
        extents.push_back(extents_[i] / inner);
        strides.push_back(strides_[i] * inner);
      }
      extents.push_back(i == axis ? inner : extents_[i]);
      strides.push_back(strides_[i]);
    }
    return {data_, extents, strides};
  }

  /// The same elements under other extents.
  /// @throws shape_error when the view is not contiguous or the sizes differ
  tensor_view reshaped(const shape& extents) const {
    if (!contiguous() || extents.size() != size()) {
      throw shape_error("reshaped", "a contiguous view with the elements of " + to_string(extents),
                        to_string(extents_));
    }
    return {data_, extents};
  }

  /// A new first axis that repeats the view `count` times (stride 0).
  tensor_view repeated(index_t count) const {
    shape extents{count}, strides{0};
    for (std::size_t i = 0; i < rank(); ++i) {
      extents.push_back(extents_[i]);
      strides.push_back(strides_[i]);
    }
    return {data_, extents, strides};
  }

 private:
  std::size_t checked(std::size_t axis) const {
    if (axis >= rank()) {
      throw shape_error("tensor_view", "more than " + std::to_string(axis) + " axes",
                        to_string(extents_));
    }
    return axis;
  }

  T* data_ = nullptr;
  shape extents_;
  shape strides_;
};

template <class T>
using host_view = tensor_view<T, host_space>;

/// One row (the last axis) of a tensor: the unit in which the CPU backends walk.
template <class T>
struct row_span {
  T* data;
  index_t size;
  index_t stride;
  T& operator[](index_t i) const { return data[i * stride]; }
};

/// How many rows a tensor has: the product of all extents but the last.
template <class T, class Space>
index_t row_count(const tensor_view<T, Space>& x) {
  if (x.rank() == 0) return x.empty() ? 0 : 1;
  index_t count = 1;
  for (std::size_t i = 0; i + 1 < x.rank(); ++i) count *= x.extents()[i];
  return count;
}

/// Row number `row` in row-major order of the leading axes.
template <class T>
row_span<T> row_of(const host_view<T>& x, index_t row) {
  if (x.rank() == 0) return {x.data(), x.size(), 1};
  index_t offset = 0;
  for (std::size_t i = x.rank() - 1; i-- > 1;) {
    offset += row % x.extents()[i] * x.strides()[i];
    row /= x.extents()[i];
  }
  if (x.rank() > 1) offset += row * x.strides()[0];  // what is left, without a division
  return {x.data() + offset, x.extents()[x.rank() - 1], x.strides()[x.rank() - 1]};
}

/// Element number `position` in row-major order.
template <class T>
T& element_of(const host_view<T>& x, index_t position) {
  index_t offset = 0;
  for (std::size_t axis = x.rank(); axis-- > 1;) {
    offset += position % x.extents()[axis] * x.strides()[axis];
    position /= x.extents()[axis];
  }
  if (x.rank() > 0) offset += position * x.strides()[0];
  return x.data()[offset];
}

}  // namespace solens
