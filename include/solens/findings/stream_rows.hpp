#pragma once

#include <algorithm>  // std::copy_n, std::min
#include <cstdint>    // std::uintptr_t

#if defined(__SSE2__)
#include <emmintrin.h>  // _mm_stream_si128
#endif

#include <solens/backend/parallel.hpp>
#include <solens/core/tensor_view.hpp>

namespace solens {

namespace detail {

template <class T>
void stream_row(const T* from, T* to, index_t n) {
#if defined(__SSE2__)
  constexpr index_t unit = 16, lanes = unit / index_t{sizeof(T)};
  const auto past = static_cast<index_t>(reinterpret_cast<std::uintptr_t>(to) % unit);
  index_t i = past == 0 ? 0 : std::min(n, (unit - past) / index_t{sizeof(T)});
  std::copy_n(from, i, to);
  for (; i + lanes <= n; i += lanes) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i),
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
  }
  std::copy_n(from + i, n - i, to + i);
#else
  std::copy_n(from, n, to);
#endif
}

}  // namespace detail

/// Copies rows to where no processor reads them soon, a disk say: past the caches, where the
/// processor can. It then need not read that memory before it writes it.
///
/// @param from, to  [n_rows, n], the elements of a row one after the other
/// @returns whether all numbers are finite
template <class T>
bool stream_rows(host_view<const T> from, host_view<T> to) {
  const index_t n = to.extents()[1];
  T nothing = 0;
  for (index_t r = 0; r < to.extents()[0]; ++r) {
    const T* x = row_of(from, r).data;
    SOLENS_SIMD(reduction(+ : nothing))
    for (index_t i = 0; i < n; ++i) nothing += 0 * x[i];  // NaN times 0 is NaN, and so is infinity
    detail::stream_row(x, row_of(to, r).data, n);
  }
#if defined(__SSE2__)
  _mm_sfence();  // other threads see it from here on
#endif
  return nothing == 0;
}

}  // namespace solens
