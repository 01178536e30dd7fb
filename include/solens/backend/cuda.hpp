#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#include <limits>
#include <memory>
#include <type_traits>
#include <utility>  // std::as_const, std::move

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/backend/cuda/context.hpp>
#include <solens/backend/cuda/eigen_solver.hpp>
#include <solens/backend/cuda/kernels.hpp>
#include <solens/backend/cuda/products.hpp>
#include <solens/backend/cuda/row_search.hpp>
#include <solens/backend/cuda/transfer.hpp>
#include <solens/core/tensor_view.hpp>

namespace solens {

/// Memory of a GPU.
struct cuda_space {};

/// A tensor in a GPU's memory.
template <class T>
class cuda_tensor {
 public:
  cuda_tensor() = default;  ///< empty

  /// @throws shape_error for a negative extent
  /// @throws cuda::out_of_memory
  cuda_tensor(std::shared_ptr<cuda::context> of, const shape& extents)
      : memory_(std::move(of), checked_size(extents)), extents_(extents) {}

  tensor_view<T, cuda_space> view() { return {memory_.get(), extents_}; }
  tensor_view<const T, cuda_space> view() const { return {memory_.get(), extents_}; }

 private:
  static index_t checked_size(const shape& extents) {
    index_t size = extents.rank() == 0 ? 0 : 1;
    for (index_t extent : extents) {
      constexpr index_t most = std::numeric_limits<index_t>::max() / index_t{sizeof(T)};
      if (extent < 0 || (extent > 0 && size > most / extent)) {
        throw shape_error("cuda_tensor", "extents that memory can hold", to_string(extents));
      }
      size *= extent;
    }
    return size;
  }

  cuda::device_array<T> memory_;
  shape extents_;
};

/// The backend for NVIDIA GPUs: kernels of its own where a library's call would cost a pass over
/// memory, cuBLAS for products, cuSOLVER for eigenproblems.
///
/// All work is on one stream, in order, and the host goes on at once. It waits in `download`, in
/// `gather` (which must know whether a row is out of range), in a row search, in `synchronize`, and
/// where memory has to be handed back to the device; `upload` waits only when it is a few slots
/// ahead of the device. Copies share the device; they are for one thread at a time.
/// @note sums are in `T`, in an order that depends only on extents and device
template <class T>
class cuda_backend {
 public:
  using scalar = T;
  using space = cuda_space;
  using tensor = cuda_tensor<T>;
  using index_tensor = cuda_tensor<index_t>;
  using view = tensor_view<T, space>;
  using const_view = tensor_view<const T, space>;
  using index_view = tensor_view<index_t, space>;
  using const_index_view = tensor_view<const index_t, space>;
  using row_search = cuda::row_search<cuda_backend>;
  static constexpr fused_op fused = fused_op::bias_activation | fused_op::bias_layer_norm |
                                    fused_op::attention | fused_op::row_search;

  /// @throws not_supported where there is no such device
  explicit cuda_backend(const cuda_options& options = {})
      : context_(std::make_shared<cuda::context>(options)),
        transfer_(std::make_shared<cuda::transfer>(context_)) {}

  /// The same device, with the products of `gemm` (not those of `batched_gemm`) by tensor cores.
  ///
  /// The relative error of a product of two numbers, which their sum in float32 keeps: 2^-9 for
  /// `tf32`, 2^-10 for `f16`, 2^-7 for `bf16`.
  /// @throws not_supported in double, for other than `full`
  cuda_backend with(cuda::product_precision precision) const {
    if (precision != cuda::product_precision::full && !std::is_same_v<T, float>) {
      throw not_supported("with", "float32 for products of less precision", "float64");
    }
    cuda_backend result = *this;
    result.precision_ = precision;
    return result;
  }

  tensor allocate(const shape& extents) const { return tensor(context_, extents); }
  index_tensor allocate_indices(const shape& extents) const {
    return index_tensor(context_, extents);
  }

