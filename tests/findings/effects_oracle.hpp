#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <solens/core/host_tensor.hpp>

namespace solens::test {

/// Findings of one writer the plain way: every effect in memory, everything in double.
struct effects_oracle {
  host_tensor<double> effects;  ///< [n_images, d_joint], centered
  std::vector<double> mean, norms;
  std::vector<index_t> top;  ///< images, largest norm first
  std::vector<double> direction;
  double explained = 0, explained_all = 0;

  effects_oracle(host_tensor<double> all, index_t n_top)
      : effects(std::move(all)), mean(width()), norms(count()), direction(width()) {
    for (std::size_t j = 0; j < width(); ++j) {
      for (std::size_t i = 0; i < count(); ++i) mean[j] += at(i, j) / static_cast<double>(count());
      for (std::size_t i = 0; i < count(); ++i) at(i, j) -= mean[j];
    }
    for (std::size_t i = 0; i < count(); ++i) {
      for (std::size_t j = 0; j < width(); ++j) norms[i] += at(i, j) * at(i, j);
      norms[i] = std::sqrt(norms[i]);
    }
    std::vector<index_t> order(count());
    std::iota(order.begin(), order.end(), index_t{0});
    std::stable_sort(order.begin(), order.end(), [&](index_t a, index_t b) {
      return norms[static_cast<std::size_t>(a)] > norms[static_cast<std::size_t>(b)];
    });
    top.assign(order.begin(), order.begin() + n_top);
    explained_all = first_direction(order).first;
    auto [share, vector] = first_direction(top);
    explained = share;
    index_t positive = 0;
    double sum = 0;
    for (index_t i : top) {
      const double p = dot(static_cast<std::size_t>(i), vector);
      positive += p > 0;
      sum += p;
    }
    const bool turn = 2 * positive < n_top || (2 * positive == n_top && sum < 0);
    for (std::size_t j = 0; j < width(); ++j) direction[j] = turn ? -vector[j] : vector[j];
  }

 private:
  std::size_t count() const { return static_cast<std::size_t>(effects.extent(0)); }
  std::size_t width() const { return static_cast<std::size_t>(effects.extent(1)); }
  double& at(std::size_t i, std::size_t j) {
    return effects(static_cast<index_t>(i), static_cast<index_t>(j));
  }
  double dot(std::size_t i, const std::vector<double>& v) {
    double sum = 0;
    for (std::size_t j = 0; j < v.size(); ++j) sum += at(i, j) * v[j];
    return sum;
  }

  /// Explained variance and right singular vector of the chosen rows, by power iteration.
  std::pair<double, std::vector<double>> first_direction(const std::vector<index_t>& rows) {
    std::vector<double> v(width());
    for (std::size_t j = 0; j < width(); ++j) v[j] = 1.0 + 0.1 * static_cast<double>(j % 7);
    double value = 0, total = 0;
    for (index_t i : rows) total += std::pow(norms[static_cast<std::size_t>(i)], 2);
    if (total == 0) return {0, std::vector<double>(width(), 0.0)};
    for (int step = 0; step < 5000; ++step) {
      std::vector<double> next(width());
      for (index_t i : rows) {
        const double p = dot(static_cast<std::size_t>(i), v);
        for (std::size_t j = 0; j < width(); ++j) next[j] += p * at(static_cast<std::size_t>(i), j);
      }
      const double length =
          std::sqrt(std::inner_product(next.begin(), next.end(), next.begin(), 0.0));
      double change = 0;
      for (std::size_t j = 0; j < width(); ++j) {
        change = std::max(change, std::abs(v[j] - next[j] / length));
        v[j] = next[j] / length;
      }
      if (change < 1e-13) break;
    }
    for (index_t i : rows) value += std::pow(dot(static_cast<std::size_t>(i), v), 2);
    return {value / total, v};
  }
};

}  // namespace solens::test
