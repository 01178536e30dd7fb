#pragma once

#include <cuda_runtime.h>

#include <solens/backend/cuda/matrices.cuh>
#include <solens/backend/tridiagonal.hpp>

namespace solens::cuda {

/// What `leading_eigenpair` does, a block of threads for each matrix.
template <class T>
class lanczos_of_block {
 public:
  /// @param a      [n, n], both triangles, finite
  /// @param basis  [n + 1, n], overwritten
  /// @param work   [4, n], overwritten
  __device__ lanczos_of_block(const T* a, index_t n, T* basis, double* work)
      : a_(a),
        n_(n),
        basis_(basis),
        diagonal_(work),
        beside_(work + n),
        small_(work + 2 * n),
        pivot_(work + 3 * n) {}

  __device__ void compute(T& value_out, T* vector, index_t stride) {
    __shared__ double value, tail;
    start();
    index_t k = 0;
    for (bool more = true; more; ++k) {
      const double rest = step(k);
      // the tridiagonal matrix is solved now and then, and when there is nothing left
      const bool last = k + 1 == n_ || rest <= tiny * norm_;
      if (!last && (k < 7 || k % 4 != 3)) continue;
      if (threadIdx.x < 32) {
        const tridiagonal t{diagonal_, beside_, k + 1};
        __syncwarp();  // the last of its numbers are there
        const double largest = largest_value(t);
        if (threadIdx.x == 0) {
          value = largest;
          const double squares = t.largest_vector(largest, norm_, pivot_, small_);
          tail = small_[k] / sqrt(squares);
        }
      }
      __syncthreads();
      more = !last && rest * magnitude(tail) > tiny * norm_;
      __syncthreads();  // everyone has read it
    }
    if (threadIdx.x == 0) value_out = static_cast<T>(value);
    combine(k, vector, stride);
  }

 private:
  static constexpr double tiny = 8 * static_cast<double>(epsilon<T>);

  __device__ static double magnitude(double x) { return x < 0 ? -x : x; }
  __device__ T* basis(index_t k) const { return basis_ + k * n_; }

  __device__ double norm_of(const T* x) const {
    double sum = 0;
    for (index_t i = threadIdx.x; i < n_; i += blockDim.x) {
      sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    }
    return sqrt(reduce_block(sum, add()));
  }

  __device__ void divide(T* x, double by) const {
    for (index_t i = threadIdx.x; i < n_; i += blockDim.x) {
      x[i] = static_cast<T>(static_cast<double>(x[i]) / by);
    }
    __syncthreads();
  }

  /// y = a x, a thread for each column, which is a row.
  __device__ void multiply(const T* x, T* y) const {
    for (index_t j = threadIdx.x; j < n_; j += blockDim.x) {
      T sum = 0;
      for (index_t i = 0; i < n_; ++i) sum += a_[i * n_ + j] * x[i];
      y[j] = sum;
    }
  }

  /// A vector that no eigenvector is orthogonal to but by design, times the matrix.
  __device__ void start() {
    T* const x = basis(1);
    double longest = 0;
    for (index_t j = threadIdx.x; j < n_; j += blockDim.x) {
      const double phase = static_cast<double>(j + 1) * 0.6180339887498949;
      x[j] = static_cast<T>(phase - floor(phase) + 0.25);
      double squares = 0;
      for (index_t i = 0; i < n_; ++i) {
        squares += static_cast<double>(a_[i * n_ + j]) * static_cast<double>(a_[i * n_ + j]);
      }
      longest = larger()(longest, squares);
    }
    norm_ = sqrt(reduce_block(longest, larger()));
    multiply(x, basis(0));
    double length = norm_of(basis(0));
    if (length <= tiny * norm_) {  // the matrix is zero, or all but zero on this vector
      for (index_t i = threadIdx.x; i < n_; i += blockDim.x) basis(0)[i] = x[i];
      length = norm_of(x);
    }
    divide(basis(0), length);
  }

