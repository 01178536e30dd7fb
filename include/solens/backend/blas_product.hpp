#pragma once

#include <algorithm>  // std::max
#include <limits>
#include <string>
#include <utility>  // std::as_const

#include <solens/backend/parallel.hpp>
#include <solens/backend/small_products.hpp>
#include <solens/core/host_tensor.hpp>

/// OpenBLAS's answer to how it runs in parallel; null where the BLAS is another one.
extern "C" [[gnu::weak]] int openblas_get_parallel();

/// Products of matrices of any strides by a `Library`, which offers, on the calling thread:
///
///     static constexpr bool is_blas;
///     // c = alpha a b + beta c: readable a and b, c with contiguous rows, nothing empty
///     static void multiply(T alpha, const_view a, const_view b, T beta, view c);
///     // the lower triangle of c = a a^T + beta c: readable a, c with contiguous rows
///     static void gram(const_view a, T beta, view c);
///     // x = x l for lower triangular, readable l, x with contiguous rows
///     static void multiply_lower(const_view l, view x);
///
/// for views of float and of double.
namespace solens::blas {

/// Whether several threads may each run a product at full speed. An OpenBLAS with threads of its
/// own (pthread) lets only one product at a time use them, so it is given the whole one.
template <class Library>
bool runs_inside_a_team() {
  constexpr int own_threads = 1;
  return !Library::is_blas || openblas_get_parallel == nullptr ||
         openblas_get_parallel() != own_threads;
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

/// An extent or stride as a BLAS counts it.
inline int counted(index_t value) {
  if (value > std::numeric_limits<int>::max()) {
    throw shape_error("gemm", "extents and strides that the BLAS can count", std::to_string(value));
  }
  return static_cast<int>(value);
}

/// What a BLAS calls the leading dimension of a readable matrix: of its rows or else its columns.
template <class T>
int leading_dimension(const host_view<T>& x) {
  return counted(row_distance(x) > 0 ? row_distance(x) : row_distance(x.transposed()));
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

/// Whether a product is one for small_products.hpp rather than for a BLAS.
template <class T>
bool is_small(const host_view<const T>& a, const host_view<const T>& b, const host_view<T>& c) {
  constexpr index_t least = 4;  // rows and columns that such a product is made for
  const index_t m = c.extents()[0], n = c.extents()[1], k = a.extents()[1];
  return small_products::fast && m >= least && n >= least &&
         m * n * k <= small_products::most_multiplications && row_distance(b) > 0 &&
         row_distance(c) > 0;
}

/// c [m, n] = alpha a [m, k] b [k, n] + beta c, of any strides; c is not read when beta is 0.
template <class Library, class T>
void multiply(const thread_team& team, T alpha, host_view<const T> a, host_view<const T> b, T beta,
              host_view<T> c) {
  if (c.empty()) return;
  if (a.extent(1) == 0) {
    const T nothing = 0;
    return scale_add(host_view<const T>(&nothing, c.extents(), {0, 0}), beta, c);
  }
  if (row_distance(c) == 0) {
    if (row_distance(c.transposed()) > 0) {
      return multiply<Library>(team, alpha, b.transposed(), a.transposed(), beta, c.transposed());
    }
    host_tensor<T> product(c.extents());
    multiply<Library>(team, alpha, a, b, T{0}, product.view());
    return scale_add(std::as_const(product).view(), beta, c);
  }
  if (is_small(a, b, c)) return small_products::multiply(alpha, a, b, beta, c);
  const readable_matrix<T> x(a), y(b);
  const index_t m = c.extent(0), n = c.extent(1), flops_of_a_row = 2 * a.extent(1) * n;
  constexpr index_t least_flops = 1 << 20;  // some 10 us of work for a thread
  if (!runs_inside_a_team<Library>()) {
    return Library::multiply(alpha, x.view(), y.view(), beta, c);
  }
  // Rows, as the elementwise operations that follow share them, unless that leaves slabs so thin
  // that every thread would spend its time on packing b.
  if (m >= 64 * team.size() || m >= n) {
    team.split(m, std::max(index_t{8}, least_flops / flops_of_a_row),
               [&](index_t from, index_t to) {
                 Library::multiply(alpha, x.view().slice(0, from, to), y.view(), beta,
                                   c.slice(0, from, to));
               });
  } else {
    const index_t flops_of_a_column = 2 * a.extent(1) * m;
    team.split(n, std::max(index_t{16}, least_flops / flops_of_a_column),
               [&](index_t from, index_t to) {
                 Library::multiply(alpha, x.view(), y.view().slice(1, from, to), beta,
                                   c.slice(1, from, to));
               });
  }
}

/// The lower triangle of c [n, n] = a a^T + beta c, on the calling thread.
template <class Library, class T>
void gram(host_view<const T> a, T beta, host_view<T> c) {
  const bool possible = row_distance(c) > 0 && a.extent(1) > 0;
  if (small_products::fast && possible && row_distance(a.transposed()) > 0) {
    small_products::gram(a.transposed(), beta, c);
  } else if (possible && readable(a)) {
    Library::gram(a, beta, c);
  } else {
    multiply<Library>(thread_team(1), T{1}, a, a.transposed(), beta, c);
  }
}

/// x [m, n] = x l for lower triangular l [n, n], on the calling thread; rows of x are contiguous.
template <class Library, class T>
void multiply_lower(host_view<const T> l, host_view<T> x) {
  const readable_matrix<T> readable(l);
  if (small_products::fast && row_distance(readable.view()) > 0) {
    small_products::multiply_lower(readable.view(), x);
  } else {
    Library::multiply_lower(readable.view(), x);
  }
}

}  // namespace solens::blas
