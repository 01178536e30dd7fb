#pragma once

#include <algorithm>  // std::fill, std::max
#include <cmath>
#include <limits>
#include <utility>  // std::swap

#include <solens/backend/parallel.hpp>
#include <solens/core/host_tensor.hpp>

/// The steps of small dense solvers, for one matrix on the calling thread.
namespace solens::triangular {

/// column[j, n) without its multiples of the j columns before it, which is what a matrix' factor
/// has there already: four of them at a time, so that it is read and written once for four.
template <class T>
void subtract_columns(const T* columns, index_t n, index_t j, T* column) {
  index_t k = 0;
  for (; k + 4 <= j; k += 4) {
    const T *c0 = columns + k * n, *c1 = c0 + n, *c2 = c1 + n, *c3 = c2 + n;
    const T f0 = c0[j], f1 = c1[j], f2 = c2[j], f3 = c3[j];
    SOLENS_SIMD()
    for (index_t i = j; i < n; ++i) {
      column[i] -= f0 * c0[i] + f1 * c1[i] + f2 * c2[i] + f3 * c3[i];
    }
  }
  for (; k < j; ++k) {
    const T* c = columns + k * n;
    const T f = c[j];
    SOLENS_SIMD()
    for (index_t i = j; i < n; ++i) column[i] -= f * c[i];
  }
}

/// The lower factor l l^T = a. A pivot up to `zero` in magnitude becomes 0, and its column with it;
/// one that is negative, or not positive where `zero` is -1, NaN, which spreads.
///
/// Column by column, each a row of l until the end, so that its elements lie one after the other.
template <class T>
void factorise(const host_view<const T>& a, T zero, host_tensor<T>& l) {
  const index_t n = a.extent(0);
  std::fill(l.begin(), l.end(), T{0});
  for (index_t j = 0; j < n; ++j) {
    T* column = l.data() + j * n;
    for (index_t i = j; i < n; ++i) column[i] = a(i, j);
    subtract_columns(l.data(), n, j, column);
    const T rest = column[j];
    if (std::abs(rest) <= zero) {
      std::fill(column + j, column + n, T{0});
      continue;
    }
    const T pivot = rest > 0 ? std::sqrt(rest) : std::numeric_limits<T>::quiet_NaN();
    column[j] = pivot;
    for (index_t i = j + 1; i < n; ++i) column[i] /= pivot;
  }
  for (index_t j = 0; j < n; ++j) {
    for (index_t i = 0; i < j; ++i) std::swap(l.data()[i * n + j], l.data()[j * n + i]);
  }
}

/// Row i of x without its multiples of rows [from, to), divided by the pivot: one step of a
/// forward (to = i) or backward (from = i + 1) substitution.
template <class T>
void eliminate(const host_tensor<T>& l, index_t i, index_t from, index_t to, host_tensor<T>& x) {
  const index_t n = x.extent(1);
  T* row = x.data() + i * n;
  for (index_t j = from; j < to; ++j) {
    const T factor = j < i ? l(i, j) : l(j, i);
    const T* other = x.data() + j * n;
    SOLENS_SIMD()
    for (index_t c = 0; c < n; ++c) row[c] -= factor * other[c];
  }
  for (index_t c = 0; c < n; ++c) row[c] /= l(i, i);
}

/// x := a^-1 x for symmetric positive definite a; NaN where it is not. l is workspace.
template <class T>
void solve(const host_view<const T>& a, host_tensor<T>& l, host_tensor<T>& x) {
  const index_t n = a.extent(0);
  factorise(a, T{-1}, l);
  for (index_t i = 0; i < n; ++i) eliminate(l, i, 0, i, x);
  for (index_t i = n; i-- > 0;) eliminate(l, i, i + 1, n, x);
}

/// What rounding makes of a pivot that is 0: n epsilon of the largest diagonal element.
template <class T>
T zero_pivot(const host_view<const T>& a) {
  T largest = 0;
  for (index_t i = 0; i < a.extent(0); ++i) largest = std::max(largest, a(i, i));
  return static_cast<T>(a.extent(0)) * std::numeric_limits<T>::epsilon() * largest;
}

}  // namespace solens::triangular
