#pragma once

#include <algorithm>  // std::partial_sort, std::stable_sort
#include <cmath>
#include <limits>
#include <numeric>  // std::iota
#include <utility>  // std::swap
#include <vector>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>

namespace solens {

/// The oracle: plain loops over host memory, every sum accumulated in double.
///
/// Slow on purpose; other backends are held against it. One thread.
template <class T>
class reference_backend {
 public:
  using scalar = T;
  using space = host_space;
  using tensor = host_tensor<T>;
  using index_tensor = host_tensor<index_t>;
  using view = host_view<T>;
  using const_view = host_view<const T>;
  using index_view = host_view<index_t>;
  using const_index_view = host_view<const index_t>;
  static constexpr fused_op fused = fused_op::none;

  tensor allocate(const shape& extents) const { return tensor(extents); }
  index_tensor allocate_indices(const shape& extents) const { return index_tensor(extents); }

  void upload(const_view from, view to) const { copy_rows("upload", from, to); }
  void upload(const_index_view from, index_view to) const { copy_rows("upload", from, to); }
  void download(const_view from, view to) const { copy_rows("download", from, to); }
  void download(const_index_view from, index_view to) const { copy_rows("download", from, to); }
  void copy(const_view from, view to) const { copy_rows("copy", from, to); }

  void fill(T value, view to) const {
    for_rows(to, [&](index_t r) {
      auto y = row_of(to, r);
      for (index_t i = 0; i < y.size; ++i) y[i] = value;
    });
  }

  void gemm(T alpha, const_view a, const_view b, T beta, view c) const {
    checks::product("gemm", a, b, c, 2, 2);
    product(alpha, a, b, beta, c);
  }

  void batched_gemm(T alpha, const_view a, const_view b, T beta, view c) const {
    checks::product("batched_gemm", a, b, c, 3, 4);
    for (index_t i = 0; i < c.extent(0); ++i) {
      if (c.rank() == 3) {
        product(alpha, a[i], b[i], beta, c[i]);
      } else {
        for (index_t j = 0; j < c.extent(1); ++j) product(alpha, a[i][j], b[i][j], beta, c[i][j]);
      }
    }
  }

  void softmax(T scale, const_view x, view y) const {
    checks::at_least_one_axis("softmax", x, "x");
    checks::same("softmax", x.extents(), y.extents(), "y");
    for_rows(x, [&](index_t r) {
      auto in = row_of(x, r);
      auto out = row_of(y, r);
      double largest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (index_t i = 0; i < in.size; ++i) {
        largest = std::max(largest, static_cast<double>(scale) * static_cast<double>(in[i]));
      }
      std::vector<double> e(static_cast<std::size_t>(in.size));
      for (index_t i = 0; i < in.size; ++i) {
        const double v = static_cast<double>(scale) * static_cast<double>(in[i]);
        sum += e[static_cast<std::size_t>(i)] = std::exp(v - largest);
      }
      for (index_t i = 0; i < in.size; ++i) {
        out[i] = static_cast<T>(e[static_cast<std::size_t>(i)] / sum);
      }
    });
  }

  void layer_norm(const_view x, const_view weight, const_view bias, T eps, view y, view mean,
                  view scale) const {
    checks::layer_norm(x, weight, bias, y, mean, scale);
    for_rows(x, [&](index_t r) {
      auto in = row_of(x, r);
      auto out = row_of(y, r);
      double sum = 0, squares = 0;
      for (index_t i = 0; i < in.size; ++i) sum += static_cast<double>(in[i]);
      const double m = sum / static_cast<double>(in.size);
      for (index_t i = 0; i < in.size; ++i) {
        const double d = static_cast<double>(in[i]) - m;
        squares += d * d;
      }
      const double s = std::sqrt(squares / static_cast<double>(in.size) + static_cast<double>(eps));
      for (index_t i = 0; i < in.size; ++i) {
        out[i] =
            static_cast<T>((static_cast<double>(in[i]) - m) / s * static_cast<double>(weight(i)) +
                           static_cast<double>(bias(i)));
      }
      if (!mean.empty()) element_of(mean, r) = static_cast<T>(m);
      if (!scale.empty()) element_of(scale, r) = static_cast<T>(s);
    });
  }

