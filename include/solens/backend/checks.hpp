#pragma once

#include <string>
#include <string_view>

#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>
#include <solens/core/tensor_view.hpp>

/// What every backend checks before it touches memory, in one place, so that
/// all of them refuse the same calls with the same words.
namespace solens::checks {

inline void same(std::string_view operation, const shape& expected, const shape& got,
                 std::string_view name) {
  if (!(expected == got)) {
    throw shape_error(operation, to_string(expected), to_string(got), name);
  }
}

inline shape leading(const shape& s) { return s.without(s.rank() - 1); }

template <class T, class S>
void at_least_one_axis(std::string_view operation, const tensor_view<T, S>& x,
                       std::string_view name) {
  if (x.rank() == 0) throw shape_error(operation, "one axis or more", "none", name);
}

/// a [batch..., m, k], b [batch..., k, n], c [batch..., m, n], with `n_batch` leading axes.
template <class A, class B, class C, class S>
void product(std::string_view operation, const tensor_view<A, S>& a, const tensor_view<B, S>& b,
             const tensor_view<C, S>& c, std::size_t least_rank, std::size_t most_rank) {
  const std::size_t r = c.rank();
  if (r < least_rank || r > most_rank || a.rank() != r || b.rank() != r) {
    throw shape_error(
        operation,
        "three operands of rank " + std::to_string(least_rank) +
            (most_rank > least_rank ? " or " + std::to_string(most_rank) : std::string{}),
        to_string(a.extents()) + ", " + to_string(b.extents()) + ", " + to_string(c.extents()));
  }
  shape want_b = c.extents(), want_c = a.extents();
  want_b[r - 2] = a.extent(r - 1);
  want_c[r - 1] = b.extent(r - 1);
  same(operation, want_b, b.extents(), "b");
  same(operation, want_c, c.extents(), "c");
}

template <class X, class W, class Y, class S>
void layer_norm(const tensor_view<X, S>& x, const tensor_view<W, S>& weight,
                const tensor_view<W, S>& bias, const tensor_view<Y, S>& y,
                const tensor_view<Y, S>& mean, const tensor_view<Y, S>& scale) {
  at_least_one_axis("layer_norm", x, "x");
  const shape row{x.extent(x.rank() - 1)};
  same("layer_norm", row, weight.extents(), "weight");
  same("layer_norm", row, bias.extents(), "bias");
  same("layer_norm", x.extents(), y.extents(), "y");
  if (!mean.empty()) same("layer_norm", leading(x.extents()), mean.extents(), "mean");
  if (!scale.empty()) same("layer_norm", leading(x.extents()), scale.extents(), "scale");
}

template <class X, class Y, class S>
void last_axis(std::string_view operation, const tensor_view<X, S>& row,
               const tensor_view<Y, S>& x) {
  at_least_one_axis(operation, x, "x");
  same(operation, shape{x.extent(x.rank() - 1)}, row.extents(), "bias");
}

/// One result for each row of x.
template <class X, class Y, class S>
void per_row(std::string_view operation, const tensor_view<X, S>& x, const tensor_view<Y, S>& out,
             std::string_view name) {
  at_least_one_axis(operation, x, "x");
  same(operation, leading(x.extents()), out.extents(), name);
}

template <class X, class V, class I, class S>
void argmax_abs(const tensor_view<X, S>& x, const tensor_view<V, S>& values,
                const tensor_view<I, S>& indices) {
  per_row("argmax_abs", x, values, "values");
  per_row("argmax_abs", x, indices, "indices");
  if (row_count(x) > 0 && x.extent(x.rank() - 1) == 0) {
    throw shape_error("argmax_abs", "rows with one element or more", to_string(x.extents()), "x");
  }
}

template <class X, class V, class I, class S>
void top_k(const tensor_view<X, S>& x, const tensor_view<V, S>& values,
           const tensor_view<I, S>& indices) {
  at_least_one_axis("top_k", x, "x");
  at_least_one_axis("top_k", values, "values");
  same("top_k", values.extents(), indices.extents(), "indices");
  same("top_k", leading(x.extents()), leading(values.extents()), "values");
  const index_t n = x.extent(x.rank() - 1), k = values.extent(values.rank() - 1);
  if (k > n) {
    throw shape_error("top_k", "at most " + std::to_string(n) + " to choose", std::to_string(k),
                      "values");
  }
}

template <class T, class R, class O, class S>
void gather(const tensor_view<T, S>& table, const tensor_view<R, S>& rows,
            const tensor_view<O, S>& out) {
  if (table.rank() != 2) {
    throw shape_error("gather", "a table of rank 2", to_string(table.extents()), "table");
  }
  shape want = rows.extents();
  want.push_back(table.extent(1));
  same("gather", want, out.extents(), "out");
}

/// A row that `gather` was asked for, in a table that has it.
template <class T, class S>
index_t row_of_table(const tensor_view<T, S>& table, index_t row) {
  if (row < 0 || row >= table.extent(0)) {
    throw shape_error("gather", "a row below " + std::to_string(table.extent(0)),
                      std::to_string(row), "rows");
  }
  return row;
}

template <class A, class B, class S>
void cholesky_solve(const tensor_view<A, S>& a, const tensor_view<B, S>& b) {
  if (a.rank() != 3 || b.rank() != 3) {
    throw shape_error("cholesky_solve", "[batch, n, n] and [batch, n, r]",
                      to_string(a.extents()) + " and " + to_string(b.extents()));
  }
  same("cholesky_solve", shape{a.extent(0), a.extent(1), a.extent(1)}, a.extents(), "a");
  same("cholesky_solve", shape{a.extent(0), a.extent(1), b.extent(2)}, b.extents(), "b");
}

template <class A, class L, class S>
void cholesky(const tensor_view<A, S>& a, const tensor_view<L, S>& l) {
  if (a.rank() != 3) throw shape_error("cholesky", "[batch, n, n]", to_string(a.extents()), "a");
  same("cholesky", shape{a.extent(0), a.extent(1), a.extent(1)}, a.extents(), "a");
  same("cholesky", a.extents(), l.extents(), "l");
}

/// q, out [n_images, n_heads, n_queries, d_head]; k, v [n_images, n_heads, n_tokens, d_head];
/// first [n_images, n_heads, n_tokens]; scores [n_images, n_heads, n_queries, n_tokens].
template <class Q, class O, class S>
void attention(const tensor_view<Q, S>& q, const tensor_view<Q, S>& k, const tensor_view<Q, S>& v,
               bool causal, const tensor_view<O, S>& out, const tensor_view<O, S>& first,
               const tensor_view<O, S>& scores) {
  if (q.rank() != 4 || k.rank() != 4) {
    throw shape_error("attention", "queries and keys of rank 4",
                      to_string(q.extents()) + " and " + to_string(k.extents()));
  }
  const index_t images = q.extent(0), heads = q.extent(1), queries = q.extent(2),
                tokens = k.extent(2);
  same("attention", shape{images, heads, tokens, q.extent(3)}, k.extents(), "k");
  same("attention", k.extents(), v.extents(), "v");
  same("attention", q.extents(), out.extents(), "out");
  if (!first.empty()) same("attention", shape{images, heads, tokens}, first.extents(), "first");
  if (!scores.empty()) {
    same("attention", shape{images, heads, queries, tokens}, scores.extents(), "scores");
  }
  if (causal && queries > tokens) {
    throw shape_error("attention", "at most a query for each token where it is causal",
                      to_string(q.extents()), "q");
  }
}

template <class A, class V, class S>
void symmetric_eigen(const tensor_view<A, S>& a, const tensor_view<V, S>& values,
                     const tensor_view<V, S>& vectors) {
  if (a.rank() != 3 || values.rank() != 2 || vectors.rank() != 3) {
    throw shape_error("symmetric_eigen", "[batch, n, n], [batch, q] and [batch, q, n]",
                      to_string(a.extents()) + ", " + to_string(values.extents()) + " and " +
                          to_string(vectors.extents()));
  }
  const index_t batch = a.extent(0), n = a.extent(1), q = values.extent(1);
  same("symmetric_eigen", shape{batch, n, n}, a.extents(), "a");
  same("symmetric_eigen", shape{batch, q}, values.extents(), "values");
  same("symmetric_eigen", shape{batch, q, n}, vectors.extents(), "vectors");
  if (q > n) {
    throw shape_error("symmetric_eigen", "at most " + std::to_string(n) + " eigenpairs",
                      std::to_string(q), "values");
  }
}

}  // namespace solens::checks
