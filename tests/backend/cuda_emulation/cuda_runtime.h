#pragma once

// What kernels need, on the CPU: blocks run one after the other, the threads of a block take turns,
// each on a stack of its own, and change at a barrier.

#include <cuda_runtime_api.h>
#include <math.h>    // the C names, with C++'s overloads
#include <setjmp.h>  // _setjmp, _longjmp
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3() = default;
  explicit dim3(unsigned n) : x(n) {}
};
inline dim3 threadIdx(0), blockIdx(0), blockDim, gridDim;

namespace solens::emulation {

/// All threads that it is for come to it before any goes on.
struct barrier {
  unsigned arrived = 0, passed = 0;
};

/// One block of threads.
class block {
 public:
  static constexpr unsigned warp_size = 32;

  block(unsigned n_threads, std::function<void()> body)
      : body_(std::move(body)),
        threads_(n_threads),
        warps_((n_threads + warp_size - 1) / warp_size) {
    running() = this;
    while (n_started_ < n_threads) resume(idle_fiber());
    while (n_done_ < n_threads) {
      const unsigned before = n_changes_;
      for (unsigned t = 0; t < n_threads; ++t) {
        if (!threads_[t].done) resume(*threads_[t].on);
      }
      if (n_changes_ == before) {
        std::fputs(
            "emulation: some threads of a block wait at a barrier that others do not reach\n",
            stderr);
        std::abort();
      }
    }
    running() = nullptr;
    for (auto& f : fibers_) idle().push_back(std::move(f));
  }

  static block*& running() {
    static block* the = nullptr;
    return the;
  }

  void wait_for_block() { wait(whole_, static_cast<unsigned>(threads_.size())); }
  void wait_for_warp() {
    const unsigned first = current_ / warp_size * warp_size;
    wait(warps_[current_ / warp_size].all,
         std::min(warp_size, static_cast<unsigned>(threads_.size()) - first));
  }

  template <class T>
  T shuffle_xor(T value, int mask) {
    static_assert(sizeof(T) <= sizeof(std::uint64_t));
    warp& w = warps_[current_ / warp_size];
    // Two places by turns: the next shuffle must not overwrite what another lane has yet to read.
    auto& lane = w.values[threads_[current_].n_shuffles++ % 2];
    std::memcpy(&lane[current_ % warp_size], &value, sizeof(T));
    wait_for_warp();
    std::memcpy(&value, &lane[(current_ % warp_size) ^ static_cast<unsigned>(mask)], sizeof(T));
    return value;
  }

 private:
#if defined(__SANITIZE_ADDRESS__)
  static constexpr std::size_t stack_bytes = 256 << 10;
#else
  static constexpr std::size_t stack_bytes = 32 << 10;
#endif

  /// Where something was left.
  struct place {
    ucontext_t context{};
    jmp_buf registers{};
    bool left = false;
  };
  struct fiber {
    std::unique_ptr<char[]> stack = std::make_unique<char[]>(stack_bytes);
    place at{};
  };
  struct thread {
    fiber* on = nullptr;
    bool done = false;
    unsigned n_shuffles = 0;
  };
  struct warp {
    barrier all;
    std::uint64_t values[2][warp_size] = {};
  };

  /// Fibers that no thread is on, kept from block to block.
  static std::vector<std::unique_ptr<fiber>>& idle() {
    static std::vector<std::unique_ptr<fiber>> the;
    return the;
  }

  /// A fiber on which threads run, one after the other, until one has to wait. It is then that
  /// one's until it is done, and goes on with others that have not started, of this block or a
  /// later one.
  fiber& idle_fiber() {
    if (idle().empty()) {
      ucontext_t& context = idle().emplace_back(std::make_unique<fiber>())->at.context;
      getcontext(&context);
      context.uc_stack = {};
      context.uc_stack.ss_sp = idle().back()->stack.get();
      context.uc_stack.ss_size = stack_bytes;
      context.uc_link = nullptr;
      makecontext(&context, &block::start, 0);
    }
    fiber& f = *fibers_.emplace_back(std::move(idle().back()));
    idle().pop_back();
    return f;
  }

