#pragma once

#include <algorithm>  // std::all_of, std::fill, std::max
#include <cmath>      // std::isfinite
#include <cstddef>    // std::size_t
#include <limits>
#include <string_view>
#include <utility>  // std::as_const
#include <vector>

#include <solens/backend/blas_product.hpp>
#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/backend/leading_eigenpair.hpp>
#include <solens/backend/parallel.hpp>
#include <solens/backend/row_kernels.hpp>
#include <solens/backend/triangular.hpp>
#include <solens/core/host_tensor.hpp>

namespace solens {

/// What the CPU backends share: host memory, OpenMP, vectorised rows. Products and eigenproblems
/// are those of a library: what blas_product.hpp asks of `Library`, and
///
///     template <class T> class symmetric_solver {
///       explicit symmetric_solver(index_t n);
///       bool compute(host_view<const T> a);       // reads the lower triangle; false: no result
///       T value(index_t i), vector(index_t i, index_t j);  // the largest eigenvalue first
///     };
///
/// Views are used where they lie, but for matrices of products with no unit stride and strided
/// rows.
/// @note sums are in `T`, in an order that depends only on extents and, for a product, on threads
template <class T, class Library>
class cpu_operations {
 public:
  using scalar = T;
  using space = host_space;
  using view = host_view<T>;
  using const_view = host_view<const T>;
  using index_view = host_view<index_t>;
  using const_index_view = host_view<const index_t>;
  static constexpr fused_op fused = fused_op::bias_activation | fused_op::bias_layer_norm |
                                    fused_op::attention | fused_op::half_products |
                                    fused_op::row_search;

  /// @param threads  0 for as many as OpenMP gives
  /// @throws argument_error when negative
  explicit cpu_operations(int threads) : team_(threads) {}

  int threads() const { return team_.size(); }

  void upload(const_view from, view to) const { copy_rows("upload", from, to); }
  void upload(const_index_view from, index_view to) const { copy_rows("upload", from, to); }
  void download(const_view from, view to) const { copy_rows("download", from, to); }
  void download(const_index_view from, index_view to) const { copy_rows("download", from, to); }
  void copy(const_view from, view to) const { copy_rows("copy", from, to); }

  void fill(T value, view to) const {
    elementwise([value] { return value; }, to);
  }

  void gemm(T alpha, const_view a, const_view b, T beta, view c) const {
    checks::product("gemm", a, b, c, 2, 2);
    blas::multiply<Library>(team_, alpha, a, b, beta, c);
  }

  void batched_gemm(T alpha, const_view a, const_view b, T beta, view c) const {
    checks::product("batched_gemm", a, b, c, 3, 4);
    if (c.empty()) return;
    const index_t inner = c.rank() == 4 ? c.extent(1) : 1;
    const index_t batch = c.extent(0) * inner;
    const auto product = [&](const thread_team& team, index_t g) {
      if (c.rank() == 3) {
        blas::multiply<Library>(team, alpha, a[g], b[g], beta, c[g]);
      } else {
        const index_t i = g / inner, j = g % inner;
        blas::multiply<Library>(team, alpha, a[i][j], b[i][j], beta, c[i][j]);
      }
    };
    if (batch < team_.size()) {
      for (index_t g = 0; g < batch; ++g) product(team_, g);
      return;
    }
    const index_t flops =
        2 * c.extent(c.rank() - 1) * c.extent(c.rank() - 2) * a.extent(a.rank() - 1);
    team_.split(batch, work_of_a_thread / std::max(index_t{1}, flops / 16),
                [&](index_t from, index_t to) {
                  for (index_t g = from; g < to; ++g) product(thread_team(1), g);
                });
  }

  /// The lower triangle of c = a a^T + beta c; see ops::gram.
  void gram(const_view a, T beta, view c) const {
    checks::product("gram", a, a.transposed(), c, 3, 3);
    if (c.empty()) return;
    team_.split(c.extent(0), 1, [&](index_t from, index_t to) {
      for (index_t g = from; g < to; ++g) blas::gram<Library>(a[g], beta, c[g]);
    });
  }

  /// out = x l for lower triangular l, where out may be x; see ops::multiply_lower.
  void multiply_lower(const_view x, const_view l, view out) const {
    checks::product("multiply_lower", x, l, out, 3, 3);
    if (out.empty() || blas::row_distance(out[0]) == 0) return batched_gemm(1, x, l, 0, out);
    team_.split(out.extent(0), 1, [&](index_t from, index_t to) {
      for (index_t g = from; g < to; ++g) {
        if (x.data() != out.data()) copy_here(x[g], out[g]);
        blas::multiply_lower<Library>(l[g], out[g]);
      }
    });
  }

