#pragma once

#include <cublas_v2.h>

#include <cstdint>  // std::uint16_t
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>  // std::move

#include <solens/backend/cuda/context.hpp>
#include <solens/backend/cuda/kernels.hpp>
#include <solens/core/tensor_view.hpp>

namespace solens::cuda {

/// How a matrix lies for a library that takes columns for what lies together: as its transpose,
/// where its rows do, or as it is. `ld`: the distance of the rows, or columns.
struct blas_layout {
  cublasOperation_t operation;
  index_t ld;
};

/// That of the last two axes; none where both have strides that no BLAS knows.
template <class T, class Space>
std::optional<blas_layout> blas_layout_of(const tensor_view<T, Space>& x) {
  const std::size_t r = x.rank() - 2, c = x.rank() - 1;
  const index_t rows = x.extent(r), columns = x.extent(c);
  const auto lies = [](index_t n, index_t stride, index_t most, index_t ld) {
    return (n == 1 || stride == 1) && (most == 1 || ld >= n);
  };
  if (lies(columns, x.stride(c), rows, x.stride(r))) {
    return blas_layout{CUBLAS_OP_N, rows == 1 ? columns : x.stride(r)};
  }
  if (lies(rows, x.stride(r), columns, x.stride(c))) {
    return blas_layout{CUBLAS_OP_T, columns == 1 ? rows : x.stride(c)};
  }
  return std::nullopt;
}

/// Products by cuBLAS of matrices on the last two of four axes, of any strides and of any extents
/// but 0.
template <class T, class Space>
class products {
 public:
  using view = tensor_view<T, Space>;
  using const_view = tensor_view<const T, Space>;

  explicit products(std::shared_ptr<context> of,
                    product_precision precision = product_precision::full)
      : context_(std::move(of)), precision_(precision) {}

  /// c = alpha a b + beta c.
  void multiply(T alpha, const const_view& a, const const_view& b, T beta, const view& c) const {
    if constexpr (single) {
      if (precision_ == product_precision::bf16 || precision_ == product_precision::f16) {
        return multiply_as_they_lie(alpha, narrowed(a).view(), narrowed(b).view(), beta, c);
      }
    }
    if (!blas_layout_of(a)) {
      const scratch<T> whole(context_, a.extents());
      whole.copy_from(a);
      multiply(alpha, whole.view(), b, beta, c);
    } else if (!blas_layout_of(b)) {
      const scratch<T> whole(context_, b.extents());
      whole.copy_from(b);
      multiply(alpha, a, whole.view(), beta, c);
    } else {
      multiply_as_they_lie(alpha, a, b, beta, c);
    }
  }

 private:
  static constexpr bool single = std::is_same_v<T, float>;

  /// A contiguous copy.
  template <class U>
  class scratch {
   public:
    scratch(const std::shared_ptr<context>& of, const shape& extents)
        : context_(*of), memory_(of, extents.size()), extents_(extents) {}
    tensor_view<U, Space> view() const { return {memory_.get(), extents_}; }
    void copy_from(const const_view& x) const {
      cuda::copy(context_.stream(), {extents_, {x.strides(), view().strides()}}, x.data(),
                 memory_.get());
    }
    void copy_to(const products::view& x) const {
      cuda::copy(context_.stream(), {extents_, {view().strides(), x.strides()}},
                 static_cast<const T*>(memory_.get()), x.data());
    }

   private:
    const context& context_;
    device_array<U> memory_;
    shape extents_;
  };

  scratch<std::uint16_t> narrowed(const const_view& x) const {
    scratch<std::uint16_t> result(context_, x.extents());
    narrow(context_->stream(), {x.extents(), {x.strides(), result.view().strides()}}, precision_,
           x.data(), result.view().data());
    return result;
  }

  template <class U>
  void multiply_as_they_lie(T alpha, const tensor_view<U, Space>& a, const tensor_view<U, Space>& b,
                            T beta, const view& c) const {
    const auto to = blas_layout_of(c);
    if (!to) {
      const scratch<T> whole(context_, c.extents());
      if (beta != T{0}) whole.copy_from(c);
      multiply_batches(alpha, a, b, beta, whole.view());
      whole.copy_to(c);
    } else if (to->operation == CUBLAS_OP_T) {
      multiply_batches(alpha, b.transposed(), a.transposed(), beta, c.transposed());
    } else {
      multiply_batches(alpha, a, b, beta, c);
    }
  }

  /// The two leading axes as one where they nest; else a call for each of the shorter one.
  template <class U>
  void multiply_batches(T alpha, const tensor_view<U, Space>& a, const tensor_view<U, Space>& b,
                        T beta, const view& c) const {
    const index_t outer = c.extent(0), inner = c.extent(1);
    const auto nests = [&](const auto& x) { return x.stride(0) == x.stride(1) * inner; };
    if (outer == 1) {
      call(alpha, a[0], b[0], beta, c[0]);
    } else if (inner == 1) {
      call(alpha, a.select(1, 0), b.select(1, 0), beta, c.select(1, 0));
    } else if (nests(a) && nests(b) && nests(c)) {
      const auto joined = [&](const auto& x) {
        return std::remove_cvref_t<decltype(x)>(x.data(), {outer * inner, x.extent(2), x.extent(3)},
                                                {x.stride(1), x.stride(2), x.stride(3)});
      };
      call(alpha, joined(a), joined(b), beta, joined(c));
    } else {
      const std::size_t axis = outer <= inner ? 0 : 1;
      for (index_t i = 0; i < c.extent(axis); ++i) {
        call(alpha, a.select(axis, i), b.select(axis, i), beta, c.select(axis, i));
      }
    }
  }

  /// One batch. What is row by row for us is its transpose for cuBLAS, and c^T = b^T a^T.
  template <class U>
  void call(T alpha, const tensor_view<U, Space>& a, const tensor_view<U, Space>& b, T beta,
            const view& c) const {
    constexpr cudaDataType of_c_type = single ? CUDA_R_32F : CUDA_R_64F;
    const cudaDataType type = std::is_same_v<std::remove_const_t<U>, T> ? of_c_type
                              : precision_ == product_precision::bf16   ? CUDA_R_16BF
                                                                        : CUDA_R_16F;
    const cublasComputeType_t compute = !single ? CUBLAS_COMPUTE_64F
                                        : precision_ == product_precision::tf32
                                            ? CUBLAS_COMPUTE_32F_FAST_TF32
                                            : CUBLAS_COMPUTE_32F;
    const blas_layout of_a = *blas_layout_of(a), of_b = *blas_layout_of(b),
                      of_c = *blas_layout_of(c);
    check(cublasGemmStridedBatchedEx_64(context_->blas(), of_b.operation, of_a.operation,
                                        c.extent(2), c.extent(1), a.extent(2), &alpha, b.data(),
                                        type, of_b.ld, b.stride(0), a.data(), type, of_a.ld,
                                        a.stride(0), &beta, c.data(), of_c_type, of_c.ld,
                                        c.stride(0), c.extent(0), compute, CUBLAS_GEMM_DEFAULT),
          "multiply");
  }

  std::shared_ptr<context> context_;
  product_precision precision_;
};

}  // namespace solens::cuda
