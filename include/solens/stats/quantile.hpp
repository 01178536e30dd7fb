#pragma once

#include <algorithm>  // std::all_of, std::clamp, std::max, std::min
#include <cmath>      // std::ceil, std::exp, std::log
#include <concepts>   // std::floating_point
#include <cstddef>    // std::size_t
#include <istream>
#include <limits>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include <solens/core/error.hpp>
#include <solens/core/tensor_view.hpp>
#include <solens/stats/state_file.hpp>

namespace solens::stats {

/// Any quantile of a stream of numbers, to a relative error stated beforehand.
///
/// Counts magnitudes in bins whose bounds grow by a factor of (1 + e) / (1 - e), e the relative
/// error: the middle of a number's bin is within e * |number| of it, whatever the numbers are and
/// in whatever order they come. Counts add exactly, so any split and any order of merges gives the
/// same sketch. Zero, the smallest, the largest and infinite numbers are kept as they are;
/// magnitudes below 2.2e-308 count as zero; NaN is refused. Memory grows with the range of
/// magnitudes: 8 bytes a bin, 1 / (2 e) bins for a factor of 2.72. Source: DDSketch, arXiv
/// 1908.10693.
template <std::floating_point T>
class quantiles {
 public:
  using batch = host_view<const T>;

  /// @throws argument_error for an error outside of [0.001, 0.5]
  explicit quantiles(double relative_error = 0.01)
      : relative_error_(relative_error),
        log_factor_(std::log((1 + relative_error) / (1 - relative_error))) {
    if (!(relative_error >= 0.001 && relative_error <= 0.5)) {
      throw argument_error("quantiles", "a relative error from 0.001 to 0.5",
                           std::to_string(relative_error));
    }
  }

  /// @param numbers  of any extents
  /// @throws argument_error for a NaN; nothing is changed then
  void add(const batch& numbers) {
    if (numbers.empty()) return;
    for_each(numbers, [](double x) {
      if (std::isnan(x)) throw argument_error("quantiles::add", "numbers", "NaN");
    });
    for_each(numbers, [this](double x) { add_one(x); });
  }

  /// @throws argument_error when the other one has another relative error
  void merge(const quantiles& other) {
    if (other.relative_error_ != relative_error_) {
      throw argument_error("quantiles::merge",
                           "a relative error of " + std::to_string(relative_error_),
                           std::to_string(other.relative_error_));
    }
    positive_.merge(other.positive_);
    negative_.merge(other.negative_);
    n_zero_ += other.n_zero_;
    n_infinite_[0] += other.n_infinite_[0];
    n_infinite_[1] += other.n_infinite_[1];
    count_ += other.count_;
    least_ = std::min(least_, other.least_);
    largest_ = std::max(largest_, other.largest_);
  }

  index_t count() const { return count_; }
  double relative_error() const { return relative_error_; }

  /// The number of rank floor(q (count - 1)), counted from 0 in rising order, to within the
  /// relative error of itself (and rounding, a relative 1e-12).
  /// @throws argument_error when there are no numbers, or q is not in [0, 1]
  double value(double q) const {
    if (count_ == 0) throw argument_error("quantiles::value", "a number or more", "none");
    if (!(q >= 0 && q <= 1)) {
      throw argument_error("quantiles::value", "q from 0 to 1", std::to_string(q));
    }
    auto rank = static_cast<index_t>(q * static_cast<double>(count_ - 1));
    if (rank == 0) return least_;
    if (rank >= count_ - 1) return largest_;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if ((rank -= n_infinite_[0]) < 0) return -infinity;
    for (std::size_t i = negative_.counts.size(); i-- > 0;) {
      if ((rank -= negative_.counts[i]) < 0) return bounded(-middle(negative_.bin(i)));
    }
    if ((rank -= n_zero_) < 0) return 0;
    for (std::size_t i = 0; i < positive_.counts.size(); ++i) {
      if ((rank -= positive_.counts[i]) < 0) return bounded(middle(positive_.bin(i)));
    }
    return infinity;
  }

  void save(std::ostream& out) const {
    state_writer state(out, state_kind::quantiles);
    for (double number : {relative_error_, least_, largest_}) state.value(number);
    for (index_t n : {count_, n_zero_, n_infinite_[0], n_infinite_[1]}) state.value(n);
    for (const bins* side : {&negative_, &positive_}) {
      state.value(side->first);
      state.value(static_cast<index_t>(side->counts.size()));
      state.values(std::span<const index_t>(side->counts));
    }
    state.finish();
  }

