#pragma once

// What solens uses of cuSOLVER, by the reference backend.

#include <cublas_v2.h>

#include <solens/backend/reference.hpp>

enum cusolverStatus_t { CUSOLVER_STATUS_SUCCESS = 0, CUSOLVER_STATUS_INVALID_VALUE = 3 };
enum cusolverEigMode_t { CUSOLVER_EIG_MODE_NOVECTOR = 0, CUSOLVER_EIG_MODE_VECTOR = 1 };

struct cusolverDnContext {
  cudaStream_t stream = nullptr;
};
using cusolverDnHandle_t = cusolverDnContext*;
struct syevjInfo {};
using syevjInfo_t = syevjInfo*;

inline cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t* handle) {
  *handle = new cusolverDnContext;
  return CUSOLVER_STATUS_SUCCESS;
}
inline cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t handle) {
  delete handle;
  return CUSOLVER_STATUS_SUCCESS;
}
inline cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUSOLVER_STATUS_SUCCESS;
}
inline cusolverStatus_t cusolverDnCreateSyevjInfo(syevjInfo_t* info) {
  *info = new syevjInfo;
  return CUSOLVER_STATUS_SUCCESS;
}
inline cusolverStatus_t cusolverDnDestroySyevjInfo(syevjInfo_t info) {
  delete info;
  return CUSOLVER_STATUS_SUCCESS;
}
inline cusolverStatus_t cusolverDnXsyevjSetMaxSweeps(syevjInfo_t, int) {
  return CUSOLVER_STATUS_SUCCESS;
}

namespace solens::emulation {

/// Eigenvalues in ascending order, and eigenvectors as columns in place of the matrix, of which the
/// lower triangle is read: column by column, this is our upper one.
template <class T>
cusolverStatus_t eigen(cusolverDnHandle_t handle, cusolverEigMode_t mode, cublasFillMode_t part,
                       int n, T* a, int ld, T* values, int work, int* info, int batch) {
  if (mode != CUSOLVER_EIG_MODE_VECTOR || part != CUBLAS_FILL_MODE_LOWER || n < 1 || ld != n ||
      work != n) {
    return CUSOLVER_STATUS_INVALID_VALUE;
  }
  handle->stream->add([=] {
    for (int g = 0; g < batch; ++g) {
      const host_view<T> matrix(a + g * n * n, {1, n, n});
      host_tensor<T> found({1, n}), vectors({1, n, n});
      reference_backend<T>().symmetric_eigen(host_view<const T>(matrix).transposed(), found.view(),
                                             vectors.view());
      for (index_t i = 0; i < n; ++i) {
        values[g * n + i] = found(0, n - 1 - i);
        for (index_t j = 0; j < n; ++j) matrix(0, i, j) = vectors(0, n - 1 - i, j);
      }
      info[g] = 0;
    }
  });
  return CUSOLVER_STATUS_SUCCESS;
}

}  // namespace solens::emulation

#define SOLENS_EMULATED_EIGEN(letter, T)                                                       \
  inline cusolverStatus_t cusolverDn##letter##syevd_bufferSize(                                \
      cusolverDnHandle_t, cusolverEigMode_t, cublasFillMode_t, int n, const T*, int, const T*, \
      int* size) {                                                                             \
    *size = n;                                                                                 \
    return CUSOLVER_STATUS_SUCCESS;                                                            \
  }                                                                                            \
  inline cusolverStatus_t cusolverDn##letter##syevd(                                           \
      cusolverDnHandle_t handle, cusolverEigMode_t mode, cublasFillMode_t part, int n, T* a,   \
      int ld, T* values, T*, int size, int* info) {                                            \
    return solens::emulation::eigen(handle, mode, part, n, a, ld, values, size, info, 1);      \
  }                                                                                            \
  inline cusolverStatus_t cusolverDn##letter##syevjBatched_bufferSize(                         \
      cusolverDnHandle_t, cusolverEigMode_t, cublasFillMode_t, int n, const T*, int, const T*, \
      int* size, syevjInfo_t, int) {                                                           \
    *size = n;                                                                                 \
    return CUSOLVER_STATUS_SUCCESS;                                                            \
  }                                                                                            \
  inline cusolverStatus_t cusolverDn##letter##syevjBatched(                                    \
      cusolverDnHandle_t handle, cusolverEigMode_t mode, cublasFillMode_t part, int n, T* a,   \
      int ld, T* values, T*, int size, int* info, syevjInfo_t, int batch) {                    \
    return solens::emulation::eigen(handle, mode, part, n, a, ld, values, size, info, batch);  \
  }

SOLENS_EMULATED_EIGEN(S, float)
SOLENS_EMULATED_EIGEN(D, double)

#undef SOLENS_EMULATED_EIGEN
