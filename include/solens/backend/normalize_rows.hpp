#pragma once

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>

namespace solens {

/// Scales every row of x to a norm; a row of zeros stays one.
///
/// @param x     [n, d], of any strides
/// @param norm  positive
/// @throws shape_error unless x has two axes
template <tensor_backend B>
void normalize_rows(const B& be, view_of<B> x, typename B::scalar norm = 1) {
  using scalar = typename B::scalar;
  if (x.rank() != 2) throw shape_error("normalize_rows", "[n, d]", to_string(x.extents()), "x");
  const index_t n = x.extent(0), d = x.extent(1);
  auto norms = be.allocate({n});
  be.row_norms(const_view_of<B>(x), norms.view());
  host_tensor<scalar> host({n});
  be.download(const_view_of<B>(norms.view()), host);
  for (scalar& length : host) length = length == 0 ? scalar{1} : length / norm;
  be.upload(host_view<const scalar>(host), norms.view());
  const const_view_of<B> repeated(norms.view().data(), {n, d}, {1, 0});
  be.divide(const_view_of<B>(x), repeated, x);
}

}  // namespace solens