  static quantiles load(std::istream& in) {
    state_reader state(in, state_kind::quantiles);
    const auto relative_error = state.template value<double>();
    if (!(relative_error >= 0.001 && relative_error <= 0.5)) state.fail("a relative error");
    quantiles result(relative_error);
    result.least_ = state.template value<double>();
    result.largest_ = state.template value<double>();
    result.count_ = state.size();
    result.n_zero_ = state.size();
    for (index_t& n : result.n_infinite_) n = state.size();
    for (bins* side : {&result.negative_, &result.positive_}) {
      side->first = state.template value<index_t>();
      side->counts = state.template values<index_t>(state.size());
    }
    state.finish();
    if (!result.consistent()) state.fail("bins of doubles, and counts that add up");
    return result;
  }

 private:
  /// Counts of neighbouring bins, the first and the last not 0.
  struct bins {
    index_t first = 0;
    std::vector<index_t> counts;

    index_t bin(std::size_t i) const { return first + static_cast<index_t>(i); }

    void add(index_t at, index_t n) {
      if (counts.empty()) first = at;
      if (at < first) {
        counts.insert(counts.begin(), static_cast<std::size_t>(first - at), 0);
        first = at;
      }
      const auto i = static_cast<std::size_t>(at - first);
      if (i >= counts.size()) counts.resize(i + 1);
      counts[i] += n;
    }

    void merge(const bins& other) {
      for (std::size_t i = 0; i < other.counts.size(); ++i) {
        if (other.counts[i] > 0) add(other.bin(i), other.counts[i]);
      }
    }
  };

  /// Whether this could have come from `add`: what a file says is not believed.
  bool consistent() const {
    const index_t most = bin_of(std::numeric_limits<double>::max());
    const index_t fewest = bin_of(std::numeric_limits<double>::min());
    index_t left = count_;
    const auto take = [&](index_t n) {
      const bool fits = n >= 0 && n <= left;
      if (fits) left -= n;
      return fits;
    };
    if (!take(n_zero_) || !take(n_infinite_[0]) || !take(n_infinite_[1])) return false;
    for (const bins* side : {&negative_, &positive_}) {
      const auto n_bins = static_cast<index_t>(side->counts.size());
      if (n_bins == 0) continue;
      if (side->first < fewest || side->first > most || n_bins > most - side->first + 1)
        return false;
      if (side->counts.front() == 0 || side->counts.back() == 0) return false;
      if (!std::all_of(side->counts.begin(), side->counts.end(), take)) return false;
    }
    return left == 0 && (count_ == 0 || least_ <= largest_);
  }

  template <class Use>
  static void for_each(const batch& numbers, Use use) {
    for (index_t r = 0; r < row_count(numbers); ++r) {
      const row_span<const T> row = row_of(numbers, r);
      for (index_t i = 0; i < row.size; ++i) use(static_cast<double>(row[i]));
    }
  }

  /// Bin i holds (f^(i - 1), f^i], f being the factor.
  index_t bin_of(double magnitude) const {
    return static_cast<index_t>(std::ceil(std::log(magnitude) / log_factor_));
  }

  /// What is as far, relatively, from both ends of a bin: 2 f^i / (f + 1).
  double middle(index_t bin) const {
    return std::exp(static_cast<double>(bin) * log_factor_ + std::log1p(-relative_error_));
  }

  double bounded(double x) const { return std::clamp(x, least_, largest_); }

  void add_one(double x) {
    const double magnitude = std::abs(x);
    if (magnitude < std::numeric_limits<double>::min()) {
      x = 0;
      ++n_zero_;
    } else if (std::isinf(x)) {
      ++n_infinite_[x > 0 ? 1 : 0];
    } else {
      (x > 0 ? positive_ : negative_).add(bin_of(magnitude), 1);
    }
    least_ = std::min(least_, x);
    largest_ = std::max(largest_, x);
    ++count_;
  }

  double relative_error_, log_factor_;
  bins positive_, negative_;  // of magnitudes
  index_t n_zero_ = 0;
  index_t n_infinite_[2] = {0, 0};  // below, above
  index_t count_ = 0;
  double least_ = std::numeric_limits<double>::infinity();
  double largest_ = -std::numeric_limits<double>::infinity();
};

}  // namespace solens::stats
