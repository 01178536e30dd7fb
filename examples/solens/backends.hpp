#pragma once

#include <utility>  // std::forward

#include <solens/backend/any_host_backend.hpp>
#include <solens/core/threads.hpp>

#include "options.hpp"

namespace solens::program {

inline int threads_of(const common_options& o) { return o.threads > 0 ? o.threads : usable_cpus(); }

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
  // A backend with memory of its own is one more type, and comes first: `auto` takes it.
  std::forward<F>(f)(cpu_backend(o));
}

}  // namespace solens::program
