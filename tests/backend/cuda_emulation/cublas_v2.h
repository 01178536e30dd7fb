#pragma once

// What solens uses of cuBLAS, in plain loops over matrices that lie column by column.

#include <cuda_runtime_api.h>

#include <algorithm>  // std::max
#include <cstdint>    // std::int64_t

#include <solens/core/dtype.hpp>

enum cublasStatus_t { CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_INVALID_VALUE = 7 };
enum cublasOperation_t { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 };
enum cublasFillMode_t { CUBLAS_FILL_MODE_LOWER = 0, CUBLAS_FILL_MODE_UPPER = 1 };
enum cublasComputeType_t {
  CUBLAS_COMPUTE_32F = 68,
  CUBLAS_COMPUTE_64F = 70,
  CUBLAS_COMPUTE_32F_FAST_TF32 = 77
};
enum cublasGemmAlgo_t { CUBLAS_GEMM_DEFAULT = -1 };
enum cudaDataType { CUDA_R_32F = 0, CUDA_R_64F = 1, CUDA_R_16F = 2, CUDA_R_16BF = 14 };

struct cublasContext {
  cudaStream_t stream = nullptr;
};
using cublasHandle_t = cublasContext*;

inline const char* cublasGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "success" : "an invalid value";
}
inline cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}

namespace solens::emulation {

/// Matrices [rows, columns] of a batch, or their transposes.
template <class T>
struct operand {
  T* data;
  cublasOperation_t operation;
  std::int64_t ld, stride;

  T& operator()(std::int64_t batch, std::int64_t row, std::int64_t column) const {
    if (operation == CUBLAS_OP_T) std::swap(row, column);
    return data[batch * stride + column * ld + row];
  }
  bool valid(std::int64_t rows, std::int64_t columns) const {
    return data != nullptr &&
           ld >= std::max<std::int64_t>(1, operation == CUBLAS_OP_N ? rows : columns);
  }
};

template <class In, class T>
cublasStatus_t multiply(cudaStream_t stream, std::int64_t m, std::int64_t n, std::int64_t k,
                        T alpha, operand<const In> a, operand<const In> b, T beta, operand<T> c,
                        std::int64_t batch) {
  if (!a.valid(m, k) || !b.valid(k, n) || !c.valid(m, n)) return CUBLAS_STATUS_INVALID_VALUE;
  stream->add([=] {
    for (std::int64_t g = 0; g < batch; ++g) {
      for (std::int64_t j = 0; j < n; ++j) {
        for (std::int64_t i = 0; i < m; ++i) {
          T sum = 0;
          for (std::int64_t l = 0; l < k; ++l)
            sum += static_cast<T>(a(g, i, l)) * static_cast<T>(b(g, l, j));
          c(g, i, j) = alpha * sum + (beta == 0 ? T{0} : beta * c(g, i, j));
        }
      }
    }
  });
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace solens::emulation

inline cublasStatus_t cublasGemmStridedBatchedEx_64(
    cublasHandle_t handle, cublasOperation_t of_a, cublasOperation_t of_b, std::int64_t m,
    std::int64_t n, std::int64_t k, const void* alpha, const void* a, cudaDataType type_a,
    std::int64_t lda, long long stride_a, const void* b, cudaDataType type_b, std::int64_t ldb,
    long long stride_b, const void* beta, void* c, cudaDataType type_c, std::int64_t ldc,
    long long stride_c, std::int64_t batch, cublasComputeType_t compute, cublasGemmAlgo_t) {
  const auto run = [&]<class In, class T>(In, T) {
    return solens::emulation::multiply<In, T>(
        handle->stream, m, n, k, *static_cast<const T*>(alpha),
        {static_cast<const In*>(a), of_a, lda, stride_a},
        {static_cast<const In*>(b), of_b, ldb, stride_b}, *static_cast<const T*>(beta),
        {static_cast<T*>(c), CUBLAS_OP_N, ldc, stride_c}, batch);
  };
  if (type_a != type_b) return CUBLAS_STATUS_INVALID_VALUE;
  if (compute == CUBLAS_COMPUTE_64F) {
    const bool doubles = type_a == CUDA_R_64F && type_c == CUDA_R_64F;
    return doubles ? run(double{}, double{}) : CUBLAS_STATUS_INVALID_VALUE;
  }
  if (type_c != CUDA_R_32F) return CUBLAS_STATUS_INVALID_VALUE;
  if (type_a == CUDA_R_32F) return run(float{}, float{});
  if (compute != CUBLAS_COMPUTE_32F) return CUBLAS_STATUS_INVALID_VALUE;
  if (type_a == CUDA_R_16F) return run(solens::f16{}, float{});
  return type_a == CUDA_R_16BF ? run(solens::bf16{}, float{}) : CUBLAS_STATUS_INVALID_VALUE;
}
