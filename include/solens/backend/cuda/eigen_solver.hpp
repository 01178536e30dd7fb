#pragma once

#include <cublas_v2.h>
#include <cusolverDn.h>

#include <memory>
#include <type_traits>
#include <utility>  // std::move

#include <solens/backend/cuda/context.hpp>
#include <solens/backend/cuda/kernels.hpp>

namespace solens::cuda {

/// The eigenproblems of a batch of symmetric matrices: the first pairs of all at once by Lanczos'
/// method; more pairs by cuSOLVER, those of many small matrices at once by Jacobi's rotations, of
/// others one after the other by divide and conquer.
template <class T>
class eigen_solver {
 public:
  eigen_solver(std::shared_ptr<context> of, index_t batch, index_t n)
      : context_(std::move(of)),
        batch_(batch),
        n_(n),
        whole_(context_, batch * n * n),
        failed_(context_, batch) {}

  /// The q leading pairs of each: values [batch, q], vectors [batch, q, n].
  void compute(matrices<const T> a, index_t q, matrices<T> values, matrices<T> vectors) {
    const cudaStream_t stream = context_->stream();
    symmetric(stream, batch_, n_, a, whole_.get(), failed_.get());
    if (q == 1) {
      const device_array<T> basis(context_, batch_ * (n_ + 1) * n_);
      const device_array<double> work(context_, batch_ * 4 * n_);
      lanczos(stream, batch_, n_, static_cast<const T*>(whole_.get()),
              static_cast<const int*>(failed_.get()), basis.get(), work.get(), values, vectors);
      return;
    }
    all_values_ = device_array<T>(context_, batch_ * n_);
    if (batch_ > 1 && n_ <= most_rotated) {
      rotate();
    } else {
      for (index_t g = 0; g < batch_; ++g) divide_and_conquer(g);
    }
    leading_pairs(stream, batch_, n_, q, static_cast<const T*>(all_values_.get()),
                  static_cast<const T*>(whole_.get()), static_cast<const int*>(failed_.get()),
                  values, vectors);
  }

 private:
  static constexpr index_t most_rotated = 128;  ///< beyond it rotations take longer
  static constexpr bool single = std::is_same_v<T, float>;
  static constexpr cusolverEigMode_t with_vectors = CUSOLVER_EIG_MODE_VECTOR;
  static constexpr cublasFillMode_t lower = CUBLAS_FILL_MODE_LOWER;

  struct destroy {
    void operator()(syevjInfo_t p) const { cusolverDnDestroySyevjInfo(p); }
  };

  /// Batches of as many as an `int` counts elements of.
  void rotate() {
    syevjInfo_t made = nullptr;
    check(cusolverDnCreateSyevjInfo(&made), "symmetric_eigen");
    const std::unique_ptr<std::remove_pointer_t<syevjInfo_t>, destroy> parameters(made);
    // They converge quadratically, in about ten sweeps; what the last rounding leaves is no
    // failure.
    check(cusolverDnXsyevjSetMaxSweeps(made, 20), "symmetric_eigen");
    const cusolverDnHandle_t solver = context_->solver();
    constexpr auto size_of = [] {
      if constexpr (single) {
        return cusolverDnSsyevjBatched_bufferSize;
      } else {
        return cusolverDnDsyevjBatched_bufferSize;
      }
    }();
    constexpr auto run = [] {
      if constexpr (single) {
        return cusolverDnSsyevjBatched;
      } else {
        return cusolverDnDsyevjBatched;
      }
    }();
    const device_array<int> info(context_, batch_);
    const int n = static_cast<int>(n_), batch = static_cast<int>(batch_);
    int size = 0;
    check(size_of(solver, with_vectors, lower, n, whole_.get(), n, all_values_.get(), &size, made,
                  batch),
          "symmetric_eigen");
    const device_array<T> work(context_, size);
    check(run(solver, with_vectors, lower, n, whole_.get(), n, all_values_.get(), work.get(), size,
              info.get(), made, batch),
          "symmetric_eigen");
  }

  void divide_and_conquer(index_t g) {
    const cusolverDnHandle_t solver = context_->solver();
    constexpr auto size_of = [] {
      if constexpr (single) {
        return cusolverDnSsyevd_bufferSize;
      } else {
        return cusolverDnDsyevd_bufferSize;
      }
    }();
    constexpr auto run = [] {
      if constexpr (single) {
        return cusolverDnSsyevd;
      } else {
        return cusolverDnDsyevd;
      }
    }();
    const int n = static_cast<int>(n_);
    T* vectors = whole_.get() + g * n_ * n_;
    T* values = all_values_.get() + g * n_;
    int size = 0;
    check(size_of(solver, with_vectors, lower, n, vectors, n, values, &size), "symmetric_eigen");
    const device_array<T> work(context_, size);
    const device_array<int> info(context_, 1);
    check(run(solver, with_vectors, lower, n, vectors, n, values, work.get(), size, info.get()),
          "symmetric_eigen");
  }

  std::shared_ptr<context> context_;
  index_t batch_, n_;
  device_array<T> whole_;  ///< [batch, n, n]: the matrices, and then their eigenvectors
  device_array<T> all_values_;
  device_array<int> failed_;
};

}  // namespace solens::cuda