  void softmax(T scale, const_view x, view y) const {
    checks::at_least_one_axis("softmax", x, "x");
    checks::same("softmax", x.extents(), y.extents(), "y");
    each_row(x, y,
             [&](index_t, const T* in, T* out, index_t n) { rows::softmax(scale, in, out, n); });
  }

  void layer_norm(const_view x, const_view weight, const_view bias, T eps, view y, view mean,
                  view scale) const {
    checks::layer_norm(x, weight, bias, y, mean, scale);
    const packed w(weight), b(bias);
    each_row(x, y, [&](index_t r, const T* in, T* out, index_t n) {
      store(rows::layer_norm(in, w.data(), b.data(), eps, out, n), r, mean, scale);
    });
  }

  /// x += bias, then y = layer_norm(x).
  void bias_layer_norm(const_view bias, view x, const_view weight, const_view norm_bias, T eps,
                       view y, view mean, view scale) const {
    checks::last_axis("bias_layer_norm", bias, x);
    checks::layer_norm(const_view(x), weight, norm_bias, y, mean, scale);
    const packed add(bias), w(weight), b(norm_bias);
    each_row(x, x, [&](index_t r, const T*, T* row, index_t n) {
      rows::add(add.data(), row, n);
      const auto to = row_of(y, r);
      if (to.stride == 1) {
        store(rows::layer_norm(row, w.data(), b.data(), eps, to.data, n), r, mean, scale);
      } else {
        std::vector<T> norm(static_cast<std::size_t>(n));
        store(rows::layer_norm(row, w.data(), b.data(), eps, norm.data(), n), r, mean, scale);
        for (index_t i = 0; i < n; ++i) to[i] = norm[static_cast<std::size_t>(i)];
      }
    });
  }

  /// Within 4 eps max(1, |x|) of the exact value.
  void activate(activation kind, const_view x, view y) const {
    checks::same("activate", x.extents(), y.extents(), "y");
    if (x.contiguous() && y.contiguous()) {
      team_.split(x.size(), work_of_a_thread, [&](index_t from, index_t to) {
        rows::activate(kind, x.data() + from, y.data() + from, to - from);
      });
      return;
    }
    each_row(x, y,
             [&](index_t, const T* in, T* out, index_t n) { rows::activate(kind, in, out, n); });
  }

  void add_bias(const_view bias, view x) const {
    checks::last_axis("add_bias", bias, x);
    const packed b(bias);
    each_row(x, x, [&](index_t, const T*, T* row, index_t n) { rows::add(b.data(), row, n); });
  }

  /// x = kind(x + bias).
  void bias_activation(activation kind, const_view bias, view x) const {
    checks::last_axis("bias_activation", bias, x);
    const packed b(bias);
    each_row(x, x, [&](index_t, const T*, T* row, index_t n) {
      rows::bias_activate(kind, b.data(), row, n);
    });
  }

  void axpby(T alpha, const_view x, T beta, view y) const {
    checks::same("axpby", x.extents(), y.extents(), "y");
    if (beta == T{0}) {
      elementwise([alpha](T a) { return alpha * a; }, y, x);
    } else {
      elementwise([alpha, beta](T a, T b) { return alpha * a + beta * b; }, y, x, const_view(y));
    }
  }

  void multiply(const_view x, const_view y, view out) const {
    checks::same("multiply", x.extents(), y.extents(), "y");
    checks::same("multiply", x.extents(), out.extents(), "out");
    elementwise([](T a, T b) { return a * b; }, out, x, y);
  }

  void divide(const_view x, const_view y, view out) const {
    checks::same("divide", x.extents(), y.extents(), "y");
    checks::same("divide", x.extents(), out.extents(), "out");
    elementwise([](T a, T b) { return a / b; }, out, x, y);
  }

  void row_norms(const_view x, view norms) const {
    checks::per_row("row_norms", x, norms, "norms");
    const bool plain = norms.contiguous();  // found without the divisions of a general position
    each_row(x, {}, [&](index_t r, const T* in, T*, index_t n) {
      (plain ? norms.data()[r] : element_of(norms, r)) = rows::norm(in, n);
    });
  }

  void top_k(const_view x, view values, index_view indices) const {
    checks::top_k(x, values, indices);
    const index_t k = values.extent(values.rank() - 1);
    each_row(x, {}, [&](index_t r, const T* in, T*, index_t n) {
      const std::vector<index_t> order = rows::top_k(in, n, k);
      const auto value = row_of(values, r);
      const auto index = row_of(indices, r);
      for (index_t i = 0; i < k; ++i) {
        index[i] = order[static_cast<std::size_t>(i)];
        value[i] = in[index[i]];
      }
    });
  }

  void argmax_abs(const_view x, view values, index_view indices) const {
    checks::argmax_abs(x, values, indices);
    each_row(x, {}, [&](index_t r, const T* in, T*, index_t n) {
      const index_t best = rows::argmax_abs(in, n);
      element_of(values, r) = in[best];
      element_of(indices, r) = best;
    });
  }

