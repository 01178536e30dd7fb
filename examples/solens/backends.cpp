// The only file of the program that knows the backends by name.

#include "backends.hpp"

#include <string>

#include <solens/backend/eigen.hpp>
#include <solens/backend/reference.hpp>
#if defined(SOLENS_WITH_XTENSOR)
#include <solens/backend/xtensor.hpp>
#endif

namespace solens::program {

#if defined(SOLENS_WITH_CUDA)
std::optional<cuda_backend<float>> gpu_backend(const common_options& o) {
  if (o.backend != "auto" && o.backend != "cuda") return std::nullopt;
  const std::string why = why_no_gpu();
  if (why.empty()) return cuda_backend<float>({.memory = static_cast<index_t>(o.device_memory)});
  if (o.backend == "auto") return std::nullopt;
  throw not_supported("choose backend", "one that this machine has, as eigen or reference",
                      "cuda without a GPU: " + why, "--backend");
}
#endif

any_host_backend<float> cpu_backend(const common_options& o) {
  using any = any_host_backend<float>;
  const std::string& name = o.backend;
  std::string known = "eigen, reference";
  if (name == "auto" || name == "eigen") return any(eigen_backend<float>(threads_of(o)));
  if (name == "reference") return any(reference_backend<float>());
#if defined(SOLENS_WITH_XTENSOR)
  if (name == "xtensor") return any(xtensor_backend<float>(threads_of(o)));
  known += ", xtensor";
#endif
  throw not_supported("choose backend", "one that this build has: " + known, name, "--backend");
}

}  // namespace solens::program
