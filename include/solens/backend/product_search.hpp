#pragma once

#include <algorithm>  // std::clamp, std::min
#include <cmath>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>

namespace solens {

/// The inner products of vectors with the rows of a table, in parts of the table that bound memory.
template <class B>
class table_products {
 public:
  /// @param table  [n_rows, d], kept as a view; one row or more
  /// @param most   products at a time, about
  /// @throws shape_error when there is no row
  table_products(const B& be, const_view_of<B> table, index_t vectors_at_once, index_t most)
      : table_(table),
        rows_at_once_(std::clamp<index_t>(most / std::max<index_t>(1, vectors_at_once), 1,
                                          std::max<index_t>(1, table.extent(0)))),
        products_(be.allocate({vectors_at_once, rows_at_once_})) {
    if (table.rank() != 2 || table.empty()) {
      throw shape_error("row_search", "[n_rows, d] with one row or more",
                        to_string(table.extents()), "table");
    }
  }

  const_view_of<B> table() const { return table_; }

  /// Calls f(first row, products [n, rows]) for each part.
  /// @param x  [n, d], at most `vectors_at_once`
  template <class F>
  void each(const B& be, const_view_of<B> x, F&& f) {
    const index_t n = x.extent(0), n_rows = table_.extent(0);
    checks::same("row_search", shape{n, table_.extent(1)}, x.extents(), "x");
    for (index_t begin = 0; begin < n_rows; begin += rows_at_once_) {
      const index_t end = std::min(n_rows, begin + rows_at_once_);
      const view_of<B> c = products_.view().slice(0, 0, n).slice(1, 0, end - begin);
      be.gemm(1, x, table_.slice(0, begin, end).transposed(), 0, c);
      f(begin, const_view_of<B>(c));
    }
  }

 private:
  const_view_of<B> table_;
  index_t rows_at_once_;
  typename B::tensor products_;
};

/// The search for the row of a table that has the largest product with each of many vectors, by
/// products of all of them.
template <tensor_backend B>
class product_search {
 public:
  using scalar = typename B::scalar;

  /// @param table  [n_rows, d], kept as a view; one row or more
  /// @throws shape_error when there is none
  product_search(const B& be, const_view_of<B> table, index_t vectors_at_once)
      : products_(be, table, vectors_at_once, index_t{8} << 20),  // 32 MB of float32
        values_(be.allocate({vectors_at_once, 1})),
        indices_(be.allocate_indices({vectors_at_once, 1})) {}

  const_view_of<B> table() const { return products_.table(); }

  /// The largest magnitude (or, with `positive`, the largest value) among the inner products of
  /// each vector with every row; ties go to the lower index, NaN counts as lowest.
  ///
  /// @param x        [n, d], at most `vectors_at_once`
  /// @param values   [n], signed
  /// @param indices  [n]
  /// @note costs 2 * n * n_rows * d flops
  void operator()(const B& be, const_view_of<B> x, bool positive, host_view<scalar> values,
                  host_view<index_t> indices) {
    const index_t n = x.extent(0);
    host_tensor<scalar> value({n, 1});
    host_tensor<index_t> index({n, 1});
    const view_of<B> v = values_.view().slice(0, 0, n);
    const index_view_of<B> i = indices_.view().slice(0, 0, n);
    products_.each(be, x, [&](index_t begin, const_view_of<B> c) {
      if (positive) {
        be.top_k(c, v, i);
      } else {
        be.argmax_abs(c, v.select(1, 0), i.select(1, 0));
      }
      be.download(const_view_of<B>(v), value.view());
      be.download(const_index_view_of<B>(i), index.view());
      for (index_t r = 0; r < n; ++r) {
        const scalar found = value(r, 0), held = values(r);
        const bool better = positive ? found > held : std::abs(found) > std::abs(held);
        const bool first = std::isnan(held) && !std::isnan(found);
        if (begin > 0 && !better && !first) continue;
        values(r) = found;
        indices(r) = begin + index(r, 0);
      }
    });
  }

 private:
  table_products<B> products_;
  typename B::tensor values_;
  typename B::index_tensor indices_;
};

}  // namespace solens
