#pragma once

#include <algorithm>  // std::max
#include <limits>
#include <string>
#include <type_traits>
#include <utility>  // std::as_const

#if defined(SOLENS_HAS_BLAS)
#include <Eigen/src/misc/blas.h>  // sgemm_, ssyrk_, strmm_ and those in double, as Eigen declares them when it uses a BLAS
#else
#include <Eigen/Core>
#endif

#include <solens/backend/parallel.hpp>
#include <solens/core/host_tensor.hpp>

#if defined(SOLENS_HAS_BLAS)
/// OpenBLAS's answer to how it runs in parallel; null where the BLAS is another one.
extern "C" [[gnu::weak]] int openblas_get_parallel();
#endif

/// Products of matrices of any strides, by a BLAS where there is one and by Eigen where not.
namespace solens::blas {

/// Whether several threads may each run a product at full speed. An OpenBLAS with threads of its
/// own (pthread) lets only one product at a time use them, so it is given the whole one.
inline bool runs_inside_a_team() {
#if defined(SOLENS_HAS_BLAS)
  constexpr int own_threads = 1;
  return openblas_get_parallel == nullptr || openblas_get_parallel() != own_threads;
#else
  return true;
#endif
}

/// The distance of rows under which a BLAS can read a view row by row; 0 where it cannot.
template <class T>
index_t row_distance(const host_view<T>& x) {
  const index_t rows = x.extents()[0], columns = x.extents()[1];
  if (columns > 1 && x.strides()[1] != 1) return 0;
  const index_t least = std::max(index_t{1}, columns);
  const index_t distance = rows > 1 ? x.strides()[0] : least;
  return distance >= least ? distance : 0;
}

template <class T>
bool readable(const host_view<T>& x) {
  return row_distance(x) > 0 || row_distance(x.transposed()) > 0;
}

#if defined(SOLENS_HAS_BLAS)
/// An extent or stride as a BLAS counts it.
inline int counted(index_t value) {
  if (value > std::numeric_limits<int>::max()) {
    throw shape_error("gemm", "extents and strides that the BLAS can count", std::to_string(value));
  }
  return static_cast<int>(value);
}
#endif

/// c = alpha a b + beta c for readable a and b and a c whose rows are contiguous.
template <class T>
void multiply_here(T alpha, host_view<const T> a, host_view<const T> b, T beta, host_view<T> c) {
#if defined(SOLENS_HAS_BLAS)
  // A BLAS counts by columns, so it is asked for the transpose: c' = b' a'.
  const auto letter = [](const auto& x) { return row_distance(x) > 0 ? 'N' : 'T'; };
  const auto distance = [&](const auto& x) {
    return counted(row_distance(x) > 0 ? row_distance(x) : row_distance(x.transposed()));
  };
  const char of_a = letter(a), of_b = letter(b);
  const int m = counted(c.extent(0)), n = counted(c.extent(1)), k = counted(a.extent(1));
  const int lda = distance(a), ldb = distance(b), ldc = distance(c);
  if constexpr (std::is_same_v<T, float>) {
    sgemm_(&of_b, &of_a, &n, &m, &k, &alpha, b.data(), &ldb, a.data(), &lda, &beta, c.data(), &ldc);
  } else {
    dgemm_(&of_b, &of_a, &n, &m, &k, &alpha, b.data(), &ldb, a.data(), &lda, &beta, c.data(), &ldc);
  }
#else
  using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto map = [](const auto& x) {
    return Eigen::Map<const matrix, 0, Eigen::OuterStride<>>(x.data(), x.extent(0), x.extent(1),
                                                             Eigen::OuterStride<>(row_distance(x)));
  };
  Eigen::Map<matrix, 0, Eigen::OuterStride<>> result(c.data(), c.extent(0), c.extent(1),
                                                     Eigen::OuterStride<>(row_distance(c)));
  if (beta == T{0}) {
    result.setZero();
  } else if (beta != T{1}) {
    result *= beta;
  }
  const auto add = [&](const auto& x) {
    if (row_distance(b) > 0) {
      result.noalias() += alpha * x * map(b);
    } else {
      result.noalias() += alpha * x * map(b.transposed()).transpose();
    }
  };
  if (row_distance(a) > 0) {
    add(map(a));
  } else {
    add(map(a.transposed()).transpose());
  }
#endif
}

/// A view that a BLAS can read: the one given, or a copy where it cannot.
template <class T>
class readable_matrix {
 public:
  explicit readable_matrix(host_view<const T> x) : view_(x) {
    if (readable(x)) return;
    copy_ = host_tensor<T>(x.extents());
    for (index_t i = 0; i < x.extent(0); ++i) {
      for (index_t j = 0; j < x.extent(1); ++j) copy_(i, j) = x(i, j);
    }
    view_ = std::as_const(copy_).view();
  }
  const host_view<const T>& view() const { return view_; }

