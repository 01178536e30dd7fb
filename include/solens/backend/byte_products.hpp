#pragma once

#include <algorithm>  // std::fill_n
#include <cmath>
#include <cstdint>  // std::int8_t, std::uint64_t
#include <cstring>  // std::memcpy
#include <limits>

#include <solens/backend/parallel.hpp>
#include <solens/backend/row_kernels.hpp>
#include <solens/core/shape.hpp>

#if defined(__x86_64__) && defined(__GNUC__)
#define SOLENS_X86_KERNELS 1
// GCC 12 takes the undefined vectors of its own <immintrin.h> for mistakes (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

/// Products of rows of bytes, exact in 32 bits: four times as many a second as of floats, where the
/// processor has an instruction for them.
namespace solens::bytes {

constexpr index_t panel_rows = 64;    ///< rows of a table that lie interleaved
constexpr index_t max_depth = 65000;  ///< up to here no sum overflows

/// The two loops of a search, as one kind of processor does them.
struct kernel {
  index_t tile_rows;  ///< how many vectors a panel is multiplied with at once

  /// sums[r][l] = start[r] + sum_k panel[k][l] x[r][k], the panel's bytes in the order
  /// [depth / 4, panel_rows, 4]; x is [tile_rows, depth], sums [tile_rows, panel_rows].
  void (*multiply)(const std::uint8_t* panel, const std::int8_t* x, index_t depth,
                   const std::int32_t* start, std::int32_t* sums);

  /// Which of scale[l] sums[l], or of their magnitudes, reach the threshold: bit l of the result.
  /// @param scores  [panel_rows], those numbers, written where the result is not 0
  std::uint64_t (*score)(const std::int32_t* sums, const float* scale, bool magnitude,
                         float threshold, float* scores);
};

namespace detail {

inline void multiply(const std::uint8_t* panel, const std::int8_t* x, index_t depth,
                     const std::int32_t* start, std::int32_t* sums) {
  std::fill_n(sums, panel_rows, *start);
  for (index_t k = 0; k < depth; k += 4) {
    for (index_t l = 0; l < panel_rows; ++l, panel += 4) {
      sums[l] += panel[0] * x[k] + panel[1] * x[k + 1] + panel[2] * x[k + 2] + panel[3] * x[k + 3];
    }
  }
}

inline std::uint64_t score(const std::int32_t* sums, const float* scale, bool magnitude,
                           float threshold, float* scores) {
  std::uint64_t reached = 0;
  for (index_t l = 0; l < panel_rows; ++l) {
    const float s = static_cast<float>(sums[l]) * scale[l];
    scores[l] = magnitude ? std::abs(s) : s;
    reached |= std::uint64_t{scores[l] >= threshold} << static_cast<unsigned>(l);
  }
  return reached;
}

#if defined(SOLENS_X86_KERNELS)
// A vector of the language, not __m512i, of which GCC 12 keeps arrays in memory.
using lanes [[gnu::vector_size(64)]] = int;
constexpr index_t avx512_tile_rows = 6;

[[gnu::target("avx512f,avx512vnni")]] inline void multiply_avx512(const std::uint8_t* panel,
                                                                  const std::int8_t* x,
                                                                  index_t depth,
                                                                  const std::int32_t* start,
                                                                  std::int32_t* sums) {
  constexpr index_t n = panel_rows / 16;
  lanes sum[avx512_tile_rows][n];  // 24 of the 32 registers
  for (index_t r = 0; r < avx512_tile_rows; ++r) {
    for (index_t v = 0; v < n; ++v) sum[r][v] = (lanes)_mm512_set1_epi32(start[r]);
  }
  for (index_t k = 0; k < depth; k += 4) {
    __m512i a[n];
    for (index_t v = 0; v < n; ++v) a[v] = _mm512_loadu_si512(panel + k * panel_rows + 64 * v);
    for (index_t r = 0; r < avx512_tile_rows; ++r) {
      int four;
      std::memcpy(&four, x + r * depth + k, 4);
      const __m512i b = _mm512_set1_epi32(four);
      for (index_t v = 0; v < n; ++v) {
        sum[r][v] = (lanes)_mm512_dpbusd_epi32((__m512i)sum[r][v], a[v], b);
      }
    }
  }
  for (index_t r = 0; r < avx512_tile_rows; ++r) {
    for (index_t v = 0; v < n; ++v) {
      _mm512_storeu_si512(sums + r * panel_rows + 16 * v, (__m512i)sum[r][v]);
    }
  }
}

[[gnu::target("avx512f,avx512vnni")]] inline std::uint64_t score_avx512(const std::int32_t* sums,
                                                                        const float* scale,
                                                                        bool magnitude,
                                                                        float threshold,
                                                                        float* scores) {
  constexpr index_t n = panel_rows / 16;
  const __m512i kept = _mm512_set1_epi32(magnitude ? 0x7fffffff : -1);  // all but the sign, or all
  const __m512 least = _mm512_set1_ps(threshold);
  __m512 s[n], largest = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  for (index_t v = 0; v < n; ++v) {
    s[v] = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_loadu_si512(sums + 16 * v)),
                         _mm512_loadu_ps(scale + 16 * v));
    s[v] = _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(s[v]), kept));
    largest = _mm512_max_ps(largest, s[v]);
  }
  if (_mm512_cmp_ps_mask(largest, least, _CMP_GE_OQ) == 0) return 0;  // nearly always
  std::uint64_t reached = 0;
  for (index_t v = 0; v < n; ++v) {
    _mm512_storeu_ps(scores + 16 * v, s[v]);
    const std::uint64_t bits = _mm512_cmp_ps_mask(s[v], least, _CMP_GE_OQ);
    reached |= bits << static_cast<unsigned>(16 * v);
  }
  return reached;
}
#endif

}  // namespace detail

