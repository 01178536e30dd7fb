#pragma once

#include <solens/backend/concept.hpp>
#include <solens/backend/cuda/kernels.hpp>
#include <solens/backend/product_search.hpp>

namespace solens::cuda {

/// What `product_search` does, with the best of each vector kept on the device until all products
/// are done.
template <class B>
class row_search {
 public:
  using scalar = typename B::scalar;

  /// @param table  [n_rows, d], kept as a view; one row or more
  /// @throws shape_error when there is none
  row_search(const B& be, const_view_of<B> table, index_t vectors_at_once)
      : products_(be, table, vectors_at_once, index_t{64} << 20),  // 256 MB of float32
        values_(be.allocate({vectors_at_once})),
        indices_(be.allocate_indices({vectors_at_once})) {}

  const_view_of<B> table() const { return products_.table(); }

  /// As that of `product_search`. Waits for the device once.
  void operator()(const B& be, const_view_of<B> x, bool positive, host_view<scalar> values,
                  host_view<index_t> indices) {
    const view_of<B> v = values_.view().slice(0, 0, x.extent(0));
    const index_view_of<B> i = indices_.view().slice(0, 0, x.extent(0));
    products_.each(be, x, [&](index_t begin, const_view_of<B> c) {
      be.search({.magnitude = !positive, .first = begin, .more = begin > 0}, c, v, i);
    });
    be.download(const_view_of<B>(v), values);
    be.download(const_index_view_of<B>(i), indices);
  }

 private:
  table_products<B> products_;
  typename B::tensor values_;
  typename B::index_tensor indices_;
};

}  // namespace solens::cuda
