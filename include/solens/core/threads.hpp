#pragma once

#include <algorithm>  // std::min
#include <exception>  // std::exception_ptr
#include <thread>     // std::thread
#include <vector>

#include <solens/core/shape.hpp>

#if defined(__linux__)
#include <sched.h>  // sched_getaffinity
#endif

namespace solens {

/// How many CPUs this process may run on: at least 1.
///
/// Fewer than the machine has where an affinity mask (taskset, a container, a batch system) says
/// so, which std::thread::hardware_concurrency need not heed.
inline int usable_cpus() {
#if defined(__linux__)
  // The kernel refuses masks smaller than its own; grow until it fits.
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
    cpu_set_t* mask = CPU_ALLOC(cpus);
    if (mask == nullptr) break;
    const bool known = sched_getaffinity(0, CPU_ALLOC_SIZE(cpus), mask) == 0;
    const int count = known ? CPU_COUNT_S(CPU_ALLOC_SIZE(cpus), mask) : 0;
    CPU_FREE(mask);
    if (count > 0) return count;
  }
#endif
  const unsigned cpus = std::thread::hardware_concurrency();
  return cpus == 0 ? 1 : static_cast<int>(cpus);
}

/// Calls f(begin, end) for parts of [0, n), each on a thread of its own, and waits for all.
///
/// For the small host-side work between operations of a backend, which has threads of its own.
/// @param least  no part is smaller, so that little work stays on the calling thread
/// Rethrows what the first failing part threw.
template <class F>
void parallel_for(index_t n, index_t least, F&& f) {
  const index_t parts = std::min<index_t>(usable_cpus(), n / std::max<index_t>(1, least));
  if (parts <= 1) {
    if (n > 0) f(index_t{0}, n);
    return;
  }
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(parts));
  std::vector<std::thread> threads;
  const auto run = [&](index_t part) {
    try {
      f(n * part / parts, n * (part + 1) / parts);
    } catch (...) {
      failures[static_cast<std::size_t>(part)] = std::current_exception();
    }
  };
  threads.reserve(static_cast<std::size_t>(parts - 1));
  index_t started = 1;
  try {
    for (; started < parts; ++started) threads.emplace_back(run, started);
  } catch (const std::exception&) {
    // the system gives no more threads
  }
  for (; started < parts; ++started) run(started);
  run(0);
  for (auto& thread : threads) thread.join();
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace solens
