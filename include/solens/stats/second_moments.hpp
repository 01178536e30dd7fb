#pragma once

#include <algorithm>  // std::copy, std::min
#include <concepts>   // std::floating_point
#include <cstddef>    // std::size_t
#include <istream>
#include <ostream>
#include <span>
#include <vector>

#include <solens/core/error.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/core/tensor_view.hpp>
#include <solens/stats/state_file.hpp>

namespace solens::stats {

/// Means and covariances of vectors, for many groups of them at once.
///
/// Kept in double as the mean and the scatter, sum (x - mean)(x - mean)^T, which are moved on item
/// by item (Welford): batches of any size give the same bits, and a large mean costs no digits. NaN
/// and infinity spoil their own group, from then on. Source: Chan, Golub, LeVeque, "Updating
/// formulae and a pairwise algorithm for computing sample variances", 1979.
template <std::floating_point T>
class second_moments {
 public:
  using batch = host_view<const T>;

  /// @param n_groups  statistics that are kept apart
  /// @param width     of one vector
  /// @throws shape_error for negative numbers
  second_moments(index_t n_groups, index_t width)
      : mean_({n_groups, width}, 0.0), scatter_({n_groups, width, width}, 0.0) {}

  second_moments(const second_moments& other)
      : mean_(other.mean_.clone()), scatter_(other.scatter_.clone()), count_(other.count_) {}
  second_moments(second_moments&&) = default;
  second_moments& operator=(const second_moments& other) { return *this = second_moments(other); }
  second_moments& operator=(second_moments&&) = default;
  ~second_moments() = default;

  /// @param items  [n_items, n_groups, width]
  /// @throws shape_error when the items have other extents
  /// @note costs n_items * n_groups * width^2 flops
  void add(const batch& items) {
    if (items.rank() != 3 || items.extent(1) != n_groups() || items.extent(2) != width()) {
      throw shape_error("second_moments::add", "items of " + to_string(mean_.extents()),
                        to_string(items.extents()));
    }
    constexpr index_t chunk = 64;  // deviations that stay in the cache
    const index_t n_items = items.extent(0);
    for (index_t begin = 0; begin < n_items; begin += chunk) {
      const index_t end = std::min(n_items, begin + chunk);
      for (index_t g = 0; g < n_groups(); ++g) add_group(items.slice(0, begin, end), g);
      count_ += end - begin;
    }
  }

  /// @throws shape_error when the other one is of other extents
  void merge(const second_moments& other) {
    if (other.mean_.extents() != mean_.extents()) {
      throw shape_error("second_moments::merge", to_string(mean_.extents()),
                        to_string(other.mean_.extents()));
    }
    if (other.count_ == 0) return;
    if (count_ == 0) {
      *this = other;
      return;
    }
    const double n = static_cast<double>(count_), m = static_cast<double>(other.count_);
    std::vector<double> difference(static_cast<std::size_t>(width()));
    for (index_t g = 0; g < n_groups(); ++g) {
      double* mean = mean_row(g);
      const double* others = other.mean_.data() + g * width();
      for (index_t i = 0; i < width(); ++i) {
        difference[static_cast<std::size_t>(i)] = others[i] - mean[i];
        mean[i] += (others[i] - mean[i]) * (m / (n + m));
      }
      for (index_t i = 0; i < width(); ++i) {
        add_outer_row(g, i, n * m / (n + m), difference.data());
        double* row = scatter_row(g, i);
        const double* others_row = other.scatter_.data() + (g * width() + i) * width();
        for (index_t j = i; j < width(); ++j) row[j] += others_row[j];
      }
    }
    count_ += other.count_;
  }

  index_t count() const { return count_; }
  index_t n_groups() const { return mean_.extents()[0]; }
  index_t width() const { return mean_.extents()[1]; }

  /// The means, [n_groups, width].
  /// @throws argument_error when there are no items
  host_tensor<double> mean() const {
    check_items("second_moments::mean");
    return mean_.clone();
  }

