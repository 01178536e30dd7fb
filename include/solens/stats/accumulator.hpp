#pragma once

#include <algorithm>  // std::min
#include <concepts>   // std::copyable, std::same_as
#include <istream>
#include <ostream>
#include <string>
#include <utility>  // std::move

#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>
#include <solens/stats/state_file.hpp>

namespace solens::stats {

/// A statistic that grows by batches of items and merges with others of its kind.
///
/// A class to copy:
/// ```cpp
/// struct largest {
///   using batch = host_view<const float>;
///   void add(const batch& items);         // nothing is changed when it throws
///   void merge(const largest& other);     // as if other's items had been added after ours
///   index_t count() const;                // items so far
///   void save(std::ostream& out) const;
///   static largest load(std::istream& in);
/// };
/// ```
/// One without items is neutral in a merge. What does not fit together is refused by `merge` with
/// shape_error or argument_error, and a broken file by `load` with format_error.
template <class A>
concept accumulator =
    std::copyable<A> && requires(A a, const A other, const typename A::batch items,
                                 std::ostream& out, std::istream& in) {
      { a.add(items) } -> std::same_as<void>;
      { a.merge(other) } -> std::same_as<void>;
      { other.count() } -> std::same_as<index_t>;
      { other.save(out) } -> std::same_as<void>;
      { A::load(in) } -> std::same_as<A>;
    };

/// Runs an accumulator over fixed-size shards that are merged in their order.
///
/// Sums round differently in another order. Here item i always belongs to shard i / shard_size, a
/// shard takes its items one after the other, and shards are merged from the first to the last; so
/// the result has the same bits whatever the batches were, and whether one thread added everything
/// or many filled a shard each (`append`).
template <accumulator A>
class sharded {
 public:
  /// @param empty  an accumulator without items, of the extents and options wanted
  /// @throws argument_error when it has items or the shard size is not positive
  sharded(A empty, index_t shard_size)
      : empty_(std::move(empty)), done_(empty_), open_(empty_), shard_size_(shard_size) {
    if (empty_.count() != 0 || shard_size <= 0) {
      throw argument_error(
          "sharded", "an empty accumulator and a positive shard size",
          std::to_string(empty_.count()) + " items, shards of " + std::to_string(shard_size));
    }
  }

  /// @param items  [n_items, ...]
  void add(const typename A::batch& items)
    requires requires { items.slice(0, 0, 0); }
  {
    for (index_t begin = 0; begin < items.extent(0);) {
      const index_t end = std::min(items.extent(0), begin + shard_size_ - open_.count());
      open_.add(items.slice(0, begin, end));
      begin = end;
      if (open_.count() == shard_size_) close();
    }
  }

  /// Adds the next shard, filled elsewhere. Only the last one may be smaller than the others.
  /// @throws argument_error in the middle of a shard, or for a shard that is too large
  void append(const A& shard) {
    if (open_.count() != 0 || shard.count() > shard_size_) {
      throw argument_error(
          "sharded::append", "at most " + std::to_string(shard_size_) + " items at a shard's start",
          std::to_string(shard.count()) + " items after " + std::to_string(open_.count()));
    }
    open_.merge(shard);
    if (open_.count() == shard_size_) close();
  }

  index_t count() const { return done_.count() + open_.count(); }

  /// The statistic of all items so far.
  A result() const {
    A all = done_;
    all.merge(open_);
    return all;
  }

  void save(std::ostream& out) const {
    state_writer state(out, state_kind::sharded);
    state.value(shard_size_);
    state.finish();
    for (const A* part : {&empty_, &done_, &open_}) part->save(out);
  }

  static sharded load(std::istream& in) {
    state_reader state(in, state_kind::sharded);
    const auto shard_size = state.template value<index_t>();
    state.finish();
    A empty = A::load(in);
    const A done = A::load(in), open = A::load(in);
    if (shard_size <= 0 || empty.count() != 0) state.fail("an empty start and positive shards");
    sharded result(std::move(empty), shard_size);
    try {
      result.done_.merge(done);
      result.open_.merge(open);
    } catch (const error&) {
      state.fail("parts that fit together");
    }
    if (result.open_.count() >= shard_size || result.done_.count() % shard_size != 0) {
      state.fail("whole shards of " + std::to_string(shard_size));
    }
    return result;
  }

 private:
  void close() {
    done_.merge(open_);
    open_ = empty_;
  }

  A empty_, done_, open_;
  index_t shard_size_;
};

}  // namespace solens::stats
