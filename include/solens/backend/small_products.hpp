#pragma once

#include <algorithm>  // std::min
#include <cstring>    // std::memcpy

#include <solens/core/tensor_view.hpp>

/// Products of matrices that a core's caches hold, read where they lie, on the calling thread.
///
/// A BLAS copies its operands into an order of its own first, which pays where every number is
/// used hundreds of times; not for the many products of an analysis, of some ten to some hundred
/// rows and columns each. OpenBLAS has kernels like these for AVX-512 alone.
///
/// A tile of the result stays in registers while the depth goes by: a few vectors of a row of b,
/// each multiplied by one number of every row of a.
namespace solens::small_products {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64, tile_rows = 12;
#elif defined(__AVX__)
constexpr int vector_bytes = 32, tile_rows = 6;
#else
constexpr int vector_bytes = 16, tile_rows = 6;
#endif

/// Whether these are used in the place of a BLAS: where they were compiled for the vectors that
/// they were measured with. (For AVX-512, OpenBLAS has products without copies; whether these are
/// faster than those, `./run bench small_product` says.)
#if defined(__AVX__) && defined(__FMA__) && !defined(__AVX512F__)
constexpr bool fast = true;
#else
constexpr bool fast = false;
#endif

/// In a product that is called small; up to as many OpenBLAS, too, copies nothing for AVX-512.
constexpr index_t most_multiplications = 1000000;

namespace detail {

/// c [rows, columns] = alpha a [rows, depth] b [depth, columns] + beta c.
template <class T>
struct operands {
  const T* a;
  index_t a_row, a_column;  ///< strides
  const T* b;
  index_t b_row;
  T* c;
  index_t c_row;
  index_t depth;
  T alpha, beta;  ///< c is not read when beta is 0

  operands from_row(index_t i) const {
    operands x = *this;
    x.a += i * a_row;
    x.c += i * c_row;
    return x;
  }
};

/// The first rows and columns of a product. Each element sums up in the order of the depth.
template <int Lanes, int Vectors, int Rows, class T>
[[gnu::always_inline]] inline void tile(operands<T> x) {
  typedef T vector __attribute__((vector_size(Lanes * sizeof(T))));  // an alias would lose it
  vector sum[Rows][Vectors] = {};
  for (index_t k = 0; k < x.depth; ++k, x.a += x.a_column, x.b += x.b_row) {
    vector b[Vectors];
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) std::memcpy(&b[v], x.b + v * Lanes, sizeof(vector));
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const T a = x.a[r * x.a_row];
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) sum[r][v] += a * b[v];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) {
      T* c = x.c + r * x.c_row + v * Lanes;
      vector result = x.alpha * sum[r][v], before;
      if (x.beta != T{0}) {
        std::memcpy(&before, c, sizeof(vector));
        result += x.beta * before;
      }
      std::memcpy(c, &result, sizeof(vector));
    }
  }
}

/// Some columns of a product of n rows: tiles of so many rows, and smaller ones for what is left.
template <int Lanes, int Vectors, int Rows, class T>
void all_rows(index_t n, const operands<T>& x) {
  index_t i = 0;
  for (; i + Rows <= n; i += Rows) tile<Lanes, Vectors, Rows>(x.from_row(i));
  if constexpr (Rows > 1) {
    if (i < n) all_rows<Lanes, Vectors, (Rows + 1) / 2>(n - i, x.from_row(i));
  }
}

/// Cuts columns [j, n) into blocks, and narrower ones for what is left, and calls `multiply` for
/// each with the first column, and with what is to be called with the rows and operands of it.
template <int Lanes, class T, class F>
void each_block(index_t j, index_t n, const F& multiply) {
  if constexpr (Lanes * sizeof(T) == vector_bytes) {
    for (; j + 2 * Lanes <= n; j += 2 * Lanes) multiply(j, all_rows<Lanes, 2, tile_rows, T>);
  }
  for (; j + Lanes <= n; j += Lanes) multiply(j, all_rows<Lanes, 1, 2 * tile_rows, T>);
  if constexpr (Lanes > 1) {
    if (j < n) each_block<Lanes / 2, T>(j, n, multiply);
  }
}

template <class T>
constexpr int lanes = vector_bytes / static_cast<int>(sizeof(T));

}  // namespace detail

/// c [m, n] = alpha a [m, k] b [k, n] + beta c; c is not read when beta is 0.
/// @param a     of any strides
/// @param b, c  with contiguous rows
template <class T>
void multiply(T alpha, host_view<const T> a, host_view<const T> b, T beta, host_view<T> c) {
  detail::each_block<detail::lanes<T>, T>(0, c.extent(1), [&](index_t j, auto all_rows) {
    all_rows(c.extent(0), {a.data(), a.stride(0), a.stride(1), b.data() + j, b.stride(0),
                           c.data() + j, c.stride(0), a.extent(1), alpha, beta});
  });
}

/// The lower triangle of c [n, n] = x^T x + beta c; what stands above it is open.
/// @param x, c  with contiguous rows; x [m, n]
template <class T>
void gram(host_view<const T> x, T beta, host_view<T> c) {
  constexpr index_t most_rows = 256;  // of which a block of columns stays in the nearest cache
  const index_t n = c.extent(0), m = x.extent(0);
  for (index_t i = 0; i < m; i += most_rows) {
    const T* from = x.data() + i * x.stride(0);
    detail::each_block<detail::lanes<T>, T>(0, n, [&](index_t j, auto all_rows) {
      all_rows(n - j, {from + j, 1, x.stride(0), from + j, x.stride(0), &c(j, j), c.stride(0),
                       std::min(most_rows, m - i), T{1}, i == 0 ? beta : T{1}});
    });
  }
}

/// x [m, n] = x l for lower triangular l [n, n], whose elements above the diagonal are 0.
/// @param l, x  with contiguous rows
template <class T>
void multiply_lower(host_view<const T> l, host_view<T> x) {
  const index_t n = x.extent(1);
  // A column of the result takes those from its own on, which are still as they were.
  detail::each_block<detail::lanes<T>, T>(0, n, [&](index_t j, auto all_rows) {
    all_rows(x.extent(0), {x.data() + j, x.stride(0), 1, &l(j, j), l.stride(0), x.data() + j,
                           x.stride(0), n - j, T{1}, T{0}});
  });
}

}  // namespace solens::small_products