  void activate(activation kind, const_view x, view y) const {
    checks::same("activate", x.extents(), y.extents(), "y");
    for_rows(x, [&](index_t r) {
      auto in = row_of(x, r);
      auto out = row_of(y, r);
      for (index_t i = 0; i < in.size; ++i) {
        out[i] = static_cast<T>(activated(kind, static_cast<double>(in[i])));
      }
    });
  }

  void add_bias(const_view bias, view x) const {
    checks::last_axis("add_bias", bias, x);
    for_rows(x, [&](index_t r) {
      auto row = row_of(x, r);
      for (index_t i = 0; i < row.size; ++i) row[i] += bias(i);
    });
  }

  void axpby(T alpha, const_view x, T beta, view y) const {
    checks::same("axpby", x.extents(), y.extents(), "y");
    for_rows(x, [&](index_t r) {
      auto in = row_of(x, r);
      auto out = row_of(y, r);
      for (index_t i = 0; i < in.size; ++i) {
        const double old =
            beta == T{0} ? 0 : static_cast<double>(beta) * static_cast<double>(out[i]);
        out[i] = static_cast<T>(static_cast<double>(alpha) * static_cast<double>(in[i]) + old);
      }
    });
  }

  void multiply(const_view x, const_view y, view out) const {
    combine("multiply", x, y, out, [](T a, T b) { return a * b; });
  }

  void divide(const_view x, const_view y, view out) const {
    combine("divide", x, y, out, [](T a, T b) { return a / b; });
  }

  void row_norms(const_view x, view norms) const {
    checks::per_row("row_norms", x, norms, "norms");
    for_rows(x, [&](index_t r) {
      auto in = row_of(x, r);
      double sum = 0;
      for (index_t i = 0; i < in.size; ++i) {
        sum += static_cast<double>(in[i]) * static_cast<double>(in[i]);
      }
      element_of(norms, r) = static_cast<T>(std::sqrt(sum));
    });
  }

