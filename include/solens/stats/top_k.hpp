#pragma once

#include <algorithm>  // std::copy_n, std::min, std::push_heap, std::pop_heap, std::sort
#include <cmath>      // std::isnan
#include <concepts>   // std::floating_point
#include <cstddef>    // std::size_t
#include <istream>
#include <limits>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include <solens/core/error.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/core/tensor_view.hpp>
#include <solens/stats/state_file.hpp>

namespace solens::stats {

/// For each of many rows the k items with the largest scores, and something carried along with
/// each.
///
/// Of equal scores the item with the lower index is the larger. Each item has an index of its own,
/// so the result does not depend on the order in which items come, nor on how they were split.
/// Infinite scores are as good as any; NaN is refused.
template <std::floating_point T>
class top_k {
 public:
  struct batch {
    host_view<const T> scores;   ///< [n_items, n_rows]
    index_t first_index = 0;     ///< the items are this one and those that follow
    host_view<const T> payload;  ///< [n_items, n_rows, width], not looked at when the width is 0
  };

  /// @param width  numbers carried along with each item
  /// @throws argument_error when k is not positive, or another number is negative
  top_k(index_t n_rows, index_t k, index_t width = 0) : n_rows_(n_rows), k_(k), width_(width) {
    if (n_rows < 0 || k < 1 || width < 0) {
      throw argument_error("top_k", "rows, width >= 0 and k >= 1",
                           to_string(shape{n_rows, k, width}));
    }
    const auto rows = static_cast<std::size_t>(n_rows);
    sizes_.resize(rows);
    entries_.resize(rows * static_cast<std::size_t>(k));
    payload_.resize(entries_.size() * static_cast<std::size_t>(width));
    least_.resize(rows, -std::numeric_limits<T>::infinity());
  }

  /// @throws shape_error when the extents do not fit; argument_error for a NaN, naming its item and
  ///         row, or a negative index. Nothing is changed then.
  void add(const batch& items) {
    check(items);
    const index_t n_items = items.scores.extent(0);
    for (index_t i = 0; i < n_items; ++i) {
      const row_span<const T> scores = row_of(items.scores, i);
      for (index_t r = 0; r < n_rows_; ++r) {
        // Most items go no further; those that tie with the least are sorted out by `insert`.
        if (scores[r] < least_[static_cast<std::size_t>(r)]) continue;
        T* carried = insert(r, scores[r], items.first_index + i);
        for (index_t w = 0; carried != nullptr && w < width_; ++w) {
          carried[w] = items.payload(i, r, w);
        }
      }
    }
    count_ += n_items;
  }

  /// @throws shape_error when the other one has other rows, k or width
  void merge(const top_k& other) {
    const shape ours{n_rows_, k_, width_}, theirs{other.n_rows_, other.k_, other.width_};
    if (ours != theirs) {
      throw shape_error("top_k::merge", "rows, k, width of " + to_string(ours), to_string(theirs));
    }
    for (index_t r = 0; r < n_rows_; ++r) {
      for (index_t i = 0; i < other.sizes_[static_cast<std::size_t>(r)]; ++i) {
        const entry& e = other.row(r)[i];
        T* carried = insert(r, e.score, e.index);
        if (carried != nullptr) std::copy_n(other.carried_by(r, e.slot), width_, carried);
      }
    }
    count_ += other.count_;
  }

  /// Items seen.
  index_t count() const { return count_; }
  index_t n_rows() const { return n_rows_; }
  index_t k() const { return k_; }

  /// Everything that was kept, largest first. Where there are fewer than k items the score is
  /// -infinity, the index -1 and the payload 0.
  struct ranking {
    host_tensor<T> scores;         ///< [n_rows, k]
    host_tensor<index_t> indices;  ///< [n_rows, k]
    host_tensor<T> payload;        ///< [n_rows, k, width]
  };

  ranking value() const {
    ranking result{host_tensor<T>({n_rows_, k_}, -std::numeric_limits<T>::infinity()),
                   host_tensor<index_t>({n_rows_, k_}, -1),
                   host_tensor<T>({n_rows_, k_, width_}, T{0})};
    std::vector<entry> sorted;
    for (index_t r = 0; r < n_rows_; ++r) {
      sorted.assign(row(r), row(r) + sizes_[static_cast<std::size_t>(r)]);
      std::sort(sorted.begin(), sorted.end(), larger);
      index_t place = r * k_;
      for (const entry& e : sorted) {
        result.scores.data()[place] = e.score;
        result.indices.data()[place] = e.index;
        std::copy_n(carried_by(r, e.slot), width_, result.payload.data() + place * width_);
        ++place;
      }
    }
    return result;
  }

