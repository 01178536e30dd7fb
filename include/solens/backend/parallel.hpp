#pragma once

#include <algorithm>  // std::min, std::max
#include <exception>  // std::exception_ptr

#if defined(_OPENMP)
#include <omp.h>
#endif

#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>

/// `SOLENS_SIMD(reduction(+ : sum))` before a loop: its iterations are independent but for the
/// reductions named, so that it may be vectorised although its pointers might alias.
#if defined(_OPENMP)
#define SOLENS_PRAGMA(text) _Pragma(#text)
#define SOLENS_SIMD(clause) SOLENS_PRAGMA(omp simd clause)
#else
#define SOLENS_SIMD(clause)
#endif

namespace solens {

/// How many threads an operation of a CPU backend uses, and how its work is shared among them.
///
/// Without OpenMP, and inside somebody else's parallel region, everything runs on the caller's
/// thread.
class thread_team {
 public:
  /// @param threads  0 for as many as OpenMP gives when an operation is called
  /// @throws argument_error when negative
  explicit thread_team(int threads = 0) : threads_(threads) {
    if (threads < 0) {
      throw argument_error("thread_team", "a number of threads, or 0 for all",
                           std::to_string(threads));
    }
  }

  int size() const {
#if defined(_OPENMP)
    if (omp_in_parallel()) return 1;
    return threads_ > 0 ? threads_ : omp_get_max_threads();
#else
    return 1;
#endif
  }

  /// Calls f(begin, end) for consecutive parts of [0, n), one a thread, in parallel.
  ///
  /// The parts depend on n and the number of threads alone, so that operations which follow each
  /// other on the same rows find them in the cache of the same core. What f throws is rethrown.
  /// @param grain  no part is smaller: below that, another thread costs more than it brings
  template <class F>
  void split(index_t n, [[maybe_unused]] index_t grain, F&& f) const {
    if (n <= 0) return;
#if defined(_OPENMP)
    const index_t most = std::max(index_t{1}, n / std::max(index_t{1}, grain));
    const int parts = static_cast<int>(std::min(index_t{size()}, most));
    if (parts > 1) {
      std::exception_ptr failure;
#pragma omp parallel num_threads(parts)
      {
        const index_t count = omp_get_num_threads(), i = omp_get_thread_num();
        try {
          f(n * i / count, n * (i + 1) / count);
        } catch (...) {
#pragma omp critical(solens_thread_team)
          failure = std::current_exception();
        }
      }
      if (failure) std::rethrow_exception(failure);
      return;
    }
#endif
    const alone scope(*this);
    f(index_t{0}, n);
  }

 private:
  /// Keeps a library that would start threads of its own from doing so, where the team is of one.
  class alone {
   public:
#if defined(_OPENMP)
    explicit alone(const thread_team& team) : before_(omp_get_max_threads()) {
      if (team.threads_ == 1) omp_set_num_threads(1);  // a setting of the calling thread only
    }
    ~alone() { omp_set_num_threads(before_); }
    alone(const alone&) = delete;
    alone& operator=(const alone&) = delete;

   private:
    int before_;
#else
    explicit alone(const thread_team&) {}
#endif
  };

  [[maybe_unused]] int threads_;  // without OpenMP a team is of one
};

}  // namespace solens