  void gather(const_view table, const_index_view rows, view out) const {
    checks::gather(table, rows, out);
    if (out.empty()) return;
    for (index_t r = 0; r < rows.size(); ++r) checks::row_of_table(table, element_of(rows, r));
    team_.split(rows.size(), grain(table.extent(1)), [&](index_t from, index_t to) {
      for (index_t r = from; r < to; ++r) {
        transform([](T a) { return a; }, row_of(out, r), row_of(table[element_of(rows, r)], 0));
      }
    });
  }

  void cholesky_solve(const_view a, view b) const {
    checks::cholesky_solve(a, b);
    if (b.empty()) return;
    const index_t n = a.extent(1), columns = b.extent(2);
    team_.split(a.extent(0), 1, [&](index_t from, index_t to) {
      host_tensor<T> l(shape{n, n}), x(shape{n, columns});
      for (index_t g = from; g < to; ++g) {
        copy_here(const_view(b)[g], x.view());
        triangular::solve(a[g], l, x);
        copy_here(std::as_const(x).view(), b[g]);
      }
    });
  }

  void cholesky(const_view a, view l) const {
    checks::cholesky(a, l);
    if (l.empty()) return;
    const index_t n = a.extent(1);
    team_.split(a.extent(0), 1, [&](index_t from, index_t to) {
      host_tensor<T> factor(shape{n, n});
      for (index_t g = from; g < to; ++g) {
        triangular::factorise(a[g], triangular::zero_pivot(a[g]), factor);
        copy_here(std::as_const(factor).view(), l[g]);
      }
    });
  }

  void symmetric_eigen(const_view a, view values, view vectors) const {
    checks::symmetric_eigen(a, values, vectors);
    const index_t n = a.extent(1);
    if (values.empty()) return;
    if (values.extent(1) == 1 && n > 16) return first_eigenpairs(a, values, vectors);
    team_.split(a.extent(0), 1, [&](index_t from, index_t to) {
      typename Library::template symmetric_solver<T> solver(n);
      for (index_t g = from; g < to; ++g) {
        const bool found = solver.compute(a[g]);
        for (index_t i = 0; i < values.extent(1); ++i) {
          constexpr T none = std::numeric_limits<T>::quiet_NaN();
          values(g, i) = found ? solver.value(i) : none;
          for (index_t j = 0; j < n; ++j) vectors(g, i, j) = found ? solver.vector(i, j) : none;
        }
      }
    });
  }

  void synchronize() const {}

  /// out = softmax(scale q k^T) v for every image and head, one of them after the other on each
  /// thread, so that the scores never leave its cache; see ops::attention.
  void attention(T scale, const_view q, const_view k, const_view v, bool causal, view out,
                 view first, view scores) const {
    checks::attention(q, k, v, causal, out, first, scores);
    if (out.empty()) return;
    const index_t n_heads = q.extent(1), n_queries = q.extent(2), n_tokens = k.extent(2);
    const thread_team alone(1);
    team_.split(q.extent(0) * n_heads, 1, [&](index_t from, index_t to) {
      host_tensor<T> pattern(shape{n_queries, n_tokens});
      for (index_t g = from; g < to; ++g) {
        const index_t i = g / n_heads, h = g % n_heads;
        blas::multiply<Library>(alone, T{1}, q[i][h], k[i][h].transposed(), T{0}, pattern.view());
        for (index_t row = 0; row < n_queries; ++row) {
          T* p = pattern.data() + row * n_tokens;
          const index_t seen = causal ? n_tokens - n_queries + row + 1 : n_tokens;
          rows::softmax(scale, p, p, seen);
          std::fill(p + seen, p + n_tokens, T{0});
        }
        blas::multiply<Library>(alone, T{1}, std::as_const(pattern).view(), v[i][h], T{0},
                                out[i][h]);
        if (!first.empty()) copy_here(std::as_const(pattern).view()[0], first[i][h]);
        if (!scores.empty()) copy_here(std::as_const(pattern).view(), scores[i][h]);
      }
    });
  }

 protected:
  const thread_team& team() const { return team_; }

  /// Calls f(out, in...) with row_spans that together cover tensors of the same extents: pieces of
  /// the whole where it is contiguous, else rows.
  template <class F, class Out, class... In>
  void each_run(const F& f, const host_view<Out>& out, const host_view<In>&... in) const {
    if (out.empty()) return;
    if (out.contiguous() && (in.contiguous() && ...)) {
      team_.split(out.size(), work_of_a_thread, [&](index_t from, index_t to) {
        f(row_span<Out>{out.data() + from, to - from, 1},
          row_span<In>{in.data() + from, to - from, 1}...);
      });
    } else {
      team_.split(row_count(out), grain(out.extent(out.rank() - 1)), [&](index_t from, index_t to) {
        for (index_t r = from; r < to; ++r) f(row_of(out, r), row_of(in, r)...);
      });
    }
  }

