#pragma once

#include <algorithm>  // std::copy_n, std::fill_n
#include <cstddef>    // std::size_t
#include <limits>
#include <memory>
#include <new>  // aligned operator new
#include <type_traits>
#include <utility>  // std::exchange

#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>
#include <solens/core/tensor_view.hpp>

namespace solens {

/// A tensor that owns its memory: contiguous, row-major, aligned to a cache line.
///
/// Every CPU backend allocates these, and so does everything that reads a file.
/// Elements start uninitialised. Moves are cheap; a copy is asked for by name.
template <class T>
class host_tensor {
  static_assert(std::is_trivially_copyable_v<T>, "a tensor holds plain numbers");

 public:
  using value_type = T;
  static constexpr std::size_t alignment = 64;

  host_tensor() = default;

  /// @throws shape_error for a negative extent or a size that no memory holds
  explicit host_tensor(const shape& extents) : extents_(extents), size_(checked_size(extents)) {
    if (size_ > 0) {
      data_.reset(static_cast<T*>(::operator new(static_cast<std::size_t>(size_) * sizeof(T),
                                                 std::align_val_t{alignment})));
    }
  }

  host_tensor(const shape& extents, T value) : host_tensor(extents) {
    std::fill_n(data_.get(), size_, value);
  }

  host_tensor(host_tensor&& other) noexcept
      : extents_(std::exchange(other.extents_, {})),
        size_(std::exchange(other.size_, 0)),
        data_(std::move(other.data_)) {}
  host_tensor& operator=(host_tensor&& other) noexcept {
    extents_ = std::exchange(other.extents_, {});
    size_ = std::exchange(other.size_, 0);
    data_ = std::move(other.data_);
    return *this;
  }

  host_tensor clone() const {
    host_tensor result(extents_);
    std::copy_n(data_.get(), size_, result.data_.get());
    return result;
  }

  /// The number of elements; 0 without axes.
  /// @throws shape_error for a negative extent or a size that no memory holds
  static index_t checked_size(const shape& extents) {
    if (extents.rank() == 0) return 0;
    constexpr index_t most = std::numeric_limits<index_t>::max() / index_t{sizeof(T)};
    const auto size = bounded_size({extents.begin(), extents.rank()}, most);
    if (!size) {
      throw shape_error("host_tensor", "extents that memory can hold", to_string(extents));
    }
    return *size;
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  const shape& extents() const { return extents_; }
  index_t extent(std::size_t axis) const { return view().extent(axis); }
  std::size_t rank() const { return extents_.rank(); }
  index_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }

  host_view<T> view() { return {data(), extents_}; }
  host_view<const T> view() const { return {data(), extents_}; }
  operator host_view<T>() { return view(); }
  operator host_view<const T>() const { return view(); }

  template <std::convertible_to<index_t>... I>
  T& operator()(I... position) {
    return view()(position...);
  }
  template <std::convertible_to<index_t>... I>
  const T& operator()(I... position) const {
    return view()(position...);
  }

 private:
  struct aligned_delete {
    void operator()(T* p) const { ::operator delete(p, std::align_val_t{alignment}); }
  };

  shape extents_;
  index_t size_ = 0;
  std::unique_ptr<T, aligned_delete> data_;
};

}  // namespace solens
