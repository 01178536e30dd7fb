#pragma once

#include <utility>  // std::forward

#include <solens/backend/eigen.hpp>
#include <solens/backend/reference.hpp>
#include <solens/core/threads.hpp>

#include "options.hpp"

namespace solens::program {

inline int threads_of(const common_options& o) { return o.threads > 0 ? o.threads : usable_cpus(); }

/// Calls `f` with the backend that `--backend` names: where a word becomes a type.
///
/// @throws not_supported for one that this build does not have
template <class F>
void with_backend(const common_options& o, F&& f) {
  const std::string& name = o.backend;
  if (name == "auto" || name == "eigen")
    return std::forward<F>(f)(eigen_backend<float>(threads_of(o)));
  if (name == "reference") return std::forward<F>(f)(reference_backend<float>());
  throw not_supported("choose backend", "one that this build has: eigen, reference", name,
                      "--backend");
}

}  // namespace solens::program
