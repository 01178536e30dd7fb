#pragma once

#include <cstdint>  // std::uintptr_t
#include <utility>  // std::move

#include <solens/backend/concept.hpp>
#include <solens/backend/reference.hpp>
#include <solens/core/host_tensor.hpp>

namespace solens::testing {

/// Memory of an `archetype_backend`.
struct archetype_space {};

/// The addresses that an archetype hands out: moved by as much as makes the CPU refuse them, as it
/// would a GPU's. Differences between them stay what they are.
template <class T>
T* disguised(T* p) {
  constexpr std::uintptr_t distance = std::uintptr_t{1} << 62U;
  return p == nullptr ? p : reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(p) ^ distance);
}

template <class T>
host_view<T> on_host(const tensor_view<T, archetype_space>& x) {
  return {disguised(x.data()), x.extents(), x.strides()};
}

/// What the contract says of a tensor, and no more: it moves and gives views.
template <class T>
class archetype_tensor {
 public:
  archetype_tensor() = default;  ///< empty
  explicit archetype_tensor(host_tensor<T> memory) : memory_(std::move(memory)) {}
  tensor_view<T, archetype_space> view() { return {disguised(memory_.data()), memory_.extents()}; }
  tensor_view<const T, archetype_space> view() const {
    return {disguised(memory_.data()), memory_.extents()};
  }

 private:
  host_tensor<T> memory_;
};

/// A backend that offers the contract and nothing else, for compiling algorithms against.
///
/// It cannot be default-constructed, has a memory of its own that host code can neither read by
/// accident (a view has no element access) nor by force (its addresses fault), and fuses nothing.
/// It computes what `reference_backend` does.
template <class T>
class archetype_backend {
 public:
  using scalar = T;
  using space = archetype_space;
  using tensor = archetype_tensor<T>;
  using index_tensor = archetype_tensor<index_t>;
  using view = tensor_view<T, space>;
  using const_view = tensor_view<const T, space>;
  using index_view = tensor_view<index_t, space>;
  using const_index_view = tensor_view<const index_t, space>;
  static constexpr fused_op fused = fused_op::none;

  /// @param device  a number, as a GPU has one; nothing depends on it
  explicit archetype_backend(int device) : device_(device) {}

  int device() const { return device_; }

  tensor allocate(const shape& extents) const { return tensor(host_tensor<T>(extents)); }
  index_tensor allocate_indices(const shape& extents) const {
    return index_tensor(host_tensor<index_t>(extents));
  }

  void upload(host_view<const T> from, view to) const { does().upload(from, on_host(to)); }
  void upload(host_view<const index_t> from, index_view to) const {
    does().upload(from, on_host(to));
  }
  void download(const_view from, host_view<T> to) const { does().download(on_host(from), to); }
  void download(const_index_view from, host_view<index_t> to) const {
    does().download(on_host(from), to);
  }

  void copy(const_view from, view to) const { does().copy(on_host(from), on_host(to)); }
  void fill(T value, view to) const { does().fill(value, on_host(to)); }
  void gemm(T alpha, const_view a, const_view b, T beta, view c) const {
    does().gemm(alpha, on_host(a), on_host(b), beta, on_host(c));
  }
  void batched_gemm(T alpha, const_view a, const_view b, T beta, view c) const {
    does().batched_gemm(alpha, on_host(a), on_host(b), beta, on_host(c));
  }
  void softmax(T scale, const_view x, view y) const {
    does().softmax(scale, on_host(x), on_host(y));
  }
  void layer_norm(const_view x, const_view weight, const_view bias, T eps, view y, view mean,
                  view scale) const {
    does().layer_norm(on_host(x), on_host(weight), on_host(bias), eps, on_host(y), on_host(mean),
                      on_host(scale));
  }
  void activate(activation kind, const_view x, view y) const {
    does().activate(kind, on_host(x), on_host(y));
  }
  void add_bias(const_view bias, view x) const { does().add_bias(on_host(bias), on_host(x)); }
  void axpby(T alpha, const_view x, T beta, view y) const {
    does().axpby(alpha, on_host(x), beta, on_host(y));
  }
  void multiply(const_view x, const_view y, view out) const {
    does().multiply(on_host(x), on_host(y), on_host(out));
  }
  void divide(const_view x, const_view y, view out) const {
    does().divide(on_host(x), on_host(y), on_host(out));
  }
  void row_norms(const_view x, view norms) const { does().row_norms(on_host(x), on_host(norms)); }
  void top_k(const_view x, view values, index_view indices) const {
    does().top_k(on_host(x), on_host(values), on_host(indices));
  }
  void argmax_abs(const_view x, view values, index_view indices) const {
    does().argmax_abs(on_host(x), on_host(values), on_host(indices));
  }
  void gather(const_view table, const_index_view rows, view out) const {
    does().gather(on_host(table), on_host(rows), on_host(out));
  }
  void cholesky_solve(const_view a, view b) const { does().cholesky_solve(on_host(a), on_host(b)); }
  void cholesky(const_view a, view l) const { does().cholesky(on_host(a), on_host(l)); }
  void symmetric_eigen(const_view a, view values, view vectors) const {
    does().symmetric_eigen(on_host(a), on_host(values), on_host(vectors));
  }
  void synchronize() const {}

 private:
  static reference_backend<T> does() { return {}; }

  int device_;
};

static_assert(tensor_backend<archetype_backend<float>>);
static_assert(tensor_backend<archetype_backend<double>>);

}  // namespace solens::testing