  void top_k(const_view x, view values, index_view indices) const {
    checks::top_k(x, values, indices);
    const index_t k = values.extent(values.rank() - 1);
    std::vector<index_t> order(static_cast<std::size_t>(x.extent(x.rank() - 1)));
    for_rows(x, [&](index_t r) {
      auto in = row_of(x, r);
      auto value = row_of(values, r);
      auto at = row_of(indices, r);
      std::iota(order.begin(), order.end(), index_t{0});
      std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](index_t i, index_t j) {
        if (std::isnan(in[i]) || std::isnan(in[j])) {
          return std::isnan(in[i]) == std::isnan(in[j]) ? i < j : std::isnan(in[j]);
        }
        return in[i] != in[j] ? in[i] > in[j] : i < j;
      });
      for (index_t i = 0; i < k; ++i) {
        at[i] = order[static_cast<std::size_t>(i)];
        value[i] = in[at[i]];
      }
    });
  }

  void argmax_abs(const_view x, view values, index_view indices) const {
    checks::argmax_abs(x, values, indices);
    for_rows(x, [&](index_t r) {
      auto in = row_of(x, r);
      index_t best = 0;
      for (index_t i = 1; i < in.size; ++i) {
        if (std::abs(in[i]) > std::abs(in[best]) || (std::isnan(in[best]) && !std::isnan(in[i]))) {
          best = i;
        }
      }
      element_of(values, r) = in[best];
      element_of(indices, r) = best;
    });
  }

  void gather(const_view table, const_index_view rows, view out) const {
    checks::gather(table, rows, out);
    for_rows(out, [&](index_t r) {
      const index_t row = checks::row_of_table(table, element_of(rows, r));
      auto to = row_of(out, r);
      for (index_t i = 0; i < to.size; ++i) to[i] = table(row, i);
    });
  }

  void cholesky_solve(const_view a, view b) const {
    checks::cholesky_solve(a, b);
    const index_t n = a.extent(1);
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    host_tensor<double> l(shape{n, n}, 0.0), x(shape{n}, 0.0);
    for (index_t g = 0; g < a.extent(0); ++g) {
      for (index_t i = 0; i < n; ++i) {
        for (index_t j = 0; j <= i; ++j) {
          double sum = static_cast<double>(a(g, i, j));
          for (index_t k = 0; k < j; ++k) sum -= l(i, k) * l(j, k);
          l(i, j) = i != j ? sum / l(j, j) : sum > 0 ? std::sqrt(sum) : nan;
        }
      }
      for (index_t c = 0; c < b.extent(2); ++c) {
        for (index_t i = 0; i < n; ++i) {
          double sum = static_cast<double>(b(g, i, c));
          for (index_t k = 0; k < i; ++k) sum -= l(i, k) * x(k);
          x(i) = sum / l(i, i);
        }
        for (index_t i = n; i-- > 0;) {
          double sum = x(i);
          for (index_t k = i + 1; k < n; ++k) sum -= l(k, i) * x(k);
          x(i) = sum / l(i, i);
          b(g, i, c) = static_cast<T>(x(i));
        }
      }
    }
  }

  void cholesky(const_view a, view l) const {
    checks::cholesky(a, l);
    const index_t n = a.extent(1);
    for (index_t g = 0; g < a.extent(0); ++g) {
      host_tensor<double> d(shape{n, n}, 0.0);
      double largest = 0;
      for (index_t i = 0; i < n; ++i) largest = std::max(largest, static_cast<double>(a(g, i, i)));
      const double zero = static_cast<double>(n) * std::numeric_limits<T>::epsilon() * largest;
      for (index_t j = 0; j < n; ++j) {
        for (index_t i = j; i < n; ++i) {
          double sum = static_cast<double>(a(g, i, j));
          for (index_t k = 0; k < j; ++k) sum -= d(i, k) * d(j, k);
          if (i == j) {
            d(j, j) = std::abs(sum) <= zero ? 0 : std::sqrt(sum);
          } else {
            d(i, j) = d(j, j) == 0 ? 0 : sum / d(j, j);
          }
        }
      }
      for (index_t i = 0; i < n; ++i) {
        for (index_t j = 0; j < n; ++j) l(g, i, j) = static_cast<T>(d(i, j));
      }
    }
  }

  /// By cyclic Jacobi rotations.
  void symmetric_eigen(const_view a, view values, view vectors) const {
    checks::symmetric_eigen(a, values, vectors);
    const index_t n = a.extent(1);
    for (index_t g = 0; g < a.extent(0); ++g) {
      host_tensor<double> m(shape{n, n}), v(shape{n, n}, 0.0);
      for (index_t i = 0; i < n; ++i) {
        v(i, i) = 1;
        for (index_t j = 0; j <= i; ++j) m(i, j) = m(j, i) = static_cast<double>(a(g, i, j));
      }
      if (!finite(m)) {
        fill(std::numeric_limits<T>::quiet_NaN(), values[g]);
        fill(std::numeric_limits<T>::quiet_NaN(), vectors[g]);
        continue;
      }
      for (int sweep = 0; sweep < 60 && off_diagonal(m) > 0; ++sweep) jacobi_sweep(m, v);
      std::vector<index_t> order(static_cast<std::size_t>(n));
      std::iota(order.begin(), order.end(), index_t{0});
      std::stable_sort(order.begin(), order.end(),
                       [&](index_t i, index_t j) { return m(i, i) > m(j, j); });
      for (index_t i = 0; i < values.extent(1); ++i) {
        const index_t from = order[static_cast<std::size_t>(i)];
        values(g, i) = static_cast<T>(m(from, from));
        for (index_t j = 0; j < n; ++j) vectors(g, i, j) = static_cast<T>(v(from, j));
      }
    }
  }

  void synchronize() const {}

 private:
  template <class U, class F>
  static void for_rows(const host_view<U>& x, F&& f) {
    if (x.empty()) return;
    for (index_t r = 0; r < row_count(x); ++r) f(r);
  }

  template <class U>
  static void copy_rows(std::string_view operation, host_view<const U> from, host_view<U> to) {
    checks::same(operation, from.extents(), to.extents(), "to");
    for_rows(from, [&](index_t r) {
      auto x = row_of(from, r);
      auto y = row_of(to, r);
      for (index_t i = 0; i < x.size; ++i) y[i] = x[i];
    });
  }

  template <class F>
  static void combine(std::string_view operation, const_view x, const_view y, view out, F&& f) {
    checks::same(operation, x.extents(), y.extents(), "y");
    checks::same(operation, x.extents(), out.extents(), "out");
    for_rows(x, [&](index_t r) {
      auto a = row_of(x, r);
      auto b = row_of(y, r);
      auto c = row_of(out, r);
      for (index_t i = 0; i < a.size; ++i) c[i] = f(a[i], b[i]);
    });
  }

  static void product(T alpha, const_view a, const_view b, T beta, view c) {
    for (index_t i = 0; i < c.extent(0); ++i) {
      for (index_t j = 0; j < c.extent(1); ++j) {
        double sum = 0;
        for (index_t k = 0; k < a.extent(1); ++k) {
          sum += static_cast<double>(a(i, k)) * static_cast<double>(b(k, j));
        }
        const double old =
            beta == T{0} ? 0 : static_cast<double>(beta) * static_cast<double>(c(i, j));
        c(i, j) = static_cast<T>(static_cast<double>(alpha) * sum + old);
      }
    }
  }

  static double activated(activation kind, double x) {
    switch (kind) {
      case activation::gelu: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
      case activation::quick_gelu: return x / (1 + std::exp(-1.702 * x));
      case activation::gelu_tanh: break;
    }
    constexpr double sqrt_2_over_pi = 0.79788456080286535588;
    return 0.5 * x * (1 + std::tanh(sqrt_2_over_pi * (x + 0.044715 * x * x * x)));
  }

  static bool finite(const host_tensor<double>& m) {
    return std::all_of(m.begin(), m.end(), [](double x) { return std::isfinite(x); });
  }

  /// The part of the squared Frobenius norm off the diagonal, 0 when it is negligible.
  static double off_diagonal(const host_tensor<double>& m) {
    double off = 0, all = 0;
    for (index_t i = 0; i < m.extent(0); ++i) {
      for (index_t j = 0; j < m.extent(0); ++j) {
        all += m(i, j) * m(i, j);
        if (i != j) off += m(i, j) * m(i, j);
      }
    }
    return off > 1e-30 * all ? off : 0;
  }

  /// Zeroes each off-diagonal pair once; rows of v gather the eigenvectors.
  static void jacobi_sweep(host_tensor<double>& m, host_tensor<double>& v) {
    const index_t n = m.extent(0);
    for (index_t p = 0; p < n; ++p) {
      for (index_t q = p + 1; q < n; ++q) {
        if (m(p, q) == 0) continue;
        const double theta = (m(q, q) - m(p, p)) / (2 * m(p, q));
        const double t = std::copysign(1.0, theta) / (std::abs(theta) + std::hypot(theta, 1.0));
        const double c = 1 / std::hypot(t, 1.0), s = t * c;
        for (index_t k = 0; k < n; ++k) {
          const double kp = m(k, p), kq = m(k, q);
          m(k, p) = c * kp - s * kq;
          m(k, q) = s * kp + c * kq;
        }
        for (index_t k = 0; k < n; ++k) {
          const double pk = m(p, k), qk = m(q, k);
          m(p, k) = c * pk - s * qk;
          m(q, k) = s * pk + c * qk;
          const double vp = v(p, k), vq = v(q, k);
          v(p, k) = c * vp - s * vq;
          v(q, k) = s * vp + c * vq;
        }
      }
    }
  }
};

static_assert(tensor_backend<reference_backend<float>>);
static_assert(tensor_backend<reference_backend<double>>);

}  // namespace solens