  /// (1 / n) sum (x - mean)(x - mean)^T, [n_groups, width, width].
  /// @throws argument_error when there are no items
  host_tensor<double> covariance() const {
    check_items("second_moments::covariance");
    return whole(false);
  }

  /// (1 / n) sum x x^T, [n_groups, width, width].
  /// @throws argument_error when there are no items
  host_tensor<double> second_moment() const {
    check_items("second_moments::second_moment");
    return whole(true);
  }

  void save(std::ostream& out) const {
    state_writer state(out, state_kind::second_moments);
    state.value(count_);
    state.extents(mean_.extents());
    state.values(std::span<const double>(mean_.begin(), mean_.end()));
    state.values(std::span<const double>(scatter_.begin(), scatter_.end()));
    state.finish();
  }

  static second_moments load(std::istream& in) {
    state_reader state(in, state_kind::second_moments);
    const index_t count = state.size();
    const shape extents = state.extents();
    if (extents.rank() != 2) state.fail("groups and a width");
    const auto means = state.template values<double>(extents.size());
    const auto scatters =
        state.template values<double>(state.product({extents[0], extents[1], extents[1]}));
    state.finish();
    second_moments result(extents[0], extents[1]);
    std::copy(means.begin(), means.end(), result.mean_.begin());
    std::copy(scatters.begin(), scatters.end(), result.scatter_.begin());
    result.count_ = count;
    return result;
  }

 private:
  double* mean_row(index_t g) { return mean_.data() + g * width(); }
  double* scatter_row(index_t g, index_t i) {
    return scatter_.data() + (g * width() + i) * width();
  }

  /// Row i of the upper triangle of scatter += weight x x^T.
  void add_outer_row(index_t g, index_t i, double weight, const double* x) {
    double* row = scatter_row(g, i);
    const double factor = weight * x[i];
    for (index_t j = i; j < width(); ++j) row[j] += factor * x[j];
  }

  /// First all deviations from the moving mean, then one row of the scatter after the other: the
  /// same sums in the same order as item by item, with the row in the cache.
  void add_group(const batch& items, index_t g) {
    const index_t n_items = items.extent(0);
    std::vector<double> deviations(static_cast<std::size_t>(n_items * width()));
    double* mean = mean_row(g);
    for (index_t k = 0; k < n_items; ++k) {
      double* deviation = deviations.data() + k * width();
      const double n = static_cast<double>(count_ + k + 1);
      for (index_t i = 0; i < width(); ++i) {
        deviation[i] = static_cast<double>(items(k, g, i)) - mean[i];
        mean[i] += deviation[i] / n;
      }
    }
    for (index_t i = 0; i < width(); ++i) {
      for (index_t k = 0; k < n_items; ++k) {
        const double n = static_cast<double>(count_ + k);
        add_outer_row(g, i, n / (n + 1), deviations.data() + k * width());
      }
    }
  }

  /// Both triangles of scatter / n, about the mean or about zero.
  host_tensor<double> whole(bool about_zero) const {
    host_tensor<double> result(scatter_.extents());
    const double n = static_cast<double>(count_);
    for (index_t g = 0; g < n_groups(); ++g) {
      for (index_t i = 0; i < width(); ++i) {
        for (index_t j = i; j < width(); ++j) {
          const double product = about_zero ? mean_(g, i) * mean_(g, j) : 0;
          result(g, i, j) = result(g, j, i) = scatter_(g, i, j) / n + product;
        }
      }
    }
    return result;
  }

  void check_items(const char* operation) const {
    if (count_ == 0) throw argument_error(operation, "an item or more", "none");
  }

  host_tensor<double> mean_;     // [n_groups, width]
  host_tensor<double> scatter_;  // [n_groups, width, width], the upper triangles
  index_t count_ = 0;
};

}  // namespace solens::stats
