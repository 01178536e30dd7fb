#pragma once

#include <algorithm>  // std::copy_n
#include <cmath>
#include <cstddef>  // std::size_t
#include <numeric>  // std::transform_reduce
#include <vector>

#include <solens/core/shape.hpp>

namespace solens {

/// Least squares on a support that grows by one column at a time, from inner products alone.
///
/// Holds the Gram matrix of the columns and their products with the target, in double, with a
/// Cholesky factor that each new column extends by a row.
class growing_least_squares {
 public:
  explicit growing_least_squares(index_t capacity)
      : capacity_(static_cast<std::size_t>(capacity)),
        gram_(capacity_ * capacity_),
        factor_(capacity_ * capacity_),
        target_(capacity_),
        solved_(capacity_) {}

  index_t size() const { return static_cast<index_t>(n_); }

  /// Adds a column.
  /// @param products   with the columns that are there and, last, with itself
  /// @param target     its product with the target
  /// @param dependent  a column is not added when the squared norm of its part outside the others
  ///                   is this share of its own, or less
  /// @returns whether it was added
  bool push(const double* products, double target, double dependent) {
    double rest = products[n_], left = target;
    double* row = &factor_[n_ * capacity_];
    for (std::size_t i = 0; i < n_; ++i) {
      const double* other = &factor_[i * capacity_];
      const double sum = products[i] - std::transform_reduce(row, row + i, other, 0.0);
      row[i] = sum / other[i];
      rest -= row[i] * row[i];
      left -= row[i] * solved_[i];
    }
    if (!(rest > dependent * products[n_])) return false;
    row[n_] = std::sqrt(rest);
    std::copy_n(products, n_ + 1, &gram_[n_ * capacity_]);
    target_[n_] = target;
    solved_[n_] = left / row[n_];
    ++n_;
    return true;
  }

  /// The weights with the smallest squared residual.
  /// @param weights  size() numbers
  void solve(double* weights) const {
    std::copy_n(solved_.begin(), n_, weights);
    for (std::size_t i = n_; i-- > 0;) {
      const double* row = &factor_[i * capacity_];
      const double w = weights[i] /= row[i];
      for (std::size_t j = 0; j < i; ++j) weights[j] -= w * row[j];
    }
  }

  /// The same among weights that are not negative, by the active-set method.
  /// Source: Lawson and Hanson, Solving Least Squares Problems, chapter 23 (NNLS).
  void solve_non_negative(double* weights) const {
    std::vector<bool> free(n_, false);
    std::vector<double> trial(n_);
    for (std::size_t i = 0; i < n_; ++i) weights[i] = 0;
    for (std::size_t round = 0; round < 3 * n_ + 3; ++round) {
      const std::size_t enter = steepest(weights, free);
      if (enter == n_) return;
      free[enter] = true;
      solve_free(free, trial);
      while (!all_positive(free, trial)) {
        step_back(free, trial, weights);
        solve_free(free, trial);
      }
      for (std::size_t i = 0; i < n_; ++i) weights[i] = free[i] ? trial[i] : 0;
    }
  }

 private:
  double gram(std::size_t i, std::size_t j) const {
    return i < j ? gram_[j * capacity_ + i] : gram_[i * capacity_ + j];
  }

  /// The bound column that most wants to enter; n_ when none does.
  std::size_t steepest(const double* weights, const std::vector<bool>& free) const {
    std::size_t best = n_;
    double largest = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      if (free[i]) continue;
      double slope = target_[i];
      for (std::size_t j = 0; j < n_; ++j) slope -= gram(i, j) * weights[j];
      // relative to what rounding leaves of a sum of such terms
      if (slope > 1e-12 * (std::abs(target_[i]) + gram(i, i)) && slope > largest) {
        largest = slope;
        best = i;
      }
    }
    return best;
  }

  static bool all_positive(const std::vector<bool>& free, const std::vector<double>& x) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (free[i] && !(x[i] > 0)) return false;
    }
    return true;
  }

  /// Unconstrained least squares on the free columns, independent as all of them are.
  void solve_free(const std::vector<bool>& free, std::vector<double>& x) const {
    growing_least_squares part(static_cast<index_t>(n_));
    std::vector<std::size_t> columns;
    std::vector<double> products;
    for (std::size_t i = 0; i < n_; ++i) {
      if (!free[i]) continue;
      columns.push_back(i);
      products.clear();
      for (std::size_t j : columns) products.push_back(gram(i, j));
      part.push(products.data(), target_[i], 0);
    }
    std::vector<double> found(columns.size());
    part.solve(found.data());
    for (std::size_t i = 0; i < columns.size(); ++i) x[columns[i]] = found[i];
  }

  /// Goes from `weights` towards the trial until the first free weight is 0, and binds it.
  static void step_back(std::vector<bool>& free, const std::vector<double>& trial,
                        double* weights) {
    double step = 1;
    std::size_t first = free.size();
    for (std::size_t i = 0; i < free.size(); ++i) {
      if (!free[i] || trial[i] > 0) continue;
      const double to_zero = weights[i] > 0 ? weights[i] / (weights[i] - trial[i]) : 0;
      if (first == free.size() || to_zero < step) {
        step = to_zero;
        first = i;
      }
    }
    for (std::size_t i = 0; i < free.size(); ++i) {
      if (free[i]) weights[i] += step * (trial[i] - weights[i]);
    }
    free[first] = false;
    weights[first] = 0;
  }

  std::size_t capacity_, n_ = 0;
  std::vector<double> gram_, factor_, target_;
  std::vector<double> solved_;  ///< factor^-1 target
};

}  // namespace solens
