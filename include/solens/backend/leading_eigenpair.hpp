#pragma once

#include <algorithm>  // std::max, std::min
#include <cmath>
#include <cstddef>  // std::size_t
#include <limits>
#include <vector>

#include <solens/backend/parallel.hpp>
#include <solens/backend/tridiagonal.hpp>
#include <solens/core/shape.hpp>

namespace solens {

/// The largest eigenvalue of a symmetric matrix and its eigenvector, by Lanczos' method.
///
/// Every new vector is made orthogonal to all before it, so that n steps are exact; where the
/// eigenvalue stands apart from the next, some tens of steps do, of 2 n^2 flops each, where all
/// eigenpairs take about 9 n^3. Keeps its workspace from matrix to matrix.
/// Source: Golub and Van Loan, Matrix Computations, section 10.3.
template <class T>
class leading_eigenpair {
 public:
  explicit leading_eigenpair(index_t n)
      : n_(static_cast<std::size_t>(n)), basis_((n_ + 1) * n_), product_(n_) {}

  /// @param a       [n, n], contiguous, finite
  /// @param vector  overwritten with n numbers, of norm 1
  /// @returns the eigenvalue; its residual is within about 8 epsilon of the matrix' norm
  T compute(const T* a, T* vector) {
    diagonal_.clear();
    beside_.clear();
    start(a);
    double value = 0;
    for (std::size_t k = 0; k < n_; ++k) {
      const double rest = step(a, k);
      // the tridiagonal matrix is solved now and then, and when there is nothing left
      const bool last = k + 1 == n_ || rest <= tiny() * norm_;
      if (!last && (k < 7 || k % 4 != 3)) continue;
      value = largest_value();
      solve_vector(value);
      if (last || rest * std::abs(small_.back()) <= tiny() * norm_) break;
    }
    combine(vector);
    return static_cast<T>(value);
  }

 private:
  static double tiny() { return 8 * static_cast<double>(std::numeric_limits<T>::epsilon()); }

  T* basis(std::size_t k) { return basis_.data() + k * n_; }

  static double dot(const T* x, const T* y, std::size_t n) {
    T sum = 0;
    SOLENS_SIMD(reduction(+ : sum))
    for (std::size_t i = 0; i < n; ++i) sum += x[i] * y[i];
    return static_cast<double>(sum);
  }

  static void subtract(double factor, const T* x, T* y, std::size_t n) {
    const T f = static_cast<T>(factor);
    SOLENS_SIMD()
    for (std::size_t i = 0; i < n; ++i) y[i] -= f * x[i];
  }

  void multiply(const T* a, const T* x, T* y) const {
    for (std::size_t i = 0; i < n_; ++i) y[i] = static_cast<T>(dot(a + i * n_, x, n_));
  }

  /// A vector that no eigenvector is orthogonal to but by design: the matrix times numbers that
  /// follow no pattern, the same for every matrix.
  void start(const T* a) {
    std::vector<T>& x = product_;
    double phase = 0;
    for (T& v : x) {
      phase += 0.6180339887498949;
      phase -= std::floor(phase);
      v = static_cast<T>(phase + 0.25);
    }
    multiply(a, x.data(), basis(0));
    double length = std::sqrt(dot(basis(0), basis(0), n_));
    norm_ = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      norm_ = std::max(norm_, std::sqrt(dot(a + i * n_, a + i * n_, n_)));
    }
    if (length <= tiny() * norm_) {  // the matrix is zero, or all but zero on this vector
      std::copy(x.begin(), x.end(), basis(0));
      length = std::sqrt(dot(basis(0), basis(0), n_));
    }
    for (std::size_t i = 0; i < n_; ++i)
      basis(0)[i] = static_cast<T>(static_cast<double>(basis(0)[i]) / length);
  }

  /// Extends the tridiagonal matrix by row k; the norm of what is left of a times basis(k).
  double step(const T* a, std::size_t k) {
    T* next = basis(k + 1);
    multiply(a, basis(k), next);
    diagonal_.push_back(dot(next, basis(k), n_));
    for (int twice = 0; twice < 2; ++twice) {
      for (std::size_t j = 0; j <= k; ++j) subtract(dot(next, basis(j), n_), basis(j), next, n_);
    }
    const double rest = std::sqrt(dot(next, next, n_));
    beside_.push_back(rest);
    norm_ = std::max(norm_, std::abs(diagonal_.back()));
    if (rest > 0) {
      for (std::size_t i = 0; i < n_; ++i)
        next[i] = static_cast<T>(static_cast<double>(next[i]) / rest);
    }
    return rest;
  }

  tridiagonal small_matrix() const {
    return {diagonal_.data(), beside_.data(), static_cast<index_t>(diagonal_.size())};
  }

  /// By bisection.
  double largest_value() const {
    const tridiagonal t = small_matrix();
    auto [low, high] = t.of_largest();
    while (high - low > 1e-16 * (std::abs(high) + std::abs(low))) {
      const double middle = low + (high - low) / 2;
      if (middle <= low || middle >= high) break;
      (t.all_below(middle) ? high : low) = middle;
    }
    return high;
  }

  /// The eigenvector in the basis.
  void solve_vector(double value) {
    pivot_.resize(diagonal_.size());
    small_.resize(diagonal_.size());
    const double squares =
        small_matrix().largest_vector(value, norm_, pivot_.data(), small_.data());
    for (double& v : small_) v /= std::sqrt(squares);
  }

  void combine(T* vector) {
    std::fill(vector, vector + n_, T{0});
    for (std::size_t k = 0; k < small_.size(); ++k) subtract(-small_[k], basis(k), vector, n_);
    const double length = std::sqrt(dot(vector, vector, n_));
    for (std::size_t i = 0; i < n_; ++i)
      vector[i] = static_cast<T>(static_cast<double>(vector[i]) / length);
  }

  std::size_t n_;
  std::vector<T> basis_, product_;
  std::vector<double> diagonal_, beside_, pivot_, small_;
  double norm_ = 0;  ///< a lower bound of the matrix' norm
};

}  // namespace solens