 private:
  static constexpr index_t work_of_a_thread = 1 << 14;  ///< elements: less is not worth a thread

  /// Only the largest eigenvalue and its vector, without the others.
  void first_eigenpairs(const_view a, view values, view vectors) const {
    const index_t n = a.extent(1);
    team_.split(a.extent(0), 1, [&](index_t from, index_t to) {
      leading_eigenpair<T> solver(n);
      host_tensor<T> whole(shape{n, n}), vector(shape{n});
      for (index_t g = from; g < to; ++g) {
        for (index_t i = 0; i < n; ++i) {
          for (index_t j = 0; j <= i; ++j) whole(i, j) = whole(j, i) = a(g, i, j);
        }
        if (std::all_of(whole.begin(), whole.end(), [](T x) { return std::isfinite(x); })) {
          values(g, 0) = solver.compute(whole.data(), vector.data());
        } else {
          values(g, 0) = std::numeric_limits<T>::quiet_NaN();
          std::fill(vector.begin(), vector.end(), values(g, 0));
        }
        copy_here(std::as_const(vector).view(), vectors[g][0]);
      }
    });
  }

  /// A vector whose elements lie one after the other: the one given, or a copy where they do not.
  class packed {
   public:
    explicit packed(const const_view& x) : data_(x.data()) {
      if (x.contiguous()) return;
      for (index_t i = 0; i < x.size(); ++i) copy_.push_back(x(i));
      data_ = copy_.data();
    }
    packed(const packed&) = delete;
    packed& operator=(const packed&) = delete;
    const T* data() const { return data_; }

   private:
    std::vector<T> copy_;
    const T* data_;
  };

  static index_t grain(index_t row) { return work_of_a_thread / std::max(index_t{1}, row) + 1; }

  static void store(rows::moments<T> of, index_t row, const view& mean, const view& scale) {
    if (!mean.empty()) element_of(mean, row) = of.mean;
    if (!scale.empty()) element_of(scale, row) = of.scale;
  }

  /// out[i] = f(in[i]...) of one row.
  template <class F, class Out, class... In>
  static void transform(const F& f, row_span<Out> out, row_span<In>... in) {
    if (out.stride == 1 && ((in.stride == 1) && ...)) {
      SOLENS_SIMD()
      for (index_t i = 0; i < out.size; ++i) out.data[i] = f(in.data[i]...);
    } else {
      for (index_t i = 0; i < out.size; ++i) out[i] = f(in[i]...);
    }
  }

  /// out = f(in...) of whole tensors with the same extents.
  template <class F, class Out, class... In>
  void elementwise(const F& f, const host_view<Out>& out, const host_view<In>&... in) const {
    each_run([&f](auto... runs) { transform(f, runs...); }, out, in...);
  }

  template <class U>
  void copy_rows(std::string_view operation, host_view<const U> from, host_view<U> to) const {
    checks::same(operation, from.extents(), to.extents(), "to");
    elementwise([](U a) { return a; }, to, from);
  }

  /// A copy on the calling thread.
  static void copy_here(const const_view& from, const view& to) {
    for (index_t r = 0; r < row_count(to); ++r) {
      transform([](T a) { return a; }, row_of(to, r), row_of(from, r));
    }
  }

  /// Calls f(r, in, out, n) for every row of x and y with their elements one after the other,
  /// passing strided rows through a buffer. y may be x, or empty, and then out is the buffer.
  template <class F>
  void each_row(const const_view& x, const view& y, const F& f) const {
    if (x.empty()) return;
    const index_t n = x.extent(x.rank() - 1);
    const bool plain = x.contiguous() && (y.empty() || y.contiguous());
    team_.split(row_count(x), grain(n), [&](index_t from, index_t to) {
      if (plain) {
        for (index_t r = from; r < to; ++r) {
          f(r, x.data() + r * n, y.empty() ? nullptr : y.data() + r * n, n);
        }
        return;
      }
      std::vector<T> buffer;
      for (index_t r = from; r < to; ++r) {
        const auto in = row_of(x, r);
        const auto out = y.empty() ? row_span<T>{nullptr, n, 1} : row_of(y, r);
        if (in.stride == 1 && out.stride == 1) {
          f(r, in.data, out.data, n);
          continue;
        }
        buffer.resize(static_cast<std::size_t>(n));
        for (index_t i = 0; i < n; ++i) buffer[static_cast<std::size_t>(i)] = in[i];
        f(r, std::as_const(buffer).data(), buffer.data(), n);
        if (y.empty()) continue;
        for (index_t i = 0; i < n; ++i) out[i] = buffer[static_cast<std::size_t>(i)];
      }
    });
  }

  thread_team team_;
};

}  // namespace solens
