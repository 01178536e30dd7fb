#pragma once

#include <algorithm>  // std::fill, std::max
#include <cmath>
#include <limits>

#include <solens/backend/parallel.hpp>
#include <solens/backend/row_kernels.hpp>
#include <solens/core/host_tensor.hpp>

/// The steps of small dense solvers, for one matrix on the calling thread.
namespace solens::triangular {

/// The lower factor l l^T = a, row by row. A pivot up to `zero` in magnitude becomes 0, and its
/// column with it; one that is negative, or not positive where `zero` is -1, NaN, which spreads.
template <class T>
void factorise(const host_view<const T>& a, T zero, host_tensor<T>& l) {
  const index_t n = a.extent(0);
  std::fill(l.begin(), l.end(), T{0});
  for (index_t i = 0; i < n; ++i) {
    T* row = l.data() + i * n;
    for (index_t j = 0; j <= i; ++j) {
      const T rest = a(i, j) - rows::dot(row, l.data() + j * n, j);
      if (i == j && std::abs(rest) <= zero) {
        row[i] = 0;
      } else if (i == j) {
        row[i] = rest > 0 ? std::sqrt(rest) : std::numeric_limits<T>::quiet_NaN();
      } else {
        row[j] = l(j, j) == T{0} ? T{0} : rest / l(j, j);
      }
    }
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
