#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>  // std::clamp, std::min

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/backend/cuda/kernels.hpp>
#include <solens/core/error.hpp>

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
      : table_(table),
        // about 256 MB of products at a time
        rows_at_once_(
            std::clamp<index_t>((index_t{64} << 20) / std::max<index_t>(1, vectors_at_once), 1,
                                std::max<index_t>(1, table.extent(0)))),
        products_(be.allocate({vectors_at_once, rows_at_once_})),
        values_(be.allocate({vectors_at_once})),
        indices_(be.allocate_indices({vectors_at_once})) {
    if (table.rank() != 2 || table.empty()) {
      throw shape_error("row_search", "[n_rows, d] with one row or more",
                        to_string(table.extents()), "table");
    }
  }

  const_view_of<B> table() const { return table_; }

  /// As that of `product_search`. Waits for the device once.
  void operator()(const B& be, const_view_of<B> x, bool positive, host_view<scalar> values,
                  host_view<index_t> indices) {
    const index_t n = x.extent(0), n_rows = table_.extent(0);
    checks::same("row_search", shape{n, table_.extent(1)}, x.extents(), "x");
    const view_of<B> v = values_.view().slice(0, 0, n);
    const index_view_of<B> i = indices_.view().slice(0, 0, n);
    for (index_t begin = 0; begin < n_rows; begin += rows_at_once_) {
      const index_t end = std::min(n_rows, begin + rows_at_once_);
      const view_of<B> c = products_.view().slice(0, 0, n).slice(1, 0, end - begin);
      be.gemm(1, x, table_.slice(0, begin, end).transposed(), 0, c);
      be.search({.magnitude = !positive, .first = begin, .more = begin > 0}, c, v, i);
    }
    be.download(const_view_of<B>(v), values);
    be.download(const_index_view_of<B>(i), indices);
  }

 private:
  const_view_of<B> table_;
  index_t rows_at_once_;
  typename B::tensor products_, values_;
  typename B::index_tensor indices_;
};

}  // namespace solens::cuda
