#pragma once

#include <concepts>

#include <solens/core/host_tensor.hpp>
#include <solens/core/tensor_view.hpp>

namespace solens {

/// The nonlinearity of an MLP.
enum class activation {
  gelu,        ///< x Phi(x), with the error function
  quick_gelu,  ///< x sigmoid(1.702 x), as OpenAI's models were trained
  gelu_tanh,   ///< the tanh approximation of gelu
};

/// Optional operations, which a backend *declares* in `static constexpr fused_op fused`.
/// What is declared must compile; what is not declared runs as its plain parts (ops.hpp).
enum class fused_op : unsigned {
  none = 0,
  bias_activation = 1,  ///< add_bias, then activate, in one pass
  bias_layer_norm = 2,  ///< add_bias in place, then layer_norm of the sum, in one pass
  attention = 4,        ///< softmax(scale q k^T) v without the scores in memory
  half_products = 8,    ///< gram and multiply_lower in half the work of a product
  row_search = 16,      ///< the row with the largest product without all products in memory
};

constexpr fused_op operator|(fused_op a, fused_op b) {
  return static_cast<fused_op>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr bool contains(fused_op set, fused_op op) {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(op)) != 0;
}

// One concept an operation, so that an error names the one that is missing.
// `B` is a backend; `view` and `const_view` are its tensor views.
namespace backend_requires {

template <class B>
concept types =
    std::copyable<B> &&
    requires {
      typename B::scalar;
      typename B::space;
      typename B::tensor;
      typename B::index_tensor;
      { B::fused } -> std::convertible_to<fused_op>;
    } && std::floating_point<typename B::scalar> && std::movable<typename B::tensor> &&
    std::default_initializable<typename B::tensor> && std::movable<typename B::index_tensor>;

template <class B>
using view = tensor_view<typename B::scalar, typename B::space>;
template <class B>
using const_view = tensor_view<const typename B::scalar, typename B::space>;
template <class B>
using index_view = tensor_view<index_t, typename B::space>;
template <class B>
using const_index_view = tensor_view<const index_t, typename B::space>;
template <class B>
using host_in = host_view<const typename B::scalar>;
template <class B>
using host_out = host_view<typename B::scalar>;

template <class B>
concept owning_tensors = requires(typename B::tensor t, const typename B::tensor ct,
                                  typename B::index_tensor i, const typename B::index_tensor ci) {
  { t.view() } -> std::same_as<view<B>>;
  { ct.view() } -> std::same_as<const_view<B>>;
  { i.view() } -> std::same_as<index_view<B>>;
  { ci.view() } -> std::same_as<const_index_view<B>>;
};

template <class B>
concept allocate = requires(const B& be, const shape& extents) {
  { be.allocate(extents) } -> std::same_as<typename B::tensor>;
  { be.allocate_indices(extents) } -> std::same_as<typename B::index_tensor>;
};

template <class B>
concept upload = requires(const B& be, host_in<B> from, view<B> to,
                          host_view<const index_t> indices, index_view<B> to_indices) {
  be.upload(from, to);
  be.upload(indices, to_indices);
};

template <class B>
concept download = requires(const B& be, const_view<B> from, host_out<B> to,
                            const_index_view<B> indices, host_view<index_t> to_indices) {
  be.download(from, to);
  be.download(indices, to_indices);
};

template <class B>
concept copy = requires(const B& be, const_view<B> from, view<B> to) { be.copy(from, to); };

template <class B>
concept fill = requires(const B& be, typename B::scalar value, view<B> to) { be.fill(value, to); };

template <class B>
concept gemm = requires(const B& be, typename B::scalar s, const_view<B> a, view<B> c) {
  be.gemm(s, a, a, s, c);
};

template <class B>
concept batched_gemm = requires(const B& be, typename B::scalar s, const_view<B> a, view<B> c) {
  be.batched_gemm(s, a, a, s, c);
};

template <class B>
concept softmax = requires(const B& be, typename B::scalar s, const_view<B> x, view<B> y) {
  be.softmax(s, x, y);
};

template <class B>
concept layer_norm = requires(const B& be, const_view<B> x, typename B::scalar eps, view<B> y) {
  be.layer_norm(x, x, x, eps, y, y, y);
};

template <class B>
concept activate =
    requires(const B& be, activation kind, const_view<B> x, view<B> y) { be.activate(kind, x, y); };

template <class B>
concept add_bias = requires(const B& be, const_view<B> bias, view<B> x) { be.add_bias(bias, x); };

template <class B>
concept axpby = requires(const B& be, typename B::scalar s, const_view<B> x, view<B> y) {
  be.axpby(s, x, s, y);
};

template <class B>
concept multiply = requires(const B& be, const_view<B> x, view<B> y) { be.multiply(x, x, y); };

template <class B>
concept divide = requires(const B& be, const_view<B> x, view<B> y) { be.divide(x, x, y); };

template <class B>
concept row_norms =
    requires(const B& be, const_view<B> x, view<B> norms) { be.row_norms(x, norms); };

template <class B>
concept top_k = requires(const B& be, const_view<B> x, view<B> values, index_view<B> indices) {
  be.top_k(x, values, indices);
};

template <class B>
concept argmax_abs = requires(const B& be, const_view<B> x, view<B> values, index_view<B> indices) {
  be.argmax_abs(x, values, indices);
};

template <class B>
concept gather = requires(const B& be, const_view<B> table, const_index_view<B> rows, view<B> out) {
  be.gather(table, rows, out);
};

template <class B>
concept cholesky_solve =
    requires(const B& be, const_view<B> a, view<B> b) { be.cholesky_solve(a, b); };

template <class B>
concept cholesky = requires(const B& be, const_view<B> a, view<B> l) { be.cholesky(a, l); };

template <class B>
concept symmetric_eigen = requires(const B& be, const_view<B> a, view<B> values, view<B> vectors) {
  be.symmetric_eigen(a, values, vectors);
};

template <class B>
concept synchronize = requires(const B& be) { be.synchronize(); };

}  // namespace backend_requires

/// What carries the lens: a cheap-to-copy value with the operations below, for one scalar type.
///
/// It is passed first to every algorithm and may hold state (threads, a stream, handles).
/// Operations are eager and write to the destination they are given; they never allocate it.
/// All operations are const, take views of any strides, check extents (backend/checks.hpp) and
/// throw `shape_error`. An output is the same view as an input only where said, and overlaps none
/// otherwise; only inputs may have stride 0. NaN and infinities follow from the formula unless said
/// otherwise. docs/backends.md shows how to write one; testing/backend_conformance.hpp checks it.
///
/// - `allocate(shape)`, `allocate_indices(shape)`: a contiguous, row-major, uninitialised tensor.
/// - `upload(host, to)`, `download(from, host)`, of scalars and of indices: complete when they
///   return.
/// - `copy(from, to)`, `fill(value, to)`.
/// - `gemm(alpha, a, b, beta, c)`: c [m, n] = alpha a [m, k] b [k, n] + beta c. c is not read when
///   beta is 0. Whether a and b are read when alpha is 0 is open.
/// - `batched_gemm(alpha, a, b, beta, c)`: the same for each position of one or two leading axes.
/// - `softmax(scale, x, y)`: over the last axis of scale x; y may be x. A row that holds NaN or
///   +infinity (after scaling), or -infinity alone, becomes NaN.
/// - `layer_norm(x, weight, bias, eps, y, mean, scale)`: over the last axis,
///   y = (x - mean) / scale * weight + bias with scale = sqrt(var + eps); y may be x. mean and
///   scale have the leading extents; either may be an empty view.
/// - `activate(kind, x, y)`: y may be x. What -infinity becomes is open (0 or NaN).
/// - `add_bias(bias, x)`: x[..., i] += bias[i].
/// - `axpby(alpha, x, beta, y)`: y = alpha x + beta y; y is not read when beta is 0.
/// - `multiply(x, y, out)`, `divide(x, y, out)`: elementwise; out may be x or y.
/// - `row_norms(x, norms)`: the Euclidean norm over the last axis.
/// - `top_k(x, values, indices)`: the k largest of each row, largest first, k the outputs'
///   last extent; ties to the lower index; NaN counts as lowest.
/// - `argmax_abs(x, values, indices)`: position and signed value of the largest magnitude of each
///   row, ties to the lower index; NaN counts as lowest.
/// - `gather(table, rows, out)`: out[..., :] = table[rows[...], :]; throws `shape_error` for a row
///   out of range.
/// - `cholesky_solve(a, b)`: b [batch, n, r] := a^-1 b for symmetric positive definite
///   a [batch, n, n]; that b is NaN where its a is not positive definite. Of a symmetric matrix
///   this and the next two operations read the lower triangle.
/// - `cholesky(a, l)`: the lower triangular l with l l^T = a for symmetric positive semidefinite
///   a [batch, n, n], 0 above the diagonal. A pivot that is 0 to rounding (n eps of the largest
///   diagonal element) becomes 0, and its column with it; a negative one becomes NaN.
/// - `symmetric_eigen(a, values, vectors)`: the q largest eigenvalues of each a [batch, n, n],
///   descending, values [batch, q], with unit vectors as rows, vectors [batch, q, n], each of
///   either sign. NaN where a is not finite.
/// - `synchronize()`: returns when everything asked for is done.
template <class B>
concept tensor_backend =
    backend_requires::types<B> && backend_requires::owning_tensors<B> &&
    backend_requires::allocate<B> && backend_requires::upload<B> && backend_requires::download<B> &&
    backend_requires::copy<B> && backend_requires::fill<B> && backend_requires::gemm<B> &&
    backend_requires::batched_gemm<B> && backend_requires::softmax<B> &&
    backend_requires::layer_norm<B> && backend_requires::activate<B> &&
    backend_requires::add_bias<B> && backend_requires::axpby<B> && backend_requires::multiply<B> &&
    backend_requires::divide<B> && backend_requires::row_norms<B> && backend_requires::top_k<B> &&
    backend_requires::argmax_abs<B> && backend_requires::gather<B> &&
    backend_requires::cholesky_solve<B> && backend_requires::cholesky<B> &&
    backend_requires::symmetric_eigen<B> && backend_requires::synchronize<B>;

/// The views of a backend, as algorithms spell them.
template <class B>
using view_of = backend_requires::view<B>;
template <class B>
using const_view_of = backend_requires::const_view<B>;
template <class B>
using index_view_of = backend_requires::index_view<B>;
template <class B>
using const_index_view_of = backend_requires::const_index_view<B>;

}  // namespace solens
