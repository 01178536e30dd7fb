#pragma once

#include <algorithm>  // std::partial_sort
#include <array>
#include <bit>  // std::bit_cast
#include <cmath>
#include <cstddef>  // std::size_t
#include <cstdint>  // std::uint32_t
#include <limits>
#include <numeric>  // std::iota
#include <type_traits>
#include <vector>

#include <solens/backend/concept.hpp>
#include <solens/backend/parallel.hpp>

/// What the CPU backends do with one contiguous row: loops that the compiler vectorises.
/// Input and output may be the same row.
namespace solens::rows {

/// exp(x) for x <= 0, to 2 units in the last place; exactly 0 where a float would be denormal.
/// NaN stays NaN.
///
/// Free of branches and calls, so that a loop of it is vectorised: x = n ln 2 + r, exp(r) by its
/// Taylor series, 2^n written into the exponent.
[[gnu::always_inline]] inline float exp_nonpositive(float x) {
  constexpr float log2_e = 1.44269504F, ln2_high = 0.693359375F, ln2_low = -2.12194440e-4F;
  constexpr float to_integer = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const float shifted = x * log2_e + to_integer;
  const float n = shifted - to_integer;
  const float r = (x - n * ln2_high) - n * ln2_low;
  float series = 1.0F / 5040;
  series = series * r + 1.0F / 720;
  series = series * r + 1.0F / 120;
  series = series * r + 1.0F / 24;
  series = series * r + 1.0F / 6;
  series = series * r + 0.5F;
  series = (series * r) * r + r + 1;
  const auto power = std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) + 127U) << 23U);
  const float result = series * power;
  return x < -87.3F ? 0.0F : result;
}
[[gnu::always_inline]] inline double exp_nonpositive(double x) { return std::exp(x); }

/// 1 / (1 + exp(-x)).
template <class T>
[[gnu::always_inline]] inline T sigmoid(T x) {
  const T e = exp_nonpositive(-std::abs(x));
  return (x < 0 ? e : T{1}) / (1 + e);
}

/// The normal distribution function, by formula 7.1.26 of Abramowitz and Stegun, whose error is
/// 1.5e-7 in erf; the negative side loses nothing to cancellation.
[[gnu::always_inline]] inline float normal_cdf(float x) {
  const float z = std::abs(x) * 0.70710678F;
  const float t = 1 / (1 + 0.3275911F * z);
  float tail = 1.061405429F;
  tail = tail * t - 1.453152027F;
  tail = tail * t + 1.421413741F;
  tail = tail * t - 0.284496736F;
  tail = tail * t + 0.254829592F;
  tail = 0.5F * tail * t * exp_nonpositive(-z * z);
  return x < 0 ? tail : 1 - tail;
}
[[gnu::always_inline]] inline double normal_cdf(double x) {
  return 0.5 * std::erfc(x * -0.70710678118654752440);
}

/// Every activation is x times a share of x between 0 and 1.
template <activation Kind, class T>
[[gnu::always_inline]] inline T activated(T x) {
  if constexpr (Kind == activation::gelu) {
    return x * normal_cdf(x);
  } else if constexpr (Kind == activation::quick_gelu) {
    return x * sigmoid(T(1.702) * x);
  } else {
    // 0.5 (1 + tanh(u)) = sigmoid(2 u), with u = sqrt(2 / pi) (x + 0.044715 x^3)
    return x * sigmoid(T(1.59576912160573071176) * x * (1 + T(0.044715) * x * x));
  }
}

/// y[i] = f(i) for an f of `exp_nonpositive`, which is a library call, and so no loop to vectorise,
/// in double.
template <class T, class F>
[[gnu::always_inline]] inline void assign(T* y, index_t n, const F& f) {
  if constexpr (std::is_same_v<T, float>) {
    SOLENS_SIMD()
    for (index_t i = 0; i < n; ++i) y[i] = f(i);
  } else {
    for (index_t i = 0; i < n; ++i) y[i] = f(i);
  }
}

template <activation Kind, class T>
void activate(const T* x, T* y, index_t n) {
  assign(y, n, [x](index_t i) { return activated<Kind>(x[i]); });
}

template <class T>
void activate(activation kind, const T* x, T* y, index_t n) {
  switch (kind) {
    case activation::gelu: return activate<activation::gelu>(x, y, n);
    case activation::quick_gelu: return activate<activation::quick_gelu>(x, y, n);
    case activation::gelu_tanh: return activate<activation::gelu_tanh>(x, y, n);
  }
}

template <activation Kind, class T>
void bias_activate(const T* bias, T* x, index_t n) {
  assign(x, n, [x, bias](index_t i) { return activated<Kind>(x[i] + bias[i]); });
}