  static void change(place& from, place& to) {
#if defined(__SANITIZE_ADDRESS__)
    swapcontext(&from.context, &to.context);
#else
    // What swapcontext does, which takes longer: it asks the system for the signal mask.
    if (_setjmp(from.registers) != 0) return;
    from.left = true;
    if (to.left) _longjmp(to.registers, 1);
    setcontext(&to.context);
#endif
  }

  void resume(fiber& f) {
    on_ = &f;
#if defined(__SANITIZE_ADDRESS__)
    void* mine = nullptr;
    __sanitizer_start_switch_fiber(&mine, f.stack.get(), stack_bytes);
#endif
    change(scheduler_, f.at);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(mine, nullptr, nullptr);
#endif
  }

  static void start() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &running()->stack_of_scheduler_,
                                    &running()->bytes_of_scheduler_);
#endif
    fiber* const mine = running()->on_;
    for (;;) {
      block& b = *running();
      while (b.n_started_ < b.threads_.size()) {
        const unsigned t = b.n_started_++;
        b.threads_[t].on = mine;
        b.become(t);
        b.body_();
        b.threads_[t].done = true;
        ++b.n_done_;
        ++b.n_changes_;
      }
      leave(*mine);
    }
  }

  void become(unsigned t) {
    current_ = t;
    threadIdx.x = t;
  }

  /// Back to the scheduler, which may be another block's on return.
  static void leave(fiber& f) {
#if defined(__SANITIZE_ADDRESS__)
    void* mine = nullptr;
    __sanitizer_start_switch_fiber(&mine, running()->stack_of_scheduler_,
                                   running()->bytes_of_scheduler_);
#endif
    change(f.at, running()->scheduler_);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(mine, &running()->stack_of_scheduler_,
                                    &running()->bytes_of_scheduler_);
#endif
  }

  void wait(barrier& b, unsigned n) {
    if (++b.arrived == n) {
      b.arrived = 0;
      ++b.passed;
      ++n_changes_;
      return;
    }
    const unsigned me = current_, before = b.passed;
    while (b.passed == before) leave(*threads_[me].on);
    become(me);
  }

  std::function<void()> body_;
  std::vector<thread> threads_;
  std::vector<warp> warps_;
  barrier whole_;
  place scheduler_;
  const void* stack_of_scheduler_ = nullptr;
  std::size_t bytes_of_scheduler_ = 0;
  std::vector<std::unique_ptr<fiber>> fibers_;
  fiber* on_ = nullptr;
  unsigned current_ = 0, n_started_ = 0, n_done_ = 0, n_changes_ = 0;
};

}  // namespace solens::emulation

inline void __syncthreads() { solens::emulation::block::running()->wait_for_block(); }
inline void __syncwarp() { solens::emulation::block::running()->wait_for_warp(); }
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return solens::emulation::block::running()->shuffle_xor(value, mask);
}

/// Threads change at barriers only.
inline unsigned atomicAdd(unsigned* to, unsigned what) {
  const unsigned before = *to;
  *to += what;
  return before;
}

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
};
template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* how, void (*kernel)(P...), A&&... a) {
  if (how->gridDim.x == 0 || how->blockDim.x == 0 || how->blockDim.x > 1024) {
    return cudaErrorInvalidConfiguration;
  }
  std::tuple<std::decay_t<P>...> arguments(std::forward<A>(a)...);
  how->stream->add([grid = how->gridDim, threads = how->blockDim, kernel, arguments] {
    gridDim = grid;
    blockDim = threads;
    for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) {
      solens::emulation::block(threads.x, [&] { std::apply(kernel, arguments); });
    }
  });
  return cudaSuccess;
}
