#pragma once

#include <cuda_runtime.h>

#include <solens/backend/cuda/rows.cuh>

namespace solens::cuda {

/// One matrix of a batch.
template <class T>
struct matrix {
  T* data;
  index_t row, column;

  __device__ matrix(const matrices<T>& all, index_t g)
      : data(all.data + g * all.strides[0]), row(all.strides[1]), column(all.strides[2]) {}
  __device__ T& operator()(index_t i, index_t j) const { return data[i * row + j * column]; }
};

/// Column after column: a warp for each row of what is left, then the pivot, then the quotients.
template <class T>
__global__ void __launch_bounds__(most_threads)
    factorise_each(index_t batch, index_t n, bool strict, matrices<const T> of, matrices<T> to) {
  const index_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  for (index_t g = blockIdx.x; g < batch; g += gridDim.x) {
    const matrix<const T> a(of, g);
    const matrix<T> l(to, g);
    T largest = 0;
    for (index_t i = threadIdx.x; i < n; i += blockDim.x) largest = larger()(largest, a(i, i));
    largest = reduce_block(largest, larger());
    const T zero = static_cast<T>(n) * epsilon<T> * largest;
    for (index_t e = threadIdx.x; e < n * n; e += blockDim.x) {
      if (e % n > e / n) l(e / n, e % n) = 0;
    }
    for (index_t j = 0; j < n; ++j) {
      for (index_t i = j + warp; i < n; i += warps) {
        T sum = 0;
        for (index_t k = lane; k < j; k += 32) sum += l(i, k) * l(j, k);
        sum = reduce_warp(sum, add());
        if (lane == 0) l(i, j) = a(i, j) - sum;
      }
      __syncthreads();
      const T pivot = l(j, j);
      const bool dropped = !strict && (pivot < 0 ? -pivot : pivot) <= zero;
      const T root = dropped ? T{0} : strict && !(pivot > 0) ? quiet_nan<T> : sqrt(pivot);
      __syncthreads();  // everyone has read the pivot
      for (index_t i = j + threadIdx.x; i < n; i += blockDim.x) {
        l(i, j) = i == j ? root : dropped ? T{0} : l(i, j) / root;
      }
      __syncthreads();
    }
  }
}

template <class T>
void factorise(cudaStream_t stream, index_t batch, index_t n, bool strict, matrices<const T> a,
               matrices<T> l) {
  if (batch * n == 0) return;
  launch(stream, batch, n <= 32 ? 128 : most_threads, factorise_each<T>, batch, n, strict, a, l);
}

/// A warp for each column.
template <class T>
__global__ void __launch_bounds__(most_threads)
    solve_each(index_t batch, index_t n, index_t columns, matrices<const T> of, matrices<T> to) {
  const index_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  for (index_t g = blockIdx.x; g < batch; g += gridDim.x) {
    const matrix<const T> l(of, g);
    const matrix<T> b(to, g);
    for (index_t c = warp; c < columns; c += warps) {
      for (index_t i = 0; i < n; ++i) {
        T sum = 0;
        for (index_t k = lane; k < i; k += 32) sum += l(i, k) * b(k, c);
        sum = reduce_warp(sum, add());
        if (lane == 0) b(i, c) = (b(i, c) - sum) / l(i, i);
        __syncwarp();
      }
      for (index_t i = n; i-- > 0;) {
        T sum = 0;
        for (index_t k = i + 1 + lane; k < n; k += 32) sum += l(k, i) * b(k, c);
        sum = reduce_warp(sum, add());
        if (lane == 0) b(i, c) = (b(i, c) - sum) / l(i, i);
        __syncwarp();
      }
    }
  }
}

template <class T>
void solve(cudaStream_t stream, index_t batch, index_t n, index_t columns, matrices<const T> l,
           matrices<T> b) {
  if (batch * n * columns == 0) return;
  const int warps = columns < most_threads / 32 ? static_cast<int>(columns) : most_threads / 32;
  launch(stream, batch, 32 * warps, solve_each<T>, batch, n, columns, l, b);
}

template <class T>
__global__ void __launch_bounds__(most_threads)
    symmetric_each(index_t batch, index_t n, matrices<const T> of, T* whole, int* failed) {
  for (index_t g = blockIdx.x; g < batch; g += gridDim.x) {
    const matrix<const T> a(of, g);
    T* to = whole + g * n * n;
    int wrong = 0;
    for (index_t e = threadIdx.x; e < n * n; e += blockDim.x) {
      const index_t i = e / n, j = e % n;
      to[e] = i < j ? a(j, i) : a(i, j);
      if (!(to[e] - to[e] == 0)) wrong = 1;  // infinity and NaN
    }
    wrong = reduce_block(wrong, larger());
    for (index_t e = threadIdx.x; wrong != 0 && e < n * n; e += blockDim.x) {
      to[e] = e / n == e % n ? T{1} : T{0};
    }
    if (threadIdx.x == 0) failed[g] = wrong;
  }
}

template <class T>
void symmetric(cudaStream_t stream, index_t batch, index_t n, matrices<const T> a, T* whole,
               int* failed) {
  if (batch * n == 0) return;
  launch(stream, batch, threads_for(n * n), symmetric_each<T>, batch, n, a, whole, failed);
}

template <class T>
__global__ void __launch_bounds__(most_threads)
    leading_pairs_of_each(index_t batch, index_t n, index_t q, const T* all_values,
                          const T* all_vectors, const int* failed, matrices<T> to_values,
                          matrices<T> to_vectors) {
  for (index_t g = blockIdx.x; g < batch; g += gridDim.x) {
    const matrix<T> values(to_values, g), vectors(to_vectors, g);
    for (index_t e = threadIdx.x; e < q * n; e += blockDim.x) {
      const index_t pair = e / n, from = n - 1 - pair;
      const bool found = failed[g] == 0;
      vectors(pair, e % n) = found ? all_vectors[(g * n + from) * n + e % n] : quiet_nan<T>;
      if (e % n == 0) values(pair, 0) = found ? all_values[g * n + from] : quiet_nan<T>;
    }
  }
}

template <class T>
void leading_pairs(cudaStream_t stream, index_t batch, index_t n, index_t q, const T* all_values,
                   const T* all_vectors, const int* failed, matrices<T> values,
                   matrices<T> vectors) {
  if (batch * n * q == 0) return;
  launch(stream, batch, threads_for(n * q), leading_pairs_of_each<T>, batch, n, q, all_values,
         all_vectors, failed, values, vectors);
}

}  // namespace solens::cuda
