#include "support/test.hpp"

#include <solens/stats/accumulator.hpp>
#include <solens/stats/mean.hpp>
#include <solens/stats/quantile.hpp>
#include <solens/stats/second_moments.hpp>
#include <solens/stats/top_k.hpp>

#include "stats/accumulators.hpp"

namespace stats = solens::stats;
using solens::host_tensor;
using solens::host_view;
using solens::index_t;

namespace {

/// Offers what the concept asks for and nothing else. Its state is a text of its items, in brackets
/// for every merge: it shows the order of everything.
class archetype {
 public:
  struct batch {
    index_t first, last;
    index_t extent(std::size_t) const { return last - first; }
    batch slice(std::size_t, index_t begin, index_t end) const {
      return {first + begin, first + end};
    }
  };

  void add(const batch& items) {
    for (index_t i = items.first; i < items.last; ++i) history_ += std::to_string(i) + " ";
    count_ += items.last - items.first;
  }
  void merge(const archetype& other) {
    if (other.count_ > 0) history_ += "(" + other.history_ + ")";
    count_ += other.count_;
  }
  index_t count() const { return count_; }
  void save(std::ostream& out) const { out << count_ << ' ' << history_ << '\n'; }
  static archetype load(std::istream& in) {
    archetype result;
    in >> result.count_;
    in.get();
    std::getline(in, result.history_);
    return result;
  }
  const std::string& history() const { return history_; }

 private:
  std::string history_;
  index_t count_ = 0;
};

static_assert(stats::accumulator<archetype>);
static_assert(stats::accumulator<stats::mean<float>> && stats::accumulator<stats::mean<double>>);
static_assert(stats::accumulator<stats::second_moments<float>>);
static_assert(stats::accumulator<stats::second_moments<double>>);
static_assert(stats::accumulator<stats::top_k<float>> && stats::accumulator<stats::top_k<double>>);
static_assert(stats::accumulator<stats::quantiles<float>>);
static_assert(stats::accumulator<stats::quantiles<double>>);
static_assert(!stats::accumulator<int>);

template <class A>
stats::sharded<A> added(const A& empty, const host_tensor<float>& items,
                        std::initializer_list<index_t> cuts) {
  stats::sharded<A> result(empty, 8);
  index_t begin = 0;
  for (index_t end : cuts) {
    result.add(items.view().slice(0, begin, end));
    begin = end;
  }
  result.add(items.view().slice(0, begin, items.extent(0)));
  return result;
}

}  // namespace

TEST_CASE("shards are filled in order and merged in order") {
  stats::sharded<archetype> sharded({}, 3);
  for (auto [first, last] : {std::pair<index_t, index_t>{0, 2}, {2, 2}, {2, 7}, {7, 8}}) {
    sharded.add({first, last});
  }
  CHECK(sharded.count() == 8);
  CHECK(sharded.result().history() == "(0 1 2 )(3 4 5 )(6 7 )");
  CHECK(sharded.result().history() == sharded.result().history());

  stats::sharded<archetype> appended({}, 3);
  for (index_t begin : {0, 3, 6}) {
    archetype shard;
    shard.add({begin, std::min<index_t>(begin + 3, 8)});
    appended.append(shard);
  }
  CHECK(appended.count() == 8);
}

TEST_CASE("shards that do not fit are refused") {
  archetype shard;
  shard.add({0, 4});
  CHECK_THROWS_AS(stats::sharded<archetype>(shard, 3), solens::argument_error);
  CHECK_THROWS_AS(stats::sharded<archetype>({}, 0), solens::argument_error);
  stats::sharded<archetype> sharded({}, 3);
  CHECK_THROWS_AS(sharded.append(shard), solens::argument_error);
  sharded.add({0, 1});
  CHECK_THROWS_AS(sharded.append({}), solens::argument_error);
}

TEMPLATE_TEST_CASE("batches and threads leave the bits of a sharded sum alone", "",
                   stats::mean<float>, stats::second_moments<float>) {
  const auto items = solens::test::random_tensor<float>({37, 2, 5}, 1);
  const auto empty = [] {
    if constexpr (std::same_as<TestType, stats::mean<float>>) {
      return TestType({2, 5});
    } else {
      return TestType(2, 5);
    }
  }();
  const std::string whole = solens::test::state_of(added(empty, items, {}).result());
  CHECK(solens::test::state_of(added(empty, items, {1, 2, 3, 30}).result()) == whole);
  CHECK(solens::test::state_of(added(empty, items, {8, 16}).result()) == whole);
  stats::sharded<TestType> appended(empty, 8);
  for (index_t begin = 0; begin < 37; begin += 8) {
    TestType shard = empty;
    shard.add(items.view().slice(0, begin, std::min<index_t>(begin + 8, 37)));
    appended.append(shard);
  }
  CHECK(solens::test::state_of(appended.result()) == whole);
}

TEST_CASE("a sharded sum goes on from its state") {
  const auto items = solens::test::random_tensor<float>({37, 3}, 2);
  const stats::mean<float> empty({3});
  auto first = added(empty, items, {});
  std::ostringstream out;
  first.save(out);
  std::istringstream in(out.str());
  auto second = stats::sharded<stats::mean<float>>::load(in);
  CHECK(second.count() == 37);
  first.add(items);
  second.add(items);
  CHECK(solens::test::state_of(first.result()) == solens::test::state_of(second.result()));
  for (std::size_t i = 0; i < out.str().size(); ++i) {
    std::string damaged = out.str();
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    std::istringstream broken(damaged);
    CHECK_THROWS_AS(stats::sharded<stats::mean<float>>::load(broken), solens::format_error);
  }
}

TEST_CASE("a state of another kind is refused") {
  const std::string bytes = solens::test::state_of(stats::mean<float>({3}));
  CHECK_THROWS_AS(solens::test::from_state<stats::quantiles<float>>(bytes), solens::format_error);
}
