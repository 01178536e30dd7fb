#pragma once

#include <algorithm>  // std::max, std::min
#include <cmath>      // std::sqrt
#include <span>
#include <string>

#include <solens/core/error.hpp>
#include <solens/core/tensor_view.hpp>

namespace solens::stats {

struct interval {
  double low = 0, high = 1;
};

/// The score interval of a proportion: all values that its count would not reject at the level of
/// z, 95 % as it stands. Within [0, 1] whatever the count; all of it where there are no trials.
/// Source: Wilson, Probable inference, the law of succession, and statistical inference, 1927.
inline interval wilson_interval(index_t successes, index_t trials, double z = 1.959963984540054) {
  if (trials <= 0) return {};
  const auto n = static_cast<double>(trials);
  const double p = static_cast<double>(successes) / n, z2 = z * z / n;
  const double middle = p + z2 / 2, half = std::sqrt(z2 * (p * (1 - p) + z2 / 4));
  return {std::max(0.0, (middle - half) / (1 + z2)), std::min(1.0, (middle + half) / (1 + z2))};
}

/// How often the right class has the largest logit, or one of the five largest.
class accuracy {
 public:
  /// @param logits  [n, n_classes]; classes of equal logits rank by their index, NaN ranks lowest
  /// @param labels  n of them, the right classes
  /// @throws argument_error for a label that is no class, shape_error for another number of them
  template <class T>
  void add(host_view<const T> logits, std::span<const index_t> labels) {
    const index_t n = logits.extent(0), n_classes = logits.extent(1);
    if (std::ssize(labels) != n) {
      throw shape_error("accuracy", std::to_string(n) + " labels", std::to_string(labels.size()));
    }
    for (index_t i = 0; i < n; ++i) {
      const index_t label = labels[static_cast<std::size_t>(i)];
      if (label < 0 || label >= n_classes) {
        throw argument_error("accuracy", "a label below " + std::to_string(n_classes),
                             std::to_string(label), "labels");
      }
      const index_t rank = rank_of(label, row_of(logits, i));
      first_ += rank < 1;
      first_five_ += rank < 5;
    }
    n_ += n;
  }

  index_t n() const { return n_; }
  index_t first() const { return first_; }            ///< the right class came first
  index_t first_five() const { return first_five_; }  ///< it was among the first five

 private:
  template <class T>
  static index_t rank_of(index_t label, row_span<const T> logits) {
    const T own = logits[label];
    index_t rank = 0;
    for (index_t c = 0; c < logits.size; ++c) {
      const bool unordered = own != own && (logits[c] == logits[c] || c < label);
      rank += logits[c] > own || (logits[c] == own && c < label) || unordered;
    }
    return rank;
  }

  index_t n_ = 0, first_ = 0, first_five_ = 0;
};

}  // namespace solens::stats