 private:
  host_tensor<T> copy_;
  host_view<const T> view_;
};

/// y = x + beta y, where y is not read when beta is 0.
template <class T>
void scale_add(host_view<const T> x, T beta, host_view<T> y) {
  for (index_t i = 0; i < y.extent(0); ++i) {
    for (index_t j = 0; j < y.extent(1); ++j) {
      y(i, j) = x(i, j) + (beta == T{0} ? T{0} : beta * y(i, j));
    }
  }
}

/// c [m, n] = alpha a [m, k] b [k, n] + beta c, of any strides; c is not read when beta is 0.
template <class T>
void multiply(const thread_team& team, T alpha, host_view<const T> a, host_view<const T> b, T beta,
              host_view<T> c) {
  if (c.empty()) return;
  if (a.extent(1) == 0) {
    const T nothing = 0;
    return scale_add(host_view<const T>(&nothing, c.extents(), {0, 0}), beta, c);
  }
  if (row_distance(c) == 0) {
    if (row_distance(c.transposed()) > 0) {
      return multiply(team, alpha, b.transposed(), a.transposed(), beta, c.transposed());
    }
    host_tensor<T> product(c.extents());
    multiply(team, alpha, a, b, T{0}, product.view());
    return scale_add(std::as_const(product).view(), beta, c);
  }
  const readable_matrix<T> x(a), y(b);
  const index_t m = c.extent(0), n = c.extent(1), flops_of_a_row = 2 * a.extent(1) * n;
  constexpr index_t least_flops = 1 << 20;  // some 10 us of work for a thread
  if (!runs_inside_a_team()) {
    return multiply_here(alpha, x.view(), y.view(), beta, c);
  }
  // Rows, as the elementwise operations that follow share them, unless that leaves slabs so thin
  // that every thread would spend its time on packing b.
  if (m >= 64 * team.size() || m >= n) {
    team.split(
        m, std::max(index_t{8}, least_flops / flops_of_a_row), [&](index_t from, index_t to) {
          multiply_here(alpha, x.view().slice(0, from, to), y.view(), beta, c.slice(0, from, to));
        });
  } else {
    const index_t flops_of_a_column = 2 * a.extent(1) * m;
    team.split(
        n, std::max(index_t{16}, least_flops / flops_of_a_column), [&](index_t from, index_t to) {
          multiply_here(alpha, x.view(), y.view().slice(1, from, to), beta, c.slice(1, from, to));
        });
  }
}

/// The lower triangle of c [n, n] = a a^T + beta c, on the calling thread.
template <class T>
void gram(host_view<const T> a, T beta, host_view<T> c) {
#if defined(SOLENS_HAS_BLAS)
  if (row_distance(c) > 0 && readable(a) && a.extent(1) > 0) {
    // By columns, as a BLAS counts, the lower triangle is the upper one, and a its transpose.
    const bool by_rows = row_distance(a) > 0;
    const char upper = 'U', of_a = by_rows ? 'T' : 'N';
    const int n = counted(c.extent(0)), k = counted(a.extent(1)), ldc = counted(row_distance(c));
    const int lda = counted(by_rows ? row_distance(a) : row_distance(a.transposed()));
    const T one = 1;
    if constexpr (std::is_same_v<T, float>) {
      ssyrk_(&upper, &of_a, &n, &k, &one, a.data(), &lda, &beta, c.data(), &ldc);
    } else {
      dsyrk_(&upper, &of_a, &n, &k, &one, a.data(), &lda, &beta, c.data(), &ldc);
    }
    return;
  }
#endif
  multiply(thread_team(1), T{1}, a, a.transposed(), beta, c);
}

/// x [m, n] = x l for lower triangular l [n, n], on the calling thread; rows of x are contiguous.
template <class T>
void multiply_lower(host_view<const T> l, host_view<T> x) {
#if defined(SOLENS_HAS_BLAS)
  const readable_matrix<T> lower(l);
  const bool by_rows = row_distance(lower.view()) > 0;
  const char left = 'L', triangle = by_rows ? 'U' : 'L', of_l = by_rows ? 'N' : 'T', no = 'N';
  const int n = counted(x.extent(1)), m = counted(x.extent(0)), ldx = counted(row_distance(x));
  const int ldl =
      counted(by_rows ? row_distance(lower.view()) : row_distance(lower.view().transposed()));
  const T one = 1;
  if constexpr (std::is_same_v<T, float>) {
    strmm_(&left, &triangle, &of_l, &no, &n, &m, &one, lower.view().data(), &ldl, x.data(), &ldx);
  } else {
    dtrmm_(&left, &triangle, &of_l, &no, &n, &m, &one, lower.view().data(), &ldl, x.data(), &ldx);
  }
#else
  host_tensor<T> copy(x.extents());
  scale_add(host_view<const T>(x), T{0}, copy.view());
  multiply(thread_team(1), T{1}, std::as_const(copy).view(), l, T{0}, x);
#endif
}

}  // namespace solens::blas
