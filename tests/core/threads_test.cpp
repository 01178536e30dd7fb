#include "support/test.hpp"

#include <sched.h>

#include <solens/core/threads.hpp>

using namespace solens;

TEST_CASE("usable_cpus heeds the affinity mask") {
  cpu_set_t before;
  CPU_ZERO(&before);
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  CHECK(usable_cpus() == CPU_COUNT(&before));

  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  const int narrowed = usable_cpus();
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
  CHECK(narrowed == 1);
}

TEST_CASE("parallel_for covers every position once") {
  const solens::index_t n = GENERATE(0, 1, 7, 1000);
  std::vector<int> seen(static_cast<std::size_t>(n), 0);
  solens::parallel_for(n, 1, [&](solens::index_t begin, solens::index_t end) {
    for (auto i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
  });
  for (int count : seen) CHECK(count == 1);
}

TEST_CASE("parallel_for rethrows") {
  const auto fail = [](solens::index_t, solens::index_t) { throw std::runtime_error("no"); };
  CHECK_THROWS_WITH(solens::parallel_for(100, 1, fail), "no");
}
