#pragma once

#if defined(SOLENS_HAS_BLAS)
#include <Eigen/src/misc/blas.h>  // sgemm_, ssyrk_, strmm_ and those in double, as Eigen declares them when it uses a BLAS
#endif

// GCC 12 takes the undefined vectors of its own <immintrin.h> for mistakes (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <Eigen/Eigenvalues>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include <type_traits>  // std::is_same_v

#include <solens/backend/cpu_operations.hpp>
#include <solens/backend/screened_search.hpp>

namespace solens {

/// What the CPU backend takes from Eigen: its eigensolver, and its products where the component
/// `eigen` found no BLAS (`SOLENS_HAS_BLAS`).
struct eigen_library {
  template <class T>
  using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;

#if defined(SOLENS_HAS_BLAS)
  static constexpr bool is_blas = true;

  // A BLAS counts by columns, so it is asked for the transpose: c' = b' a'.
  template <class T>
  static void multiply(T alpha, host_view<const T> a, host_view<const T> b, T beta,
                       host_view<T> c) {
    const char of_a = by_rows(a) ? 'N' : 'T', of_b = by_rows(b) ? 'N' : 'T';
    const int m = blas::counted(c.extent(0)), n = blas::counted(c.extent(1));
    const int k = blas::counted(a.extent(1));
    const int lda = blas::leading_dimension(a), ldb = blas::leading_dimension(b);
    const int ldc = blas::leading_dimension(c);
    if constexpr (std::is_same_v<T, float>) {
      sgemm_(&of_b, &of_a, &n, &m, &k, &alpha, b.data(), &ldb, a.data(), &lda, &beta, c.data(),
             &ldc);
    } else {
      dgemm_(&of_b, &of_a, &n, &m, &k, &alpha, b.data(), &ldb, a.data(), &lda, &beta, c.data(),
             &ldc);
    }
  }

  // By columns the lower triangle is the upper one, and a its transpose.
  template <class T>
  static void gram(host_view<const T> a, T beta, host_view<T> c) {
    const char upper = 'U', of_a = by_rows(a) ? 'T' : 'N';
    const int n = blas::counted(c.extent(0)), k = blas::counted(a.extent(1));
    const int lda = blas::leading_dimension(a), ldc = blas::leading_dimension(c);
    const T one = 1;
    if constexpr (std::is_same_v<T, float>) {
      ssyrk_(&upper, &of_a, &n, &k, &one, a.data(), &lda, &beta, c.data(), &ldc);
    } else {
      dsyrk_(&upper, &of_a, &n, &k, &one, a.data(), &lda, &beta, c.data(), &ldc);
    }
  }

  template <class T>
  static void multiply_lower(host_view<const T> l, host_view<T> x) {
    const char left = 'L', triangle = by_rows(l) ? 'U' : 'L', of_l = by_rows(l) ? 'N' : 'T';
    const char no = 'N';
    const int n = blas::counted(x.extent(1)), m = blas::counted(x.extent(0));
    const int ldl = blas::leading_dimension(l), ldx = blas::leading_dimension(x);
    const T one = 1;
    if constexpr (std::is_same_v<T, float>) {
      strmm_(&left, &triangle, &of_l, &no, &n, &m, &one, l.data(), &ldl, x.data(), &ldx);
    } else {
      dtrmm_(&left, &triangle, &of_l, &no, &n, &m, &one, l.data(), &ldl, x.data(), &ldx);
    }
  }
#else
  static constexpr bool is_blas = false;

  template <class T>
  static void multiply(T alpha, host_view<const T> a, host_view<const T> b, T beta,
                       host_view<T> c) {
    auto result = map(c);
    if (beta == T{0}) {
      result.setZero();
    } else if (beta != T{1}) {
      result *= beta;
    }
    const auto add = [&](const auto& x) {
      if (by_rows(b)) {
        result.noalias() += alpha * x * map(b);
      } else {
        result.noalias() += alpha * x * map(b.transposed()).transpose();
      }
    };
    if (by_rows(a)) {
      add(map(a));
    } else {
      add(map(a.transposed()).transpose());
    }
  }

  template <class T>
  static void gram(host_view<const T> a, T beta, host_view<T> c) {
    multiply(T{1}, a, a.transposed(), beta, c);
  }

  template <class T>
  static void multiply_lower(host_view<const T> l, host_view<T> x) {
    host_tensor<T> product(x.extents());
    multiply(T{1}, host_view<const T>(x), l, T{0}, product.view());
    map(x) = map(product.view());
  }

  /// A matrix with contiguous rows.
  template <class T>
  static auto map(const host_view<T>& x) {
    using rows =
        Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using to = std::conditional_t<std::is_const_v<T>, const rows, rows>;
    return Eigen::Map<to, 0, Eigen::OuterStride<>>(x.data(), x.extent(0), x.extent(1),
                                                   Eigen::OuterStride<>(blas::row_distance(x)));
  }
#endif

  /// All eigenpairs of a symmetric matrix, the largest value first.
  template <class T>
  class symmetric_solver {
   public:
    explicit symmetric_solver(index_t n) : n_(n), solver_(n) {}

    /// @param a  [n, n], of which the lower triangle is read
    /// @return false where there is no result
    bool compute(const host_view<const T>& a) {
      using any_stride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
      const Eigen::Map<const matrix<T>, 0, any_stride> mapped(a.data(), n_, n_,
                                                              any_stride(a.stride(1), a.stride(0)));
      const matrix<T> lower = mapped.template triangularView<Eigen::Lower>();
      return lower.allFinite() && solver_.compute(lower).info() == Eigen::Success;
    }
    // Eigen's are ascending.
    T value(index_t i) const { return solver_.eigenvalues()[n_ - 1 - i]; }
    T vector(index_t i, index_t j) const { return solver_.eigenvectors()(j, n_ - 1 - i); }

   private:
    index_t n_;
    Eigen::SelfAdjointEigenSolver<matrix<T>> solver_;
  };

 private:
  template <class T>
  static bool by_rows(const host_view<T>& x) {
    return blas::row_distance(x) > 0;
  }
};

/// The CPU backend for real work: products by a BLAS where the component `eigen` found one, else by
/// Eigen, and Eigen's eigensolver.
template <class T>
class eigen_backend : public cpu_operations<T, eigen_library> {
 public:
  using tensor = host_tensor<T>;
  using index_tensor = host_tensor<index_t>;
  using row_search = screened_search<eigen_backend>;

  /// @param threads  0 for as many as OpenMP gives
  /// @throws argument_error when negative
  explicit eigen_backend(int threads = 0) : cpu_operations<T, eigen_library>(threads) {}

  tensor allocate(const shape& extents) const { return tensor(extents); }
  index_tensor allocate_indices(const shape& extents) const { return index_tensor(extents); }
};

static_assert(tensor_backend<eigen_backend<float>>);
static_assert(tensor_backend<eigen_backend<double>>);

}  // namespace solens
