#pragma once

#include <thread>  // std::thread::hardware_concurrency

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

}  // namespace solens
