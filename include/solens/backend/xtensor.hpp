#pragma once

#include <solens/backend/xtensor_view.hpp>

#include <xtensor-blas/xblas.hpp>
#include <xtensor-blas/xlapack.hpp>

#include <algorithm>  // std::fill
#include <array>
#include <cmath>    // std::isfinite
#include <cstddef>  // std::size_t, std::ptrdiff_t
#include <limits>

#include <solens/backend/cpu_operations.hpp>
#include <solens/backend/screened_search.hpp>

namespace solens {

/// What the xtensor backend takes from xtensor-blas: BLAS and LAPACK.
struct xtensor_library {
  static constexpr bool is_blas = true;

  template <class T>
  static void multiply(T alpha, host_view<const T> a, host_view<const T> b, T beta,
                       host_view<T> c) {
    using namespace blas;
    cxxblas::gemm(cxxblas::RowMajor, how(a), how(b), counted(c.extent(0)), counted(c.extent(1)),
                  counted(a.extent(1)), alpha, a.data(), leading_dimension(a), b.data(),
                  leading_dimension(b), beta, c.data(), leading_dimension(c));
  }

  template <class T>
  static void gram(host_view<const T> a, T beta, host_view<T> c) {
    using namespace blas;
    cxxblas::syrk(cxxblas::RowMajor, cxxblas::Lower, how(a), counted(c.extent(0)),
                  counted(a.extent(1)), T{1}, a.data(), leading_dimension(a), beta, c.data(),
                  leading_dimension(c));
  }

  template <class T>
  static void multiply_lower(host_view<const T> l, host_view<T> x) {
    using namespace blas;
    // Read by columns, the lower triangle is the transpose of an upper one.
    const auto triangle = how(l) == cxxblas::NoTrans ? cxxblas::Lower : cxxblas::Upper;
    cxxblas::trmm(cxxblas::RowMajor, cxxblas::Right, triangle, how(l), cxxblas::NonUnit,
                  counted(x.extent(0)), counted(x.extent(1)), T{1}, l.data(), leading_dimension(l),
                  x.data(), leading_dimension(x));
  }

  /// All eigenpairs of a symmetric matrix by LAPACK's syevd, the largest value first.
  template <class T>
  class symmetric_solver {
   public:
    explicit symmetric_solver(index_t n) : n_(static_cast<std::size_t>(n)) {}

    /// @param a  [n, n], of which the lower triangle is read
    /// @return false where there is no result
    bool compute(const host_view<const T>& a) {
      for (index_t i = 0; i < a.extent(0); ++i) {
        for (index_t j = 0; j <= i; ++j) {
          if (!std::isfinite(a(i, j))) return false;
          vectors_(i, j) = a(i, j);
        }
      }
      return xt::lapack::syevd(vectors_, 'V', 'L', values_) == 0;
    }
    // LAPACK's are ascending, a column each.
    T value(index_t i) const { return values_(place(i)); }
    T vector(index_t i, index_t j) const { return vectors_(j, place(i)); }

   private:
    std::size_t place(index_t i) const { return n_ - 1 - static_cast<std::size_t>(i); }

    std::size_t n_;
    xt::xtensor<T, 2, xt::layout_type::column_major> vectors_ =
        xt::xtensor<T, 2, xt::layout_type::column_major>::from_shape({n_, n_});
    xt::xtensor<T, 1> values_ = xt::xtensor<T, 1>::from_shape({n_});
  };

 private:
  template <class T>
  static cxxblas::Transpose how(const host_view<T>& x) {
    return blas::row_distance(x) > 0 ? cxxblas::NoTrans : cxxblas::Trans;
  }
};

/// The backend on xtensor: tensors are `xt::xarray`s, elementwise operations xtensor expressions,
/// products and solvers those of xtensor-blas.
///
/// What sums or compares along rows is shared with the Eigen backend, for xtensor's reductions are
/// not vectorised: a sum of 1,024 floats takes ten times as long. The caller's own containers go in
/// by `from_xt`, and views come out by `to_xt`, without a copy (xtensor_view.hpp).
template <class T>
class xtensor_backend : public cpu_operations<T, xtensor_library> {
  using shared = cpu_operations<T, xtensor_library>;

