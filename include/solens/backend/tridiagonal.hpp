#pragma once

#include <algorithm>  // std::max

#include <solens/core/shape.hpp>

namespace solens {

/// A view of a symmetric tridiagonal matrix, and what Lanczos' method asks of it; constexpr, for
/// that lets CUDA's kernels call it.
struct tridiagonal {
  const double* diagonal;  ///< [n]
  const double* beside;    ///< [n - 1]
  index_t n;               ///< 1 or more

  struct interval {
    double low, high;
  };

  /// Where the largest eigenvalue lies, by Gershgorin's bounds.
  constexpr interval of_largest() const {
    interval found{diagonal[0], diagonal[0]};
    for (index_t i = 0; i < n; ++i) {
      const double around = (i > 0 ? beside[i - 1] : 0) + (i + 1 < n ? beside[i] : 0);
      found.low = std::max(found.low, diagonal[i]);
      found.high = std::max(found.high, diagonal[i] + around);
    }
    return found;
  }

  /// Whether all eigenvalues are below x: that the matrix less x on its diagonal is negative
  /// definite.
  constexpr bool all_below(double x) const {
    double pivot = diagonal[0] - x;
    for (index_t i = 1; pivot < 0 && i < n; ++i) {
      pivot = diagonal[i] - x - beside[i - 1] * beside[i - 1] / pivot;
    }
    return pivot < 0;
  }

  /// The eigenvector of the largest eigenvalue, by inverse iteration just above it, where
  /// elimination without pivots is stable.
  /// @param norm    about the matrix' norm
  /// @param pivot   [n], workspace
  /// @param vector  [n], overwritten, of largest magnitude 1
  /// @returns the square of its norm
  constexpr double largest_vector(double value, double norm, double* pivot, double* vector) const {
    const double size = std::max(norm, value < 0 ? -value : value);
    const double shift = value + 1e-14 * size + 1e-300;
    for (index_t i = 0; i < n; ++i) {
      pivot[i] = diagonal[i] - shift - (i > 0 ? beside[i - 1] * beside[i - 1] / pivot[i - 1] : 0);
      vector[i] = 1;
    }
    double squares = 0;
    for (int iteration = 0; iteration < 3; ++iteration) {
      for (index_t i = 1; i < n; ++i) vector[i] -= beside[i - 1] / pivot[i - 1] * vector[i - 1];
      double largest = 0;
      for (index_t i = n; i-- > 0;) {
        vector[i] = (vector[i] - (i + 1 < n ? beside[i] * vector[i + 1] : 0)) / pivot[i];
        largest = std::max(largest, vector[i] < 0 ? -vector[i] : vector[i]);
      }
      squares = 0;
      for (index_t i = 0; i < n; ++i) {
        vector[i] /= largest;
        squares += vector[i] * vector[i];
      }
    }
    return squares;
  }
};

}  // namespace solens
