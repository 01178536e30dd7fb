#pragma once

#include <algorithm>  // std::fill_n
#include <cmath>
#include <cstdint>  // std::int8_t, std::uint64_t
#include <cstring>  // std::memcpy
#include <limits>
#include <vector>

#include <solens/backend/parallel.hpp>
#include <solens/backend/row_kernels.hpp>
#include <solens/core/shape.hpp>

#if defined(__x86_64__) && defined(__GNUC__)
#define SOLENS_X86_KERNELS 1
#include <cpuid.h>  // __get_cpuid_count
#if defined(__linux__)
#include <sys/syscall.h>  // SYS_arch_prctl
#include <unistd.h>       // syscall
#endif
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

/// Products of rows of bytes, exact in 32 bits: where the processor has instructions for them, four
/// times (AVX-512 VNNI) and more (AMX) as many a second as of floats.
namespace solens::bytes {

constexpr index_t panel_rows = 64;    ///< rows of a table that lie interleaved
constexpr index_t max_depth = 65000;  ///< up to here no sum overflows

/// The two loops of a search, as one kind of processor does them.
struct kernel {
  index_t tile_rows;   ///< vectors come in multiples of so many,
  index_t tile_depth;  ///< their elements in multiples of so many

  /// sums[r][l] = sum_k panel[k][l] x[r][k], the panel's bytes in the order
  /// [depth / 4, panel_rows, 4]; x is [n, depth], sums [n, panel_rows].
  void (*multiply)(const std::uint8_t* panel, const std::int8_t* x, index_t n, index_t depth,
                   std::int32_t* sums);