  void save(std::ostream& out) const {
    const ranking kept = value();
    state_writer state(out, state_kind::top_k);
    for (index_t number : {index_t{sizeof(T)}, count_, n_rows_, k_, width_}) state.value(number);
    state.values(std::span<const T>(kept.scores.begin(), kept.scores.end()));
    state.values(std::span<const index_t>(kept.indices.begin(), kept.indices.end()));
    state.values(std::span<const T>(kept.payload.begin(), kept.payload.end()));
    state.finish();
  }

  static top_k load(std::istream& in) {
    state_reader state(in, state_kind::top_k);
    if (state.size() != index_t{sizeof(T)}) state.fail("scores of the same type");
    const index_t count = state.size(), n_rows = state.size(), k = state.size();
    const index_t width = state.size(), n = state.product({n_rows, k});
    const auto scores = state.template values<T>(n);
    const auto indices = state.template values<index_t>(n);
    const auto payload = state.template values<T>(state.product({n, width}));
    state.finish();
    if (k == 0) state.fail("a positive k");
    top_k result(n_rows, k, width);
    for (index_t at = 0; at < n; ++at) {
      const T score = scores[static_cast<std::size_t>(at)];
      const index_t index = indices[static_cast<std::size_t>(at)];
      if (std::isnan(score) || index < -1) state.fail("scores and indices");
      if (index == -1) continue;
      T* carried = result.insert(at / k, score, index);
      std::copy_n(payload.data() + at * width, width, carried);
    }
    for (index_t size : result.sizes_) {
      if (size != std::min(count, k)) state.fail("all that was seen, up to k, in each row");
    }
    result.count_ = count;
    return result;
  }

 private:
  struct entry {
    T score;
    index_t index;
    index_t slot;  // where the payload lies
  };

  static bool larger(const entry& a, const entry& b) {
    return a.score > b.score || (a.score == b.score && a.index < b.index);
  }

  entry* row(index_t r) { return entries_.data() + r * k_; }
  const entry* row(index_t r) const { return entries_.data() + r * k_; }
  T* carried_by(index_t r, index_t slot) { return payload_.data() + (r * k_ + slot) * width_; }
  const T* carried_by(index_t r, index_t slot) const {
    return payload_.data() + (r * k_ + slot) * width_;
  }

  /// Keeps an item when it is large enough: where its payload goes then, else null.
  T* insert(index_t r, T score, index_t index) {
    index_t& size = sizes_[static_cast<std::size_t>(r)];
    entry* entries = row(r);  // a heap, the least one first
    entry added{score, index, size};
    if (size == k_) {
      if (!larger(added, entries[0])) return nullptr;
      std::pop_heap(entries, entries + size, larger);
      added.slot = entries[--size].slot;
    }
    entries[size++] = added;
    std::push_heap(entries, entries + size, larger);
    if (size == k_) least_[static_cast<std::size_t>(r)] = entries[0].score;
    return carried_by(r, added.slot);
  }

  void check(const batch& items) const {
    const auto& scores = items.scores;
    if (scores.rank() != 2 || scores.extent(1) != n_rows_) {
      throw shape_error("top_k::add", "scores [items, " + std::to_string(n_rows_) + "]",
                        to_string(scores.extents()));
    }
    const shape wanted{scores.extent(0), n_rows_, width_};
    if (width_ > 0 && items.payload.extents() != wanted) {
      throw shape_error("top_k::add", "payload " + to_string(wanted),
                        to_string(items.payload.extents()));
    }
    if (items.first_index < 0) {
      throw argument_error("top_k::add", "indices >= 0", std::to_string(items.first_index));
    }
    for (index_t i = 0; i < scores.extent(0); ++i) {
      const row_span<const T> row = row_of(scores, i);
      for (index_t r = 0; r < n_rows_; ++r) {
        if (std::isnan(row[r])) {
          throw argument_error(
              "top_k::add", "scores that are numbers", "NaN",
              "item " + std::to_string(items.first_index + i) + ", row " + std::to_string(r));
        }
      }
    }
  }

  index_t n_rows_, k_, width_;
  index_t count_ = 0;
  std::vector<index_t> sizes_;  // [n_rows]
  std::vector<entry> entries_;  // [n_rows, k]
  std::vector<T> payload_;      // [n_rows, k, width]
  std::vector<T> least_;        // [n_rows]: what a score must reach, -infinity before k items
};

}  // namespace solens::stats
