#pragma once

#include <algorithm>  // std::copy, std::transform
#include <concepts>   // std::floating_point
#include <istream>
#include <ostream>
#include <span>

#include <solens/core/error.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/core/tensor_view.hpp>
#include <solens/stats/state_file.hpp>

namespace solens::stats {

/// The mean of tensors of one shape, element by element.
///
/// Sums are kept in double and items added one after the other, so that batches of any size give
/// the same bits; a merge adds sums, which rounds. NaN and infinity go on into their element alone,
/// as IEEE arithmetic has it.
template <std::floating_point T>
class mean {
 public:
  using batch = host_view<const T>;

  /// @param extents  of one item
  /// @throws shape_error when there is no axis, or one is negative
  explicit mean(const shape& extents) : sum_(extents, 0.0) {
    if (extents.rank() == 0) throw shape_error("mean", "items with an axis or more", "none");
  }

  mean(const mean& other) : sum_(other.sum_.clone()), count_(other.count_) {}
  mean(mean&&) = default;
  mean& operator=(const mean& other) { return *this = mean(other); }
  mean& operator=(mean&&) = default;
  ~mean() = default;

  /// @param items  [n_items, extents...]
  /// @throws shape_error when the items have other extents
  void add(const batch& items) {
    if (items.rank() != extents().rank() + 1 || items.extents().without(0) != extents()) {
      throw shape_error("mean::add", "items of " + to_string(extents()),
                        to_string(items.extents()));
    }
    const index_t n_items = items.extent(0);
    if (n_items == 0 || sum_.empty()) {
      count_ += n_items;
      return;
    }
    const batch first = items[0];
    const host_view<double> sums = sum_.view();
    for (index_t r = 0; r < row_count(first); ++r) {
      double* sum = row_of(sums, r).data;  // stays in the cache while the items pass
      row_span<const T> row = row_of(first, r);
      for (index_t i = 0; i < n_items; ++i, row.data += items.stride(0)) add_row(row, sum);
    }
    count_ += n_items;
  }

  /// @throws shape_error when the other one is of other extents
  void merge(const mean& other) {
    if (other.extents() != extents()) {
      throw shape_error("mean::merge", to_string(extents()), to_string(other.extents()));
    }
    for (index_t i = 0; i < sum_.size(); ++i) sum_.data()[i] += other.sum_.data()[i];
    count_ += other.count_;
  }

  index_t count() const { return count_; }
  const shape& extents() const { return sum_.extents(); }

  /// The mean, [extents...].
  /// @throws argument_error when there are no items
  host_tensor<double> value() const {
    if (count_ == 0) throw argument_error("mean::value", "an item or more", "none");
    host_tensor<double> result(extents());
    std::transform(sum_.begin(), sum_.end(), result.begin(),
                   [n = static_cast<double>(count_)](double sum) { return sum / n; });
    return result;
  }

  void save(std::ostream& out) const {
    state_writer state(out, state_kind::mean);
    state.value(count_);
    state.extents(extents());
    state.values(std::span<const double>(sum_.begin(), sum_.end()));
    state.finish();
  }

  static mean load(std::istream& in) {
    state_reader state(in, state_kind::mean);
    const index_t count = state.size();
    const shape extents = state.extents();
    const auto sums = state.template values<double>(extents.size());
    state.finish();
    mean result(extents);
    std::copy(sums.begin(), sums.end(), result.sum_.begin());
    result.count_ = count;
    return result;
  }

 private:
  static void add_row(const row_span<const T>& row, double* sum) {
    if (row.stride == 1) {
      for (index_t j = 0; j < row.size; ++j) sum[j] += static_cast<double>(row.data[j]);
    } else {
      for (index_t j = 0; j < row.size; ++j) sum[j] += static_cast<double>(row[j]);
    }
  }

  host_tensor<double> sum_;
  index_t count_ = 0;
};

}  // namespace solens::stats
