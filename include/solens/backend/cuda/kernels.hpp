#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>  // std::size_t
#include <cstdint>  // std::uint16_t
#include <initializer_list>
#include <utility>  // std::swap

#include <solens/backend/concept.hpp>
#include <solens/core/shape.hpp>

/// What kernels.cu has compiled, as the host calls it. Everything is asynchronous, on the stream
/// given. Nothing checks extents: the backend has done so.
namespace solens::cuda {

/// How up to four operands of the same extents are walked: axes of extent 1 are dropped, and axes
/// that nest in every operand become one.
struct walk {
  static constexpr int max_operands = 4;

  index_t size = 1;
  int rank = 0;
  index_t extents[shape::max_rank] = {};
  index_t strides[shape::max_rank][max_operands] = {};

  /// @param operands   the strides of each
  /// @param row_major  whether elements are numbered in row-major order; else in the order in which
  ///                   the last operand, the one that is written, lies in memory
  walk(const shape& of, std::initializer_list<shape> operands, bool row_major = false)
      : size(of.size()) {
    for (std::size_t axis = 0; axis < of.rank(); ++axis) {
      if (of[axis] == 1) continue;
      extents[rank] = of[axis];
      std::size_t operand = 0;
      for (const shape& s : operands) strides[rank][operand++] = s[axis];
      ++rank;
    }
    if (!row_major) sort(operands.size() - 1);
    join();
  }

 private:
  void sort(std::size_t by) {
    for (int last = rank; last-- > 1;) {
      for (int i = 0; i < last; ++i) {
        if (strides[i][by] >= strides[i + 1][by]) continue;
        std::swap(extents[i], extents[i + 1]);
        std::swap(strides[i], strides[i + 1]);
      }
    }
  }