  /// Which of scale[l] (sums[l] - excess), or of their magnitudes, reach the threshold: bit l of
  /// the result.
  /// @param scores  [panel_rows], those numbers, written where the result is not 0
  std::uint64_t (*score)(const std::int32_t* sums, std::int32_t excess, const float* scale,
                         bool magnitude, float threshold, float* scores);
};

namespace detail {

inline void multiply(const std::uint8_t* panel, const std::int8_t* x, index_t n, index_t depth,
                     std::int32_t* sums) {
  for (index_t r = 0; r < n; ++r, x += depth, sums += panel_rows) {
    std::fill_n(sums, panel_rows, 0);
    for (index_t k = 0; k < depth; k += 4) {
      for (index_t l = 0; l < panel_rows; ++l) {
        const std::uint8_t* a = panel + k * panel_rows + 4 * l;
        sums[l] += a[0] * x[k] + a[1] * x[k + 1] + a[2] * x[k + 2] + a[3] * x[k + 3];
      }
    }
  }
}

inline std::uint64_t score(const std::int32_t* sums, std::int32_t excess, const float* scale,
                           bool magnitude, float threshold, float* scores) {
  std::uint64_t reached = 0;
  for (index_t l = 0; l < panel_rows; ++l) {
    const float s = static_cast<float>(sums[l] - excess) * scale[l];
    scores[l] = magnitude ? std::abs(s) : s;
    reached |= std::uint64_t{scores[l] >= threshold} << static_cast<unsigned>(l);
  }
  return reached;
}

#if defined(SOLENS_X86_KERNELS)
// A vector of the language, not __m512i, of which GCC 12 keeps arrays in memory.
using lanes [[gnu::vector_size(64)]] = int;
constexpr index_t avx512_rows = 6;

[[gnu::target("avx512f,avx512vnni")]] inline void multiply_avx512(const std::uint8_t* panel,
                                                                  const std::int8_t* x, index_t n,
                                                                  index_t depth,
                                                                  std::int32_t* sums) {
  constexpr index_t words = panel_rows / 16;
  for (index_t first = 0; first < n; first += avx512_rows, x += avx512_rows * depth) {
    lanes sum[avx512_rows][words] = {};  // 24 of the 32 registers
    for (index_t k = 0; k < depth; k += 4) {
      __m512i a[words];
      for (index_t v = 0; v < words; ++v) {
        a[v] = _mm512_loadu_si512(panel + k * panel_rows + 64 * v);
      }
      for (index_t r = 0; r < avx512_rows; ++r) {
        int four;
        std::memcpy(&four, x + r * depth + k, 4);
        const __m512i b = _mm512_set1_epi32(four);
        for (index_t v = 0; v < words; ++v) {
          sum[r][v] = (lanes)_mm512_dpbusd_epi32((__m512i)sum[r][v], a[v], b);
        }
      }
    }
    for (index_t r = 0; r < avx512_rows; ++r, sums += panel_rows) {
      for (index_t v = 0; v < words; ++v) _mm512_storeu_si512(sums + 16 * v, (__m512i)sum[r][v]);
    }
  }
}

/// How multiply_amx uses the eight tiles: 16 rows of 64 bytes each. An object that is always there,
/// because compilers do not see that the instruction reads it.
struct alignas(64) amx_tiles {
  std::uint8_t palette = 1, first_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
inline constexpr amx_tiles amx_configuration{};

/// Sixteen vectors (tile 4) by four times sixteen rows of the panel (5 to 7), into tiles 0 to 3.
[[gnu::target("amx-tile,amx-int8")]] inline void multiply_amx(const std::uint8_t* panel,
                                                              const std::int8_t* x, index_t n,
                                                              index_t depth, std::int32_t* sums) {
  constexpr int row = 4 * panel_rows;  // bytes: of sums, and of four elements of a panel
  _tile_loadconfig(&amx_configuration);
  for (index_t first = 0; first < n; first += 16, x += 16 * depth, sums += 16 * panel_rows) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (index_t k = 0; k < depth; k += 64) {
      const std::uint8_t* a = panel + k * panel_rows;
      _tile_loadd(4, x + k, depth);
      _tile_loadd(5, a, row);
      _tile_loadd(6, a + 64, row);
      _tile_dpbsud(0, 4, 5);
      _tile_loadd(7, a + 128, row);
      _tile_dpbsud(1, 4, 6);
      _tile_loadd(5, a + 192, row);
      _tile_dpbsud(2, 4, 7);
      _tile_dpbsud(3, 4, 5);
    }
    _tile_stored(0, sums, row);
    _tile_stored(1, sums + 16, row);
    _tile_stored(2, sums + 32, row);
    _tile_stored(3, sums + 48, row);
  }
  _tile_release();
}

[[gnu::target("avx512f,avx512vnni")]] inline std::uint64_t score_avx512(
    const std::int32_t* sums, std::int32_t excess, const float* scale, bool magnitude,
    float threshold, float* scores) {
  constexpr index_t n = panel_rows / 16;
  const __m512i kept = _mm512_set1_epi32(magnitude ? 0x7fffffff : -1);  // all but the sign, or all
  const __m512i more = _mm512_set1_epi32(excess);
  const __m512 least = _mm512_set1_ps(threshold);
  __m512 s[n], largest = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  for (index_t v = 0; v < n; ++v) {
    const __m512i sum = _mm512_sub_epi32(_mm512_loadu_si512(sums + 16 * v), more);
    s[v] = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(scale + 16 * v));
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

/// Whether the processor has AMX and the system lets this process use it, which Linux wants to be
/// asked for.
inline bool amx_granted() {
#if defined(__linux__)
  constexpr unsigned int8_tiles = 1U << 25U;
  constexpr long request = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & int8_tiles) != 0 &&
         syscall(SYS_arch_prctl, request, tile_data) == 0;
#else
  return false;
#endif
}
#endif

}  // namespace detail

/// The kernels that this processor can run, the fastest first; the last is for every processor, and
/// no faster than products of floats.
inline const std::vector<kernel>& kernels() {
  static const std::vector<kernel> usable = [] {
    std::vector<kernel> list;
#if defined(SOLENS_X86_KERNELS)
    if (__builtin_cpu_supports("avx512vnni")) {
      if (detail::amx_granted()) {
        list.push_back({16, 64, detail::multiply_amx, detail::score_avx512});
      }
      list.push_back({detail::avx512_rows, 4, detail::multiply_avx512, detail::score_avx512});
    }
#endif
    list.push_back({1, 4, detail::multiply, detail::score});
    return list;
  }();
  return usable;
}

/// The fastest kernel, where it is faster than products of floats; else null.
inline const kernel* fast() { return kernels().size() > 1 ? &kernels().front() : nullptr; }

/// A row as scale * q, with q whole numbers of magnitude up to 127.
struct quantised {
  float scale = 0;
  double size = 0;       ///< Euclidean norm of scale * q
  double error = 0;      ///< and of what that lacks of the row; not finite where the row is not
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
