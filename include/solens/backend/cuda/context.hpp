#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#include <cstddef>  // std::size_t
#include <memory>
#include <string>
#include <type_traits>

#include <solens/backend/cuda/error.hpp>
#include <solens/backend/cuda/memory.hpp>
#include <solens/core/error.hpp>

namespace solens {

/// Which device a `cuda_backend` works on, and how much of its memory it may hold.
struct cuda_options {
  int device = 0;
  index_t memory = 0;  ///< bytes at most, the libraries' own not counted; 0 for all there is
};

/// Why there is no GPU to work on; empty where there is one.
inline std::string why_no_gpu() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    cudaGetLastError();
    return cudaGetErrorString(status);
  }
  return count > 0 ? "" : "no device";
}

namespace cuda {

/// What the copies of a backend share: a device, a stream for work and one for copies to the
/// device, the libraries' handles, memory. Used by one thread at a time.
class context {
 public:
  /// @throws not_supported where there is no such device
  explicit context(const cuda_options& options)
      : device_(existing(options.device)), memory_(budget_of(options)) {
    stream_ = new_stream();
    copies_ = new_stream();
    cublasHandle_t blas = nullptr;
    check(cublasCreate(&blas), "start cuBLAS");
    blas_.reset(blas);
    check(cublasSetStream(blas, stream_.get()), "start cuBLAS");
  }
  context(const context&) = delete;
  context& operator=(const context&) = delete;
  ~context() { finish(); }

  /// Waits for all work, for those who let go of what it uses.
  void finish() const noexcept { cudaStreamSynchronize(stream_.get()); }

  /// The stream on which everything runs that computes.
  cudaStream_t stream() const {
    check(cudaSetDevice(device_), "choose a device");
    return stream_.get();
  }
  cudaStream_t copies() const { return copies_.get(); }
  memory_pool& memory() { return memory_; }
  cublasHandle_t blas() const {
    check(cudaSetDevice(device_), "choose a device");
    return blas_.get();
  }
  cusolverDnHandle_t solver() {
    if (solver_ == nullptr) {  // it takes its time to start, and few need it
      cusolverDnHandle_t handle = nullptr;
      check(cusolverDnCreate(&handle), "start cuSOLVER");
      solver_.reset(handle);
      check(cusolverDnSetStream(handle, stream_.get()), "start cuSOLVER");
    }
    return solver_.get();
  }

 private:
  template <auto destroy>
  struct by {
    template <class T>
    void operator()(T* handle) const {
      destroy(handle);
    }
  };
  template <class Handle, auto destroy>
  using owned = std::unique_ptr<std::remove_pointer_t<Handle>, by<destroy>>;
  using owned_stream = owned<cudaStream_t, cudaStreamDestroy>;

  static int existing(int device) {
    const std::string why = why_no_gpu();
    if (!why.empty()) throw not_supported("start CUDA", "a GPU", why);
    int count = 0;
    check(cudaGetDeviceCount(&count), "count devices");
    if (device < 0 || device >= count) {
      throw not_supported("start CUDA", "a device below " + std::to_string(count),
                          std::to_string(device), "device");
    }
    check(cudaSetDevice(device), "choose a device");
    return device;
  }

  static std::size_t budget_of(const cuda_options& options) {
    if (options.memory < 0) {
      throw argument_error("start CUDA", "0 bytes of memory or more",
                           std::to_string(options.memory), "memory");
    }
    return static_cast<std::size_t>(options.memory);
  }

  static owned_stream new_stream() {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "make a stream");
    return owned_stream(stream);
  }

  int device_;
  memory_pool memory_;
  owned_stream stream_, copies_;
  owned<cublasHandle_t, cublasDestroy> blas_;
  owned<cusolverDnHandle_t, cusolverDnDestroy> solver_;
};

/// A piece of the device's memory, with the context that it came from.
template <class T>
class device_array {
 public:
  device_array() = default;
  device_array(std::shared_ptr<context> of, index_t size)
      : data_(size == 0
                  ? nullptr
                  : static_cast<T*>(of->memory().take(static_cast<std::size_t>(size) * sizeof(T))),
              give_back{of}) {}

  T* get() const { return data_.get(); }

 private:
  struct give_back {
    std::shared_ptr<context> to;
    void operator()(T* data) const { to->memory().give_back(data); }
  };

  std::unique_ptr<T, give_back> data_;
};

}  // namespace cuda
}  // namespace solens
