#pragma once

#include <cuda_runtime.h>

#include <cstdint>  // std::uint16_t, std::uint32_t
#include <cstring>  // memcpy

#include <solens/backend/cuda/error.hpp>
#include <solens/backend/cuda/kernels.hpp>

namespace solens::cuda {

/// Where an element of each operand stands, in elements from its first.
struct offsets {
  index_t of[walk::max_operands] = {};
};

template <class Integer>
__device__ offsets locate_by(const walk& w, index_t element) {
  offsets at;
  Integer rest = static_cast<Integer>(element);
  for (int axis = w.rank; axis-- > 0;) {
    index_t position = static_cast<index_t>(rest);
    if (axis > 0) {
      const Integer extent = static_cast<Integer>(w.extents[axis]);
      const Integer quotient = rest / extent;
      position = static_cast<index_t>(rest - quotient * extent);
      rest = quotient;
    }
    for (int o = 0; o < walk::max_operands; ++o) at.of[o] += position * w.strides[axis][o];
  }
  return at;
}

/// Division is dear, that of 64 bits most.
__device__ inline offsets locate(const walk& w, index_t element) {
  return w.size <= 0x7fffffff ? locate_by<unsigned>(w, element)
                              : locate_by<unsigned long long>(w, element);
}

constexpr int threads_of_each = 256;

template <class F>
__global__ void __launch_bounds__(threads_of_each)
    each(const walk w, index_t begin, index_t end, const F f) {
  const index_t step = index_t{gridDim.x} * blockDim.x;
  for (index_t i = begin + index_t{blockIdx.x} * blockDim.x + threadIdx.x; i < end; i += step) {
    f(locate(w, i));
  }
}

template <class... P, class... A>
void launch(cudaStream_t stream, index_t blocks, int threads, void (*kernel)(P...), A... a) {
  constexpr index_t most = 1 << 20;  // kernels loop over what is more
  cudaLaunchConfig_t how{};
  how.gridDim = dim3(static_cast<unsigned>(blocks < most ? blocks : most));
  how.blockDim = dim3(static_cast<unsigned>(threads));
  how.stream = stream;
  check(cudaLaunchKernelEx(&how, kernel, a...), "launch a kernel");
}

/// Calls f(offsets) on the device for elements [begin, end) of the walk.
template <class F>
void run_each(cudaStream_t stream, const walk& w, index_t begin, index_t end, const F& f) {
  if (begin >= end) return;
  const index_t blocks = (end - begin + threads_of_each - 1) / threads_of_each;
  launch(stream, blocks, threads_of_each, each<F>, w, begin, end, f);
}
template <class F>
void run_each(cudaStream_t stream, const walk& w, const F& f) {
  run_each(stream, w, 0, w.size, f);
}

/// 4 eps max(1, |x|) at most from the exact value.
template <class T>
__device__ T activated(activation kind, T x) {
  switch (kind) {
    case activation::gelu: return x * (T(0.5) * erfc(x * T(-0.70710678118654752440)));
    case activation::quick_gelu: return x / (1 + exp(T(-1.702) * x));
    case activation::gelu_tanh: break;
  }
  // 0.5 (1 + tanh(u)) = 1 / (1 + exp(-2 u)), with u = sqrt(2 / pi) (x + 0.044715 x^3)
  return x / (1 + exp(T(-1.59576912160573071176) * x * (1 + T(0.044715) * x * x)));
}

template <class T>
struct unpack_element {
  const T* packed;
  T* to;
  index_t begin;
  __device__ void operator()(const offsets& at) const { to[at.of[1]] = packed[at.of[0] - begin]; }
};
template <class T>
void unpack(cudaStream_t stream, const walk& w, index_t begin, index_t end, const T* packed,
            T* to) {
  run_each(stream, w, begin, end, unpack_element<T>{packed, to, begin});
}

template <class T>
struct pack_element {
  T* packed;
  const T* from;
  index_t begin;
  __device__ void operator()(const offsets& at) const { packed[at.of[0] - begin] = from[at.of[1]]; }
};
template <class T>
void pack(cudaStream_t stream, const walk& w, index_t begin, index_t end, T* packed,
          const T* from) {
  run_each(stream, w, begin, end, pack_element<T>{packed, from, begin});
}

template <class T>
struct copy_element {
  const T* from;
  T* to;
  __device__ void operator()(const offsets& at) const { to[at.of[1]] = from[at.of[0]]; }
};
template <class T>
void copy(cudaStream_t stream, const walk& w, const T* from, T* to) {
  run_each(stream, w, copy_element<T>{from, to});
}

template <class T>
struct fill_element {
  T value;
  T* to;
  __device__ void operator()(const offsets& at) const { to[at.of[0]] = value; }
};
template <class T>
void fill(cudaStream_t stream, const walk& w, T value, T* to) {
  run_each(stream, w, fill_element<T>{value, to});
}

template <class T>
struct axpby_element {
  T alpha;
  const T* x;
  T beta;
  T* y;
  __device__ void operator()(const offsets& at) const {
    const T term = alpha * x[at.of[0]];
    T& sum = y[at.of[1]];
    sum = beta == T{0} ? term : term + beta * sum;
  }
};
template <class T>
void axpby(cudaStream_t stream, const walk& w, T alpha, const T* x, T beta, T* y) {
  run_each(stream, w, axpby_element<T>{alpha, x, beta, y});
}

template <class T>
struct multiply_elements {
  const T* x;
  const T* y;
  T* out;
  __device__ void operator()(const offsets& at) const { out[at.of[2]] = x[at.of[0]] * y[at.of[1]]; }
};
template <class T>
void multiply(cudaStream_t stream, const walk& w, const T* x, const T* y, T* out) {
  run_each(stream, w, multiply_elements<T>{x, y, out});
}

template <class T>
struct divide_elements {
  const T* x;
  const T* y;
  T* out;
  __device__ void operator()(const offsets& at) const { out[at.of[2]] = x[at.of[0]] / y[at.of[1]]; }
};
template <class T>
void divide(cudaStream_t stream, const walk& w, const T* x, const T* y, T* out) {
  run_each(stream, w, divide_elements<T>{x, y, out});
}

template <class T>
struct add_bias_element {
  const T* bias;
  T* x;
  __device__ void operator()(const offsets& at) const { x[at.of[1]] += bias[at.of[0]]; }
};
template <class T>
void add_bias(cudaStream_t stream, const walk& w, const T* bias, T* x) {
  run_each(stream, w, add_bias_element<T>{bias, x});
}

template <class T>
struct activate_element {
  activation kind;
  const T* x;
  T* y;
  __device__ void operator()(const offsets& at) const {
    y[at.of[1]] = activated(kind, x[at.of[0]]);
  }
};
template <class T>
void activate(cudaStream_t stream, const walk& w, activation kind, const T* x, T* y) {
  run_each(stream, w, activate_element<T>{kind, x, y});
}

template <class T>
struct bias_activation_element {
  activation kind;
  const T* bias;
  T* x;
  __device__ void operator()(const offsets& at) const {
    T& element = x[at.of[1]];
    element = activated(kind, element + bias[at.of[0]]);
  }
};
template <class T>
void bias_activation(cudaStream_t stream, const walk& w, activation kind, const T* bias, T* x) {
  run_each(stream, w, bias_activation_element<T>{kind, bias, x});
}

template <class T>
struct gather_element {
  index_t n_rows, row_stride;
  const T* table;
  const index_t* rows;
  T* out;
  index_t* wrong_row;
  __device__ void operator()(const offsets& at) const {
    const index_t row = rows[at.of[1]];
    if (row >= 0 && row < n_rows) {
      out[at.of[2]] = table[row * row_stride + at.of[0]];
    } else {
      *wrong_row = row;
    }
  }
};
template <class T>
void gather(cudaStream_t stream, const walk& w, index_t n_rows, index_t row_stride, const T* table,
            const index_t* rows, T* out, index_t* wrong_row) {
  run_each(stream, w, gather_element<T>{n_rows, row_stride, table, rows, out, wrong_row});
}

/// The nearest bf16, ties to even: what is cut off is rounded into what stays.
__device__ inline std::uint16_t to_bf16(float x) {
  if (x != x) return 0x7fff;
  std::uint32_t bits = 0;
  memcpy(&bits, &x, sizeof(bits));
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// The nearest f16, ties to even. Its exponents are 112 lower; its smallest steps are 2^-24.
__device__ inline std::uint16_t to_f16(float x) {
  std::uint32_t bits = 0;
  memcpy(&bits, &x, sizeof(bits));
  const std::uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  const float size = x < 0 ? -x : x;
  std::uint32_t half = 0x7c00;
  if (x != x) {
    half = 0x7fff;
  } else if (size < 6.103515625e-5F) {
    half = static_cast<std::uint32_t>(rint(size * 16777216.0F));
  } else if (size < 65520) {
    half = (magnitude + 0xfff + (magnitude >> 13 & 1) - (112U << 23)) >> 13;
  }
  return static_cast<std::uint16_t>(sign | half);
}

struct narrow_element {
  bool bf16;
  const float* from;
  std::uint16_t* out;
  __device__ void operator()(const offsets& at) const {
    const float x = from[at.of[0]];
    out[at.of[1]] = bf16 ? to_bf16(x) : to_f16(x);
  }
};
void narrow(cudaStream_t stream, const walk& w, product_precision to, const float* from,
            std::uint16_t* out) {
  run_each(stream, w, narrow_element{to == product_precision::bf16, from, out});
}

}  // namespace solens::cuda
