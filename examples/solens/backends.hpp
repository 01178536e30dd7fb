#pragma once

#include <optional>
#include <utility>  // std::forward

#include <solens/backend/any_host_backend.hpp>
#if defined(SOLENS_WITH_CUDA)
#include <solens/backend/cuda.hpp>
#endif
#include <solens/core/threads.hpp>

#include "options.hpp"

namespace solens::program {

inline int threads_of(const common_options& o) { return o.threads > 0 ? o.threads : usable_cpus(); }

#if defined(SOLENS_WITH_CUDA)
/// The GPU, where `--backend` is `cuda`, or `auto` and there is one.
///
/// @throws not_supported for `cuda` where there is none
std::optional<cuda_backend<float>> gpu_backend(const common_options& o);
#endif

/// The backend on the CPU that `--backend` names; `auto` is `eigen`.
///
/// @throws not_supported for one that this build does not have
any_host_backend<float> cpu_backend(const common_options& o);

/// Calls `f` with the backend that `--backend` names: where a word becomes a type. Those on the CPU
/// are one type, so that a command is compiled once for all of them.
///
/// @throws not_supported for one that this build does not have
template <class F>
void with_backend(const common_options& o, F&& f) {
#if defined(SOLENS_WITH_CUDA)
  if (const auto be = gpu_backend(o)) return std::forward<F>(f)(*be);
#endif
  std::forward<F>(f)(cpu_backend(o));
}

}  // namespace solens::program
