#pragma once

#include <cuda_runtime.h>

#include <limits>

#include <solens/backend/cuda/elementwise.cuh>

// One block of threads for each row. Threads of a block hold the same result after a reduction,
// combined in an order that only the number of threads decides.

namespace solens::cuda {

constexpr unsigned whole_warp = 0xffffffffU;
constexpr int most_threads = 256;

// Constants: the functions of std::numeric_limits are the host's.
template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();
template <class T>
constexpr T quiet_nan = std::numeric_limits<T>::quiet_NaN();
template <class T>
constexpr T epsilon = std::numeric_limits<T>::epsilon();

/// Threads for a row of n elements: multiples of a warp.
inline int threads_for(index_t n) { return n <= 64 ? 32 : n <= 1024 ? 128 : most_threads; }

struct add {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
/// NaN counts as lowest.
struct larger {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a < b || a != a ? b : a;
  }
};

template <class T>
__device__ T from_lane(T value, int distance) {
  return __shfl_xor_sync(whole_warp, value, distance);
}

/// An element of a row.
template <class T>
struct candidate {
  T value;
  index_t index;
};
template <class T>
__device__ candidate<T> from_lane(candidate<T> c, int distance) {
  return {from_lane(c.value, distance), from_lane(c.index, distance)};
}

/// Whether a comes first among the largest: ties go to the lower index, NaN counts as lowest.
template <class T>
__device__ bool before(const candidate<T>& a, const candidate<T>& b) {
  if (a.value > b.value || a.value < b.value) return a.value > b.value;
  const bool a_is_nan = a.value != a.value, b_is_nan = b.value != b.value;
  return a_is_nan == b_is_nan ? a.index < b.index : b_is_nan;
}
/// The one that comes first; index -1 stands for none.
struct first_of {
  template <class T>
  __device__ candidate<T> operator()(const candidate<T>& a, const candidate<T>& b) const {
    return b.index >= 0 && (a.index < 0 || before(b, a)) ? b : a;
  }
};

template <class T, class F>
__device__ T reduce_warp(T value, const F& combine) {
  for (int distance = 16; distance > 0; distance /= 2) {
    value = combine(value, from_lane(value, distance));
  }
  return value;
}

template <class T, class F>
__device__ T reduce_block(T value, const F& combine) {
  __shared__ T of_warp[most_threads / 32];
  value = reduce_warp(value, combine);
  __syncthreads();  // the reduction before may still be read
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  value = of_warp[0];
  for (unsigned w = 1; w < blockDim.x / 32; ++w) value = combine(value, of_warp[w]);
  return value;
}

template <class T>
__global__ void __launch_bounds__(most_threads)
    softmax_rows(const walk each, index_t n, T scale, line<const T> x, line<T> y) {
  for (index_t row = blockIdx.x; row < each.size; row += gridDim.x) {
    const offsets at = locate(each, row);
    const T* in = x.data + at.of[0];
    T* out = y.data + at.of[1];
    T largest = -infinity<T>, sum = 0;
    for (index_t i = threadIdx.x; i < n; i += blockDim.x) {
      largest = larger()(largest, scale * in[i * x.stride]);
    }
    largest = reduce_block(largest, larger());
    for (index_t i = threadIdx.x; i < n; i += blockDim.x) {
      const T e = exp(scale * in[i * x.stride] - largest);
      out[i * y.stride] = e;
      sum += e;
    }
    sum = reduce_block(sum, add());
    for (index_t i = threadIdx.x; i < n; i += blockDim.x) out[i * y.stride] /= sum;
  }
}

template <class T>
void softmax(cudaStream_t stream, const walk& each, index_t n, T scale, line<const T> x,
             line<T> y) {
  if (each.size * n == 0) return;
  launch(stream, each.size, threads_for(n), softmax_rows<T>, each, n, scale, x, y);
}

template <class T>
__global__ void __launch_bounds__(most_threads)
    layer_norm_rows(const walk each, index_t n, line<const T> bias, line<T> x, line<const T> weight,
                    line<const T> norm_bias, T eps, line<T> y, T* mean, T* scale) {
  for (index_t row = blockIdx.x; row < each.size; row += gridDim.x) {
    const offsets at = locate(each, row);
    T* in = x.data + at.of[0];
    T* out = y.data + at.of[1];
    T sum = 0, squares = 0;
    for (index_t i = threadIdx.x; i < n; i += blockDim.x) {
      if (bias.data != nullptr) in[i * x.stride] += bias.data[i * bias.stride];
      sum += in[i * x.stride];
    }
    const T m = reduce_block(sum, add()) / static_cast<T>(n);
    for (index_t i = threadIdx.x; i < n; i += blockDim.x) {
      const T d = in[i * x.stride] - m;
      squares += d * d;
    }
    const T s = sqrt(reduce_block(squares, add()) / static_cast<T>(n) + eps);
    const T inverse = 1 / s;
    for (index_t i = threadIdx.x; i < n; i += blockDim.x) {
      out[i * y.stride] = (in[i * x.stride] - m) * inverse * weight.data[i * weight.stride] +
                          norm_bias.data[i * norm_bias.stride];
    }
    if (threadIdx.x == 0 && mean != nullptr) mean[at.of[2]] = m;
    if (threadIdx.x == 0 && scale != nullptr) scale[at.of[3]] = s;
  }
}

template <class T>
void layer_norm(cudaStream_t stream, const walk& each, index_t n, line<const T> bias, line<T> x,
                line<const T> weight, line<const T> norm_bias, T eps, line<T> y, T* mean,
                T* scale) {
  if (each.size * n == 0) return;
  launch(stream, each.size, threads_for(n), layer_norm_rows<T>, each, n, bias, x, weight, norm_bias,
         eps, y, mean, scale);
}

/// Accumulated in double.
template <class T>
__global__ void __launch_bounds__(most_threads)
    norms_of_rows(const walk each, index_t n, line<const T> x, T* norms) {
  for (index_t row = blockIdx.x; row < each.size; row += gridDim.x) {
    const offsets at = locate(each, row);
    double sum = 0;
    for (index_t i = threadIdx.x; i < n; i += blockDim.x) {
      const double value = static_cast<double>(x.data[at.of[0] + i * x.stride]);
      sum += value * value;
    }
    sum = reduce_block(sum, add());
    if (threadIdx.x == 0) norms[at.of[1]] = static_cast<T>(sqrt(sum));
  }
}

template <class T>
void row_norms(cudaStream_t stream, const walk& each, index_t n, line<const T> x, T* norms) {
  if (each.size == 0) return;
  launch(stream, each.size, threads_for(n), norms_of_rows<T>, each, n, x, norms);
}

template <class T>
__global__ void __launch_bounds__(most_threads)
    search_rows(const walk each, index_t n, search_for what, line<const T> x, T* values,
                index_t* indices) {
  for (index_t row = blockIdx.x; row < each.size; row += gridDim.x) {
    const offsets at = locate(each, row);
    const auto rank_of = [&](T value) {
      return what.magnitude ? (value < 0 ? -value : value) : value;
    };
    candidate<T> best{T{0}, -1};
    for (index_t i = threadIdx.x; i < n; i += blockDim.x) {
      best = first_of()(best, candidate<T>{rank_of(x.data[at.of[0] + i * x.stride]), i});
    }
    best = reduce_block(best, first_of());
    if (threadIdx.x != 0) continue;
    const T value = x.data[at.of[0] + best.index * x.stride];
    best.index += what.first;
    if (what.more && before(candidate<T>{rank_of(values[at.of[1]]), indices[at.of[2]]}, best)) {
      continue;
    }
    values[at.of[1]] = value;
    indices[at.of[2]] = best.index;
  }
}

template <class T>
void search(cudaStream_t stream, const walk& each, index_t n, search_for what, line<const T> x,
            T* values, index_t* indices) {
  if (each.size * n == 0) return;
  launch(stream, each.size, threads_for(n), search_rows<T>, each, n, what, x, values, indices);
}

}  // namespace solens::cuda