template <class T>
void bias_activate(activation kind, const T* bias, T* x, index_t n) {
  switch (kind) {
    case activation::gelu: return bias_activate<activation::gelu>(bias, x, n);
    case activation::quick_gelu: return bias_activate<activation::quick_gelu>(bias, x, n);
    case activation::gelu_tanh: return bias_activate<activation::gelu_tanh>(bias, x, n);
  }
}

template <class T>
void add(const T* bias, T* x, index_t n) {
  SOLENS_SIMD()
  for (index_t i = 0; i < n; ++i) x[i] += bias[i];
}

/// The largest f(i) that is not NaN; -infinity where there is none.
///
/// In lanes, by hand: compilers do not reorder a maximum, for the sake of NaN.
template <class T, class F>
[[gnu::always_inline]] inline T largest_of(index_t n, const F& f) {
  constexpr index_t lanes = 64 / index_t{sizeof(T)};
  std::array<T, lanes> lane;
  lane.fill(-std::numeric_limits<T>::infinity());
  index_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (index_t j = 0; j < lanes; ++j) {
      const T v = f(i + j);
      T& most = lane[static_cast<std::size_t>(j)];
      most = most < v ? v : most;
    }
  }
  T largest = lane[0];
  for (T v : lane) largest = largest < v ? v : largest;
  for (; i < n; ++i) {
    const T v = f(i);
    largest = largest < v ? v : largest;
  }
  return largest;
}

/// y = softmax(scale x).
template <class T>
void softmax(T scale, const T* x, T* y, index_t n) {
  SOLENS_SIMD()
  for (index_t i = 0; i < n; ++i) y[i] = scale * x[i];
  const T largest = largest_of<T>(n, [y](index_t i) { return y[i]; });
  T sum = 0;
  assign(y, n, [y, largest](index_t i) { return exp_nonpositive(y[i] - largest); });
  SOLENS_SIMD(reduction(+ : sum))
  for (index_t i = 0; i < n; ++i) sum += y[i];
  const T share = 1 / sum;
  SOLENS_SIMD()
  for (index_t i = 0; i < n; ++i) y[i] *= share;
}

template <class T>
struct moments {
  T mean, scale;
};

/// y = (x - mean) / scale * weight + bias, with scale = sqrt(var + eps). Returns the two.
template <class T>
moments<T> layer_norm(const T* x, const T* weight, const T* bias, T eps, T* y, index_t n) {
  T sum = 0, squares = 0;
  SOLENS_SIMD(reduction(+ : sum))
  for (index_t i = 0; i < n; ++i) sum += x[i];
  const T mean = sum / static_cast<T>(n);
  SOLENS_SIMD(reduction(+ : squares))
  for (index_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const T scale = std::sqrt(squares / static_cast<T>(n) + eps);
  const T inverse = 1 / scale;
  SOLENS_SIMD()
  for (index_t i = 0; i < n; ++i) y[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
  return {mean, scale};
}

/// The Euclidean norm, accumulated in double.
template <class T>
T norm(const T* x, index_t n) {
  constexpr index_t lanes = 16;  // sums that do not wait on each other
  const auto square = [x](index_t i) {
    return static_cast<double>(x[i]) * static_cast<double>(x[i]);
  };
  std::array<double, lanes> sums{};
  index_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    SOLENS_SIMD()
    for (index_t j = 0; j < lanes; ++j) sums[static_cast<std::size_t>(j)] += square(i + j);
  }
  double sum = 0;
  SOLENS_SIMD(reduction(+ : sum))
  for (index_t j = 0; j < lanes; ++j) sum += sums[static_cast<std::size_t>(j)];
  for (; i < n; ++i) sum += square(i);
  return static_cast<T>(std::sqrt(sum));
}

/// Position of the largest magnitude, the first of equal ones; NaN only where all are NaN.
template <class T>
index_t argmax_abs(const T* x, index_t n) {
  // The value first, then where it stands: neither loop waits on the other.
  const T largest = largest_of<T>(n, [x](index_t i) { return std::abs(x[i]); });
  for (index_t p = 0; p < n; ++p) {
    if (std::abs(x[p]) == largest) return p;
  }
  return 0;
}

/// Positions whose first k are those of the k largest, the largest first: of equal ones the first
/// first, NaN last.
template <class T>
std::vector<index_t> top_k(const T* x, index_t n, index_t k) {
  std::vector<index_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), index_t{0});
  std::partial_sort(order.begin(), order.begin() + k, order.end(), [x](index_t i, index_t j) {
    const T a = x[i], b = x[j];
    if (a > b || a < b) return a > b;
    if (std::isnan(a) != std::isnan(b)) return std::isnan(b);
    return i < j;
  });
  return order;
}

}  // namespace solens::rows