  void upload(host_view<const T> from, view to) const { send(from, to); }
  void upload(host_view<const index_t> from, index_view to) const { send(from, to); }
  void download(const_view from, host_view<T> to) const { fetch(from, to); }
  void download(const_index_view from, host_view<index_t> to) const { fetch(from, to); }

  void copy(const_view from, view to) const {
    checks::same("copy", from.extents(), to.extents(), "to");
    if (!to.empty()) cuda::copy(stream(), walk_of(from, to), from.data(), to.data());
  }

  void fill(T value, view to) const {
    if (!to.empty()) cuda::fill(stream(), walk_of(to), value, to.data());
  }

  void gemm(T alpha, const_view a, const_view b, T beta, view c) const {
    checks::product("gemm", a, b, c, 2, 2);
    multiply(alpha, a.repeated(1).repeated(1), b.repeated(1).repeated(1), beta,
             c.repeated(1).repeated(1), precision_);
  }

  void batched_gemm(T alpha, const_view a, const_view b, T beta, view c) const {
    checks::product("batched_gemm", a, b, c, 3, 4);
    if (c.rank() == 3) return multiply(alpha, a.repeated(1), b.repeated(1), beta, c.repeated(1));
    multiply(alpha, a, b, beta, c);
  }

  void softmax(T scale, const_view x, view y) const {
    checks::at_least_one_axis("softmax", x, "x");
    checks::same("softmax", x.extents(), y.extents(), "y");
    if (x.empty()) return;
    cuda::softmax(stream(), rows_of(x, x, y), width(x), scale, line_of(x), line_of(y));
  }

  void layer_norm(const_view x, const_view weight, const_view bias, T eps, view y, view mean,
                  view scale) const {
    checks::layer_norm(x, weight, bias, y, mean, scale);
    // Without a bias to add, the kernel does not write to x.
    normalize({}, view(const_cast<T*>(x.data()), x.extents(), x.strides()), weight, bias, eps, y,
              mean, scale);
  }

  /// x += bias, then y = layer_norm(x).
  void bias_layer_norm(const_view bias, view x, const_view weight, const_view norm_bias, T eps,
                       view y, view mean, view scale) const {
    checks::last_axis("bias_layer_norm", bias, x);
    checks::layer_norm(const_view(x), weight, norm_bias, y, mean, scale);
    normalize(bias, x, weight, norm_bias, eps, y, mean, scale);
  }

  /// Within 4 eps max(1, |x|) of the exact value.
  void activate(activation kind, const_view x, view y) const {
    checks::same("activate", x.extents(), y.extents(), "y");
    if (!y.empty()) cuda::activate(stream(), walk_of(x, y), kind, x.data(), y.data());
  }

  void add_bias(const_view bias, view x) const {
    checks::last_axis("add_bias", bias, x);
    if (x.empty()) return;
    cuda::add_bias(stream(), walk_of(over_rows(bias, x), x), bias.data(), x.data());
  }

  /// x = kind(x + bias).
  void bias_activation(activation kind, const_view bias, view x) const {
    checks::last_axis("bias_activation", bias, x);
    if (x.empty()) return;
    cuda::bias_activation(stream(), walk_of(over_rows(bias, x), x), kind, bias.data(), x.data());
  }

  void axpby(T alpha, const_view x, T beta, view y) const {
    checks::same("axpby", x.extents(), y.extents(), "y");
    if (!y.empty()) cuda::axpby(stream(), walk_of(x, y), alpha, x.data(), beta, y.data());
  }

  void multiply(const_view x, const_view y, view out) const {
    checks::same("multiply", x.extents(), y.extents(), "y");
    checks::same("multiply", x.extents(), out.extents(), "out");
    if (out.empty()) return;
    cuda::multiply(stream(), walk_of(x, y, out), x.data(), y.data(), out.data());
  }

  void divide(const_view x, const_view y, view out) const {
    checks::same("divide", x.extents(), y.extents(), "y");
    checks::same("divide", x.extents(), out.extents(), "out");
    if (out.empty()) return;
    cuda::divide(stream(), walk_of(x, y, out), x.data(), y.data(), out.data());
  }