  void join() {
    int kept = -1;
    for (int axis = 0; axis < rank; ++axis) {
      bool nested = kept >= 0;
      for (int o = 0; o < max_operands && nested; ++o) {
        nested = strides[kept][o] == strides[axis][o] * extents[axis];
      }
      const index_t outer = nested ? extents[kept] : 1;
      if (!nested) ++kept;
      extents[kept] = outer * extents[axis];
      for (int o = 0; o < max_operands; ++o) strides[kept][o] = strides[axis][o];
    }
    rank = kept + 1;
  }
};

/// What the products of matrices multiply; they add in float32 whatever it is.
enum class product_precision {
  full,  ///< the scalars as they are
  tf32,  ///< 11 significant bits of float32, its range
  bf16,  ///< 8 significant bits, the same range
  f16,   ///< 11 significant bits; beyond 65504 infinity, below 6e-8 zero
};

/// A vector, or the first of many rows: where it starts, and how far apart its elements are.
template <class T>
struct line {
  T* data;
  index_t stride;
};

/// A batch of matrices.
template <class T>
struct matrices {
  T* data;
  index_t strides[3];
};

// Elementwise. The operands of a walk are those of the function, in order.

/// Elements [begin, end) of `to`, in row-major order, from an array that holds only these.
template <class T>
void unpack(cudaStream_t, const walk& packed_to, index_t begin, index_t end, const T* packed,
            T* to);
/// The reverse.
template <class T>
void pack(cudaStream_t, const walk& packed_from, index_t begin, index_t end, T* packed,
          const T* from);
template <class T>
void copy(cudaStream_t, const walk&, const T* from, T* to);
template <class T>
void fill(cudaStream_t, const walk&, T value, T* to);
template <class T>
void axpby(cudaStream_t, const walk&, T alpha, const T* x, T beta, T* y);
template <class T>
void multiply(cudaStream_t, const walk&, const T* x, const T* y, T* out);
template <class T>
void divide(cudaStream_t, const walk&, const T* x, const T* y, T* out);
template <class T>
void add_bias(cudaStream_t, const walk&, const T* bias, T* x);
template <class T>
void activate(cudaStream_t, const walk&, activation, const T* x, T* y);
template <class T>
void bias_activation(cudaStream_t, const walk&, activation, const T* bias, T* x);
/// @param table      the first element of each column, so that the walk adds the column
/// @param wrong_row  set to a row that is not in [0, n_rows), where there is one
template <class T>
void gather(cudaStream_t, const walk&, index_t n_rows, index_t row_stride, const T* table,
            const index_t* rows, T* out, index_t* wrong_row);

/// @param to  bf16 or f16, as their bits; nearest, ties to even
void narrow(cudaStream_t, const walk&, product_precision to, const float* from, std::uint16_t* out);

// Row by row: `each` walks the leading axes of the operands in the order of the function.

template <class T>
void softmax(cudaStream_t, const walk& each, index_t n, T scale, line<const T> x, line<T> y);
/// x += bias where there is one, then y = layer_norm(x). mean and scale may be null.
template <class T>
void layer_norm(cudaStream_t, const walk& each, index_t n, line<const T> bias, line<T> x,
                line<const T> weight, line<const T> norm_bias, T eps, line<T> y, T* mean, T* scale);
template <class T>
void row_norms(cudaStream_t, const walk& each, index_t n, line<const T> x, T* norms);
template <class T>
void top_k(cudaStream_t, const walk& each, index_t n, index_t k, line<const T> x, line<T> values,
           line<index_t> indices);

/// What `search` looks for.
struct search_for {
  bool magnitude;     ///< the largest magnitude; else the largest value
  index_t first = 0;  ///< the index of the row's first element
  bool more = false;  ///< whether values and indices hold the best of earlier elements
};
template <class T>
void search(cudaStream_t, const walk& each, index_t n, search_for, line<const T> x, T* values,
            index_t* indices);

/// q, out [images, heads, queries, d]; k, v [images, heads, tokens, d]; first [images, heads,
/// tokens], of the first query.
template <class T>
struct attention_operand {
  T* data;
  index_t strides[4];

#if defined(__CUDACC__)
  __device__
#endif
      T*
      head(index_t image, index_t head) const {
    return data + image * strides[0] + head * strides[1];
  }
};
template <class T>
struct attention_of {
  index_t images, heads, queries, tokens, d;
  bool causal;
  T scale;
  attention_operand<const T> q, k, v;
  attention_operand<T> out, first;
};
/// The largest d: what shared memory has room for.
template <class T>
constexpr index_t most_attended = sizeof(T) == sizeof(float) ? 128 : 64;
template <class T>
void attention(cudaStream_t, const attention_of<T>&);

// Matrices, a block of threads for each.

/// @param strict  a pivot that is not positive becomes NaN, as in `cholesky_solve`
template <class T>
void factorise(cudaStream_t, index_t batch, index_t n, bool strict, matrices<const T> a,
               matrices<T> l);
/// b := (l l^T)^-1 b.
template <class T>
void solve(cudaStream_t, index_t batch, index_t n, index_t columns, matrices<const T> l,
           matrices<T> b);
/// whole = a, read from its lower triangle; where a is not finite, 1, and failed is set.
template <class T>
void symmetric(cudaStream_t, index_t batch, index_t n, matrices<const T> a, T* whole, int* failed);
/// The last q of n eigenvalues in ascending order, and of as many rows, in descending order; NaN
/// where `failed`.
template <class T>
void leading_pairs(cudaStream_t, index_t batch, index_t n, index_t q, const T* all_values,
                   const T* all_vectors, const int* failed, matrices<T> values,
                   matrices<T> vectors);
/// The largest eigenvalue and its vector of each of `whole`, [batch, n, n]; NaN where `failed`.
/// @param basis, work  [batch, n + 1, n], [batch, 4, n]: overwritten
template <class T>
void lanczos(cudaStream_t, index_t batch, index_t n, const T* whole, const int* failed, T* basis,
             double* work, matrices<T> values, matrices<T> vectors);

}  // namespace solens::cuda
