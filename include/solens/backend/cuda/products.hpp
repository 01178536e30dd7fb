#pragma once

#include <cublas_v2.h>

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>  // std::swap

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

  explicit products(std::shared_ptr<context> of) : context_(std::move(of)) {}

  /// c = alpha a b + beta c.
  void multiply(T alpha, const const_view& a, const const_view& b, T beta, const view& c) const {
    const auto to = blas_layout_of(c);
    if (!to) {
      const scratch whole(context_, c.extents());
      if (beta != T{0}) whole.copy_from(c);
      multiply(alpha, a, b, beta, whole.view());
      whole.copy_to(c);
    } else if (to->operation == CUBLAS_OP_T) {
      multiply(alpha, b.transposed(), a.transposed(), beta, c.transposed());
    } else if (!blas_layout_of(a)) {
      const scratch whole(context_, a.extents());
      whole.copy_from(a);
      multiply(alpha, whole.view(), b, beta, c);
    } else if (!blas_layout_of(b)) {
      const scratch whole(context_, b.extents());
      whole.copy_from(b);
      multiply(alpha, a, whole.view(), beta, c);
    } else {
      multiply_batches(alpha, a, b, beta, c);
    }
  }

 private:
  class scratch {
   public:
    scratch(const std::shared_ptr<context>& of, const shape& extents)
        : context_(*of), memory_(of, extents.size()), extents_(extents) {}
    products::view view() const { return {memory_.get(), extents_}; }
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
    device_array<T> memory_;
    shape extents_;
  };

  /// The two leading axes as one where they nest; else a call for each of the shorter one.
  void multiply_batches(T alpha, const const_view& a, const const_view& b, T beta,
                        const view& c) const {
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
  void call(T alpha, const const_view& a, const const_view& b, T beta, const view& c) const {
    constexpr bool single = std::is_same_v<T, float>;
    constexpr cudaDataType type = single ? CUDA_R_32F : CUDA_R_64F;
    const blas_layout of_a = *blas_layout_of(a), of_b = *blas_layout_of(b),
                      of_c = *blas_layout_of(c);
    check(cublasGemmStridedBatchedEx_64(
              context_->blas(), of_b.operation, of_a.operation, c.extent(2), c.extent(1),
              a.extent(2), &alpha, b.data(), type, of_b.ld, b.stride(0), a.data(), type, of_a.ld,
              a.stride(0), &beta, c.data(), type, of_c.ld, c.stride(0), c.extent(0),
              single ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_64F, CUBLAS_GEMM_DEFAULT),
          "multiply");
  }

  std::shared_ptr<context> context_;
};

}  // namespace solens::cuda
