#include "support/test.hpp"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include <solens/core/background.hpp>

using namespace solens;

TEST_CASE("tasks are done in order, and waited for") {
  std::vector<int> done;
  background thread;
  thread.wait();  // for nothing
  for (int i = 0; i < 100; ++i) thread.post([&done, i] { done.push_back(i); });
  thread.wait();
  REQUIRE(done.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(done[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("the last tasks need not be waited for") {
  std::atomic<bool> go = false;
  std::atomic<int> done = 0;
  background thread;
  for (int i = 0; i < 3; ++i) thread.post([&] { ++done; });
  thread.post([&] {
    while (!go) std::this_thread::yield();
    ++done;
  });
  thread.wait(5);
  thread.wait(1);
  CHECK(done == 3);
  go = true;
  thread.wait();
  CHECK(done == 4);
}

TEST_CASE("a failure is thrown by whatever comes after it, and nothing more is done") {
  std::atomic<int> done = 0;
  background thread;
  thread.post([&] { ++done; });
  thread.post([] { throw std::runtime_error("lost"); });
  CHECK_THROWS_WITH(thread.wait(), "lost");
  CHECK_THROWS_WITH(thread.wait(1), "lost");
  CHECK_THROWS_WITH(thread.post([&] { ++done; }), "lost");
  CHECK(done == 1);
}

TEST_CASE("what has not begun is dropped when the thread goes") {
  std::atomic<bool> begun = false, go = false;
  std::atomic<int> done = 0;
  {
    background thread;
    thread.post([&] {
      begun = true;
      while (!go) std::this_thread::yield();
      ++done;
    });
    thread.post([&] { ++done; });
    while (!begun) std::this_thread::yield();
    go = true;
  }
  CHECK(done >= 1);
}
