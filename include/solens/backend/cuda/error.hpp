#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#include <string>
#include <string_view>

#include <solens/core/error.hpp>

namespace solens::cuda {

/// The device's memory, or the part of it that the options allow, is used up.
class out_of_memory : public error {
 public:
  using error::error;
};

/// @throws error where a call of the CUDA runtime failed
inline void check(cudaError_t status, std::string_view operation) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that a later call does not report this one
  throw error(operation, "success", cudaGetErrorString(status), "CUDA");
}

inline void check(cublasStatus_t status, std::string_view operation) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw error(operation, "success", cublasGetStatusString(status), "cuBLAS");
}

inline void check(cusolverStatus_t status, std::string_view operation) {
  if (status == CUSOLVER_STATUS_SUCCESS) return;
  throw error(operation, "success", "status " + std::to_string(static_cast<int>(status)),
              "cuSOLVER");
}

}  // namespace solens::cuda
