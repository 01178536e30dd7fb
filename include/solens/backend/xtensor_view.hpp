#pragma once

// xtensor sorts its headers into folders since 0.26.
#if __has_include(<xtensor/containers/xtensor.hpp>)
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/containers/xarray.hpp>
#include <xtensor/containers/xtensor.hpp>
#include <xtensor/core/xnoalias.hpp>
#include <xtensor/core/xoperation.hpp>
#include <xtensor/views/xstrided_view.hpp>
#else
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xnoalias.hpp>
#include <xtensor/xoperation.hpp>
#include <xtensor/xstrided_view.hpp>
#include <xtensor/xtensor.hpp>
#endif

#include <cstddef>      // std::size_t, std::ptrdiff_t
#include <type_traits>  // std::remove_pointer_t
#include <utility>      // std::exchange, std::move, std::swap
#include <vector>

#include <solens/core/host_tensor.hpp>

namespace solens {

/// A view of what an xtensor container, adaptor or strided view refers to; nothing is copied.
///
/// @param x  by name, for its memory has to outlive the view: an `xt::xtensor`, `xt::xarray` or
///           `xt::adapt(...)` of any layout, an `xt::view`, `xt::strided_view` or `xt::transpose`
///           of one
/// @return of const elements where those of x are
/// @throws shape_error for more than 6 axes
template <class E>
auto from_xt(E& x)
  requires requires {
    x.data() + x.data_offset();
    x.strides();
  }
{
  shape extents, strides;
  for (std::size_t i = 0; i < x.dimension(); ++i) {
    extents.push_back(static_cast<index_t>(x.shape()[i]));
    strides.push_back(static_cast<index_t>(x.strides()[i]));
  }
  using element = std::remove_pointer_t<decltype(x.data())>;
  return host_view<element>(x.data() + x.data_offset(), extents, strides);
}

/// The memory that a view refers to as an xtensor expression, to be read or assigned to where it
/// lies.
///
/// A strided view of an adaptor, for xtensor's adaptors themselves forget their strides when they
/// are assigned to.
/// @param x  any strides; an empty view without axes becomes an array of no elements
template <class T>
auto to_xt(const host_view<T>& x) {
  // Not xt::svector, of which xtensor 0.24 makes temporaries of four axes, whatever it holds.
  std::vector<std::size_t> extents(x.extents().begin(), x.extents().end());
  std::vector<std::ptrdiff_t> strides(x.strides().begin(), x.strides().end());
  if (x.rank() == 0 && x.empty()) {
    extents.push_back(0);
    strides.push_back(0);
  }
  constexpr auto any = xt::layout_type::dynamic;
  const std::vector<std::size_t> size{xt::compute_size(extents)};  // nominal: the strides count
  return xt::strided_view<any>(xt::adapt(x.data(), size[0], xt::no_ownership(), size),
                               std::move(extents), std::move(strides), 0, any);
}

/// A tensor whose memory is an `xt::xarray`: what `xtensor_backend` allocates.
///
/// Elements start uninitialised. Moves are cheap and leave an empty tensor.
template <class T>
class xt_tensor {
 public:
  xt_tensor() = default;
  /// @throws shape_error for a negative extent or a size that no memory holds
  explicit xt_tensor(const shape& extents)
      : array_(
            host_tensor<T>::checked_size(extents) == 0 && extents.rank() == 0
                ? nothing()
                : xt::xarray<T>(xt::dynamic_shape<std::size_t>(extents.begin(), extents.end()))) {}

  xt_tensor(xt_tensor&& other) noexcept { std::swap(array_, other.array_); }
  xt_tensor& operator=(xt_tensor&& other) noexcept {
    array_ = std::exchange(other.array_, nothing());
    return *this;
  }

  /// To be used, or moved to and from, as any other.
  xt::xarray<T>& array() { return array_; }
  const xt::xarray<T>& array() const { return array_; }

  host_view<T> view() { return from_xt(array_); }
  host_view<const T> view() const { return from_xt(array_); }
  operator host_view<T>() { return view(); }
  operator host_view<const T>() const { return view(); }

 private:
  static xt::xarray<T> nothing() { return xt::xarray<T>::from_shape({0}); }

  xt::xarray<T> array_ = nothing();  // xtensor's own default is one number
};

}  // namespace solens