  /// Extends the tridiagonal matrix by row k; the norm of what is left of a times basis(k).
  __device__ double step(index_t k) {
    const index_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    T* const next = basis(k + 1);
    multiply(basis(k), next);
    double along = 0;
    for (index_t i = threadIdx.x; i < n_; i += blockDim.x) {
      along += static_cast<double>(next[i]) * static_cast<double>(basis(k)[i]);
    }
    along = reduce_block(along, add());
    for (int twice = 0; twice < 2; ++twice) {
      for (index_t j = warp; j <= k; j += warps) {
        T sum = 0;
        for (index_t i = lane; i < n_; i += 32) sum += next[i] * basis(j)[i];
        sum = reduce_warp(sum, add());
        if (lane == 0) pivot_[j] = static_cast<double>(sum);
      }
      __syncthreads();
      for (index_t i = threadIdx.x; i < n_; i += blockDim.x) {
        T left = next[i];
        for (index_t j = 0; j <= k; ++j) left -= static_cast<T>(pivot_[j]) * basis(j)[i];
        next[i] = left;
      }
      __syncthreads();
    }
    const double rest = norm_of(next);
    if (threadIdx.x == 0) {
      diagonal_[k] = along;
      beside_[k] = rest;
    }
    norm_ = larger()(norm_, magnitude(along));
    if (rest > 0) divide(next, rest);
    return rest;
  }

  /// By a warp: 32 places of the interval at a time.
  __device__ static double largest_value(const tridiagonal& t) {
    auto [low, high] = t.of_largest();
    while (high - low > 1e-16 * (magnitude(high) + magnitude(low))) {
      const double at = low + (high - low) * (static_cast<double>(threadIdx.x) + 1) / 33;
      const bool above = t.all_below(at);
      const double next_low = reduce_warp(above ? low : at, larger());
      const double next_high = -reduce_warp(above ? -at : -high, larger());
      if (next_low <= low && next_high >= high) break;
      low = next_low;
      high = next_high;
    }
    return high;
  }

  /// The vector with `n_small` coordinates `small_`, scaled to norm 1.
  __device__ void combine(index_t n_small, T* vector, index_t stride) const {
    T* const sum = basis(n_small);
    for (index_t i = threadIdx.x; i < n_; i += blockDim.x) {
      T element = 0;
      for (index_t k = 0; k < n_small; ++k) element += static_cast<T>(small_[k]) * basis(k)[i];
      sum[i] = element;
    }
    const double length = norm_of(sum);
    for (index_t i = threadIdx.x; i < n_; i += blockDim.x) {
      vector[i * stride] = static_cast<T>(static_cast<double>(sum[i]) / length);
    }
  }

  const T* a_;
  index_t n_;
  T* basis_;
  double *diagonal_, *beside_, *small_, *pivot_;
  double norm_ = 0;  ///< a lower bound of the matrix' norm
};

template <class T>
__global__ void __launch_bounds__(most_threads)
    lanczos_of_each(index_t batch, index_t n, const T* whole, const int* failed, T* basis,
                    double* work, matrices<T> to_values, matrices<T> to_vectors) {
  for (index_t g = blockIdx.x; g < batch; g += gridDim.x) {
    const matrix<T> values(to_values, g), vectors(to_vectors, g);
    lanczos_of_block<T>(whole + g * n * n, n, basis + g * (n + 1) * n, work + g * 4 * n)
        .compute(values(0, 0), &vectors(0, 0), vectors.column);
    for (index_t i = threadIdx.x; failed[g] != 0 && i < n; i += blockDim.x) {
      vectors(0, i) = quiet_nan<T>;
      if (i == 0) values(0, 0) = quiet_nan<T>;
    }
    __syncthreads();
  }
}

template <class T>
void lanczos(cudaStream_t stream, index_t batch, index_t n, const T* whole, const int* failed,
             T* basis, double* work, matrices<T> values, matrices<T> vectors) {
  if (batch * n == 0) return;
  launch(stream, batch, threads_for(n), lanczos_of_each<T>, batch, n, whole, failed, basis, work,
         values, vectors);
}

}  // namespace solens::cuda
