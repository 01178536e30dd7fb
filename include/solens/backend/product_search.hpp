#pragma once

#include <algorithm>  // std::clamp, std::min
#include <cmath>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>

namespace solens {

/// The search for the row of a table that has the largest product with each of many vectors, by
/// products of all of them.
template <tensor_backend B>
class product_search {
 public:
  using scalar = typename B::scalar;

  /// @param table  [n_rows, d], kept as a view; one row or more
  /// @throws shape_error when there is none
  product_search(const B& be, const_view_of<B> table, index_t vectors_at_once)
      : table_(table),
        // about 32 MB of products at a time
        rows_at_once_(
            std::clamp<index_t>((index_t{8} << 20) / std::max<index_t>(1, vectors_at_once), 1,
                                std::max<index_t>(1, table.extent(0)))),
        products_(be.allocate({vectors_at_once, rows_at_once_})),
        values_(be.allocate({vectors_at_once, 1})),
        indices_(be.allocate_indices({vectors_at_once, 1})) {
    if (table.rank() != 2 || table.empty()) {
      throw shape_error("row_search", "[n_rows, d] with one row or more",
                        to_string(table.extents()), "table");
    }
  }

  const_view_of<B> table() const { return table_; }

  /// The largest magnitude (or, with `positive`, the largest value) among the inner products of
  /// each vector with every row; ties go to the lower index, NaN counts as lowest.
  ///
  /// @param x        [n, d], at most `vectors_at_once`
  /// @param values   [n], signed
  /// @param indices  [n]
  /// @note costs 2 * n * n_rows * d flops
  void operator()(const B& be, const_view_of<B> x, bool positive, host_view<scalar> values,
                  host_view<index_t> indices) {
    const index_t n = x.extent(0), n_rows = table_.extent(0);
    checks::same("row_search", shape{n, table_.extent(1)}, x.extents(), "x");
    host_tensor<scalar> value({n, 1});
    host_tensor<index_t> index({n, 1});
    for (index_t begin = 0; begin < n_rows; begin += rows_at_once_) {
      const index_t end = std::min(n_rows, begin + rows_at_once_);
      const auto c = products_.view().slice(0, 0, n).slice(1, 0, end - begin);
      const auto v = values_.view().slice(0, 0, n);
      const auto i = indices_.view().slice(0, 0, n);
      be.gemm(1, x, table_.slice(0, begin, end).transposed(), 0, c);
      if (positive) {
        be.top_k(const_view_of<B>(c), v, i);
      } else {
        be.argmax_abs(const_view_of<B>(c), v.select(1, 0), i.select(1, 0));
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
    }
  }

 private:
  const_view_of<B> table_;
  index_t rows_at_once_;
  typename B::tensor products_, values_;
  typename B::index_tensor indices_;
};

}  // namespace solens