/// For every processor; no faster than products of floats.
constexpr kernel plain{1, detail::multiply, detail::score};

/// The kernel of this processor, where that is faster than products of floats; else null.
inline const kernel* fast() {
#if defined(SOLENS_X86_KERNELS)
  static constexpr kernel avx512{detail::avx512_tile_rows, detail::multiply_avx512,
                                 detail::score_avx512};
  if (__builtin_cpu_supports("avx512vnni")) return &avx512;
#endif
  return nullptr;
}

/// A row as scale * q, with q whole numbers of magnitude up to 127.
struct quantised {
  float scale = 0;
  double size = 0;   ///< Euclidean norm of scale * q
  double error = 0;  ///< and of what that lacks of the row; not finite where the row is not
  std::int32_t sum = 0;  ///< of q
};

/// @param y  [d]
/// @param q  [d], overwritten
template <class T>
quantised quantise(const T* y, index_t d, std::int8_t* q) {
  const T largest = rows::largest_of<T>(d, [y](index_t k) { return std::abs(y[k]); });
  const T norm = rows::norm(y, d);
  if (!(largest > T(1e-28) && largest < T(1e28)) || std::isnan(norm)) {
    std::fill_n(q, d, std::int8_t{0});
    return {.error = static_cast<double>(norm) * (1 + 1e-6)};  // as the norm is rounded
  }
  const auto scale = static_cast<float>(largest / 127);
  const T inverse = T{1} / static_cast<T>(scale);
  double lost = 0;
  std::int32_t squares = 0, sum = 0;
  SOLENS_SIMD(reduction(+ : lost, squares, sum))
  for (index_t k = 0; k < d; ++k) {
    const T t = y[k] * inverse;
    const auto whole = static_cast<std::int32_t>(t + (t < 0 ? T(-0.5) : T(0.5)));
    const double rest =
        static_cast<double>(y[k]) - static_cast<double>(scale) * static_cast<double>(whole);
    q[k] = static_cast<std::int8_t>(whole);
    lost += rest * rest;
    squares += whole * whole;
    sum += whole;
  }
  return {scale, static_cast<double>(scale) * std::sqrt(static_cast<double>(squares)),
          std::sqrt(lost), sum};
}

}  // namespace solens::bytes