  void row_norms(const_view x, view norms) const {
    checks::per_row("row_norms", x, norms, "norms");
    if (norms.empty()) return;
    cuda::row_norms(stream(), rows_of(x, x, norms), width(x), line_of(x), norms.data());
  }

  void top_k(const_view x, view values, index_view indices) const {
    checks::top_k(x, values, indices);
    if (values.empty()) return;
    cuda::top_k(stream(), rows_of(x, x, values, indices), width(x), width(values), line_of(x),
                line_of(values), line_of(indices));
  }

  void argmax_abs(const_view x, view values, index_view indices) const {
    checks::argmax_abs(x, values, indices);
    search({.magnitude = true}, x, values, indices);
  }

  /// The largest of each row: by magnitude or by value, alone or beside those of earlier columns
  /// that values and indices hold.
  void search(cuda::search_for what, const_view x, view values, index_view indices) const {
    if (values.empty()) return;
    cuda::search(stream(), rows_of(x, x, values, indices), width(x), what, line_of(x),
                 values.data(), indices.data());
  }

  void gather(const_view table, const_index_view rows, view out) const {
    checks::gather(table, rows, out);
    if (out.empty()) return;
    shape column, row = rows.strides();
    for (std::size_t i = 0; i < rows.rank(); ++i) column.push_back(0);
    column.push_back(table.stride(1));
    row.push_back(0);
    index_tensor wrong = allocate_indices({1});
    cuda::fill(stream(), walk_of(wrong.view()), index_t{0}, wrong.view().data());
    cuda::gather(stream(), {out.extents(), {column, row, out.strides()}}, table.extent(0),
                 table.stride(0), table.data(), rows.data(), out.data(), wrong.view().data());
    index_t row_found = 0;
    download(std::as_const(wrong).view(), {&row_found, {1}});
    checks::row_of_table(table, row_found);  // 0 where all are right
  }

  void cholesky_solve(const_view a, view b) const {
    checks::cholesky_solve(a, b);
    if (b.empty()) return;
    const index_t batch = a.extent(0), n = a.extent(1);
    tensor l = allocate(a.extents());
    cuda::factorise(stream(), batch, n, true, matrices_of(a), matrices_of(l.view()));
    cuda::solve(stream(), batch, n, b.extent(2), matrices_of(std::as_const(l).view()),
                matrices_of(b));
  }

  void cholesky(const_view a, view l) const {
    checks::cholesky(a, l);
    if (l.empty()) return;
    cuda::factorise(stream(), a.extent(0), a.extent(1), false, matrices_of(a), matrices_of(l));
  }

  void symmetric_eigen(const_view a, view values, view vectors) const {
    checks::symmetric_eigen(a, values, vectors);
    if (values.empty()) return;
    cuda::eigen_solver<T>(context_, a.extent(0), a.extent(1))
        .compute(matrices_of(a), values.extent(1),
                 {values.data(), {values.stride(0), values.stride(1), 0}}, matrices_of(vectors));
  }

  /// out = softmax(scale q k^T) v; see ops::attention. In one pass where `scores` are not wanted
  /// and heads are not wider than 128 (64 in double).
  void attention(T scale, const_view q, const_view k, const_view v, bool causal, view out,
                 view first, view scores) const {
    checks::attention(q, k, v, causal, out, first, scores);
    if (out.empty()) return;
    const index_t images = q.extent(0), heads = q.extent(1), queries = q.extent(2),
                  tokens = k.extent(2), d = q.extent(3);
    if (scores.empty() && d <= cuda::most_attended<T>) {
      cuda::attention<T>(
          stream(), {images, heads, queries, tokens, d, causal, scale, operand_of(q), operand_of(k),
                     operand_of(v), operand_of(out), operand_of(first)});
      return;
    }
    tensor own;
    if (scores.empty()) own = allocate({images, heads, queries, tokens});
    const view pattern = scores.empty() ? own.view() : scores;
    batched_gemm(scale, q, k.transposed(), 0, pattern);
    for (index_t i = 0; causal && i < queries; ++i) {
      fill(-std::numeric_limits<T>::infinity(),
           pattern.select(2, i).slice(2, tokens - queries + i + 1, tokens));
    }
    softmax(1, pattern, pattern);
    if (!first.empty()) copy(pattern.select(2, 0), first);
    batched_gemm(1, pattern, v, 0, out);
  }

