#pragma once

#include <cuda_runtime.h>

#include <cstdint>  // std::uint32_t, std::uint64_t
#include <cstring>  // memcpy
#include <type_traits>

#include <solens/backend/cuda/rows.cuh>

namespace solens::cuda {

/// What orders the elements of a row as `before` does, the first with the largest key: bits of the
/// value, and among equals those of how far from the row's end it stands.
struct row_key {
  std::uint64_t value, place;
};

template <class T>
__device__ row_key key_of(T value, index_t from_end) {
  using bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr bits sign = bits{1} << (8 * sizeof(T) - 1);
  const row_key lowest{0, static_cast<std::uint64_t>(from_end)};
  if (value != value) return lowest;
  value += T{0};  // -0 becomes 0
  bits b = 0;
  memcpy(&b, &value, sizeof(b));
  return {(b & sign) != 0 ? static_cast<bits>(~b) : b | sign, lowest.place};
}

/// The leading digits of the last key that is kept.
struct last_kept {
  row_key digits{0, 0}, mask{0, 0};

  __device__ bool starts(const row_key& key) const {
    return (key.value & mask.value) == digits.value && (key.place & mask.place) == digits.place;
  }
  __device__ bool keeps(const row_key& key) const {
    const std::uint64_t value = key.value & mask.value;
    return value > digits.value ||
           (value == digits.value && (key.place & mask.place) >= digits.place);
  }
};

/// Radix selection: digit by digit, each with a pass over the row, until all that start with the
/// digits so far are kept.
template <class T>
__device__ last_kept select_largest(const T* row, index_t stride, index_t n, index_t k) {
  __shared__ unsigned counts[256];
  last_kept last;
  int places = 1;
  while ((n - 1) >> (8 * places) > 0) ++places;
  index_t wanted = k, there = n;
  for (int digit = 0; there > wanted; ++digit) {
    constexpr int of_values = sizeof(T);
    const bool of_value = digit < of_values;
    const int shift = 8 * ((of_value ? of_values : of_values + places) - 1 - digit);
    for (unsigned i = threadIdx.x; i < 256; i += blockDim.x) counts[i] = 0;
    __syncthreads();
    for (index_t i = threadIdx.x; i < n; i += blockDim.x) {
      const row_key key = key_of(row[i * stride], n - 1 - i);
      if (!last.starts(key)) continue;
      atomicAdd(&counts[(of_value ? key.value : key.place) >> shift & 255], 1U);
    }
    __syncthreads();
    std::uint64_t found = 255;
    for (; counts[found] < wanted; --found) wanted -= counts[found];
    there = counts[found];
    (of_value ? last.digits.value : last.digits.place) |= found << shift;
    (of_value ? last.mask.value : last.mask.place) |= std::uint64_t{255} << shift;
    __syncthreads();  // everyone has read the counts
  }
  return last;
}

/// Batcher's odd-even merge sort, the first first, of as many as there are: its comparisons all
/// point the same way.
template <class T>
__device__ void sort_row(T* values, index_t value_stride, index_t* indices, index_t index_stride,
                         index_t n) {
  for (index_t run = 1; run < n; run *= 2) {
    for (index_t apart = run; apart > 0; apart /= 2) {
      const index_t first = apart == run ? 0 : apart;
      for (index_t i = first + threadIdx.x; i + apart < n; i += blockDim.x) {
        const bool in_one_run = (i ^ (i + apart)) < 2 * run;
        if (((i - first) & apart) != 0 || !in_one_run) continue;
        T &v = values[i * value_stride], &w = values[(i + apart) * value_stride];
        index_t &a = indices[i * index_stride], &b = indices[(i + apart) * index_stride];
        const candidate<T> here{v, a}, there{w, b};
        if (!before(there, here)) continue;
        v = there.value, a = there.index;
        w = here.value, b = here.index;
      }
      __syncthreads();
    }
  }
}

/// A few passes over each row, and then work on k numbers.
template <class T>
__global__ void __launch_bounds__(most_threads)
    top_k_of_rows(const walk each, index_t n, index_t k, line<const T> x, line<T> values,
                  line<index_t> indices) {
  __shared__ unsigned taken;
  for (index_t row = blockIdx.x; row < each.size; row += gridDim.x) {
    const offsets at = locate(each, row);
    const T* in = x.data + at.of[0];
    T* of_values = values.data + at.of[1];
    index_t* of_indices = indices.data + at.of[2];
    const last_kept last = select_largest(in, x.stride, n, k);
    if (threadIdx.x == 0) taken = 0;
    __syncthreads();
    for (index_t i = threadIdx.x; i < n; i += blockDim.x) {
      const T value = in[i * x.stride];
      if (!last.keeps(key_of(value, n - 1 - i))) continue;
      const index_t place = atomicAdd(&taken, 1U);
      of_values[place * values.stride] = value;
      of_indices[place * indices.stride] = i;
    }
    __syncthreads();
    sort_row(of_values, values.stride, of_indices, indices.stride, k);
  }
}

template <class T>
void top_k(cudaStream_t stream, const walk& each, index_t n, index_t k, line<const T> x,
           line<T> values, line<index_t> indices) {
  if (each.size * k == 0) return;
  launch(stream, each.size, threads_for(n), top_k_of_rows<T>, each, n, k, x, values, indices);
}

}  // namespace solens::cuda