 public:
  using typename shared::const_view, typename shared::view;
  using tensor = xt_tensor<T>;
  using index_tensor = xt_tensor<index_t>;
  using row_search = screened_search<xtensor_backend>;

  /// @param threads  0 for as many as OpenMP gives
  /// @throws argument_error when negative
  explicit xtensor_backend(int threads = 0) : shared(threads) {}

  tensor allocate(const shape& extents) const { return tensor(extents); }
  index_tensor allocate_indices(const shape& extents) const { return index_tensor(extents); }

  void copy(const_view from, view to) const {
    checks::same("copy", from.extents(), to.extents(), "to");
    each([](auto y, auto x) { xt::noalias(y) = x; }, to, from);
  }

  void fill(T value, view to) const {
    each([value](auto y) { std::fill(y.begin(), y.end(), value); }, to);
  }

  void axpby(T alpha, const_view x, T beta, view y) const {
    checks::same("axpby", x.extents(), y.extents(), "y");
    if (beta == T{0}) {
      each([alpha](auto to, auto a) { xt::noalias(to) = alpha * a; }, y, x);
    } else {
      each([alpha, beta](auto to, auto a) { xt::noalias(to) = alpha * a + beta * to; }, y, x);
    }
  }

  void multiply(const_view x, const_view y, view out) const {
    checks::same("multiply", x.extents(), y.extents(), "y");
    checks::same("multiply", x.extents(), out.extents(), "out");
    each([](auto to, auto a, auto b) { xt::noalias(to) = a * b; }, out, x, y);
  }

  void divide(const_view x, const_view y, view out) const {
    checks::same("divide", x.extents(), y.extents(), "y");
    checks::same("divide", x.extents(), out.extents(), "out");
    each([](auto to, auto a, auto b) { xt::noalias(to) = a / b; }, out, x, y);
  }

  void add_bias(const_view bias, view x) const {
    checks::last_axis("add_bias", bias, x);
    for (std::size_t axis = x.rank() - 1; axis-- > 0;) bias = bias.repeated(x.extent(axis));
    each([](auto row, auto b) { xt::noalias(row) += b; }, x, bias);
  }

  /// By LAPACK's potrf and potrs.
  void cholesky_solve(const_view a, view b) const {
    checks::cholesky_solve(a, b);
    if (b.empty()) return;
    using matrix = xt::xtensor<T, 2, xt::layout_type::column_major>;
    this->team().split(a.extent(0), 1, [&](index_t from, index_t to) {
      for (index_t g = from; g < to; ++g) {
        matrix l = to_xt(a[g]), x = to_xt(b[g]);
        const int n = blas::counted(a.extent(1)), columns = blas::counted(b.extent(2));
        if (cxxlapack::potrf('L', n, l.data(), n) == 0) {
          cxxlapack::potrs('L', n, columns, l.data(), n, x.data(), n);
        } else {
          x.fill(std::numeric_limits<T>::quiet_NaN());
        }
        to_xt(b[g]) = x;
      }
    });
  }

 private:
  /// Calls f with xtensor adaptors of one axis that together cover tensors of the same extents.
  template <class F, class... View>
  void each(const F& f, const View&... of) const {
    this->each_run(
        [&f](auto... run) {
          const bool contiguous = ((run.stride == 1) && ...);
          if (contiguous) {
            f(flat(run)...);
          } else {
            f(strided(run)...);
          }
        },
        of...);
  }

  template <class U>
  static auto flat(const row_span<U>& x) {
    const std::array extents{static_cast<std::size_t>(x.size)};
    return xt::adapt<xt::layout_type::row_major>(+x.data, extents[0], xt::no_ownership(), extents);
  }

  template <class U>
  static auto strided(const row_span<U>& x) {
    const std::array extents{static_cast<std::size_t>(x.size)};
    const std::array strides{static_cast<std::ptrdiff_t>(x.stride)};
    return xt::adapt(+x.data, extents[0], xt::no_ownership(), extents, strides);
  }
};

static_assert(tensor_backend<xtensor_backend<float>>);
static_assert(tensor_backend<xtensor_backend<double>>);

}  // namespace solens