  void synchronize() const { cuda::check(cudaStreamSynchronize(stream()), "synchronize"); }

 private:
  cudaStream_t stream() const { return context_->stream(); }

  template <class U>
  void send(const host_view<const U>& from, const tensor_view<U, space>& to) const {
    checks::same("upload", from.extents(), to.extents(), "to");
    if (!from.empty()) transfer_->upload(from, to);
  }
  template <class U>
  void fetch(const tensor_view<const U, space>& from, const host_view<U>& to) const {
    checks::same("download", from.extents(), to.extents(), "to");
    if (!from.empty()) transfer_->download(from, to);
  }

  void multiply(T alpha, const_view a, const_view b, T beta, view c,
                cuda::product_precision precision = cuda::product_precision::full) const {
    if (c.empty()) return;
    if (a.extent(3) > 0) {
      cuda::products<T, space>(context_, precision).multiply(alpha, a, b, beta, c);
    } else if (beta == T{0}) {
      fill(0, c);
    } else {
      cuda::axpby(stream(), walk_of(c, c), beta, std::as_const(c).data(), T{0}, c.data());
    }
  }

  void normalize(const_view bias, view x, const_view weight, const_view norm_bias, T eps, view y,
                 view mean, view scale) const {
    if (x.empty()) return;
    shape none;  // the strides of what is not wanted
    for (std::size_t i = 1; i < x.rank(); ++i) none.push_back(0);
    const cuda::walk rows(
        checks::leading(x.extents()),
        {checks::leading(x.strides()), checks::leading(y.strides()),
         mean.empty() ? none : mean.strides(), scale.empty() ? none : scale.strides()},
        true);
    cuda::layer_norm(stream(), rows, width(x), line_of(bias), line_of(x), line_of(weight),
                     line_of(norm_bias), eps, line_of(y), mean.data(), scale.data());
  }

  template <class X, class... More>
  static cuda::walk walk_of(const X& x, const More&... more) {
    return {x.extents(), {x.strides(), more.strides()...}};
  }

  /// A walk over the rows of x: of operands with the extents of x or with those of its rows.
  template <class X, class... Operand>
  static cuda::walk rows_of(const X& x, const Operand&... operand) {
    const std::size_t rank = x.rank() - 1;
    const auto leading = [rank](const shape& s) { return s.rank() > rank ? s.without(rank) : s; };
    return {leading(x.extents()), {leading(operand.strides())...}, true};
  }

  template <class X>
  static index_t width(const X& x) {
    return x.extent(x.rank() - 1);
  }

  /// Its rows; a vector; nothing.
  template <class U>
  static cuda::line<U> line_of(const tensor_view<U, space>& x) {
    return {x.data(), x.rank() == 0 ? 0 : x.stride(x.rank() - 1)};
  }

  /// The bias with the extents of x.
  static const_view over_rows(const_view bias, const view& x) {
    for (std::size_t i = x.rank() - 1; i-- > 0;) bias = bias.repeated(x.extent(i));
    return bias;
  }

  template <class U>
  static cuda::attention_operand<U> operand_of(const tensor_view<U, space>& x) {
    cuda::attention_operand<U> result{x.data(), {}};
    for (std::size_t i = 0; i < x.rank(); ++i) result.strides[i] = x.stride(i);
    return result;
  }

  template <class U>
  static cuda::matrices<U> matrices_of(const tensor_view<U, space>& x) {
    return {x.data(), {x.stride(0), x.stride(1), x.stride(2)}};
  }

  std::shared_ptr<cuda::context> context_;
  std::shared_ptr<cuda::transfer> transfer_;
  cuda::product_precision precision_ = cuda::product_precision::full;
};

static_assert(tensor_backend<cuda_backend<float>>);
static_assert(tensor_backend<cuda_backend<double>>);

}  // namespace solens
