#pragma once

#include <concepts>
#include <limits>
#include <memory>
#include <utility>  // std::move

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/backend/ops.hpp>
#include <solens/core/host_tensor.hpp>

namespace solens {

/// A backend on host memory that is chosen while the program runs.
///
/// One type for all of them, so that what takes it is compiled once. Each operation is passed on to
/// the backend inside by a virtual call; tensors are `host_tensor`s, whatever that backend
/// allocates itself.
template <class T>
class any_host_backend {
  struct operations;
  struct search;

 public:
  using scalar = T;
  using space = host_space;
  using tensor = host_tensor<T>;
  using index_tensor = host_tensor<index_t>;
  using view = host_view<T>;
  using const_view = host_view<const T>;
  using index_view = host_view<index_t>;
  using const_index_view = host_view<const index_t>;
  class row_search;
  // Declared, for the backend inside has them or runs their parts.
  static constexpr fused_op fused = fused_op::bias_activation | fused_op::bias_layer_norm |
                                    fused_op::attention | fused_op::half_products |
                                    fused_op::row_search;

  template <class B>
    requires(!std::same_as<B, any_host_backend> && tensor_backend<B> &&
             std::same_as<typename B::space, host_space> && std::same_as<typename B::scalar, T>)
  explicit any_host_backend(B be) : does_(std::make_shared<const held<B>>(std::move(be))) {}

  tensor allocate(const shape& extents) const { return tensor(extents); }
  index_tensor allocate_indices(const shape& extents) const { return index_tensor(extents); }
  void upload(const_view from, view to) const { does_->upload(from, to); }
  void upload(const_index_view from, index_view to) const { does_->upload(from, to); }
  void download(const_view from, view to) const { does_->download(from, to); }
  void download(const_index_view from, index_view to) const { does_->download(from, to); }
  void copy(const_view from, view to) const { does_->copy(from, to); }
  void fill(T value, view to) const { does_->fill(value, to); }
  void gemm(T alpha, const_view a, const_view b, T beta, view c) const {
    does_->gemm(alpha, a, b, beta, c);
  }
  void batched_gemm(T alpha, const_view a, const_view b, T beta, view c) const {
    does_->batched_gemm(alpha, a, b, beta, c);
  }
  void softmax(T scale, const_view x, view y) const { does_->softmax(scale, x, y); }
  void layer_norm(const_view x, const_view weight, const_view bias, T eps, view y, view mean,
                  view scale) const {
    does_->layer_norm(x, weight, bias, eps, y, mean, scale);
  }
  void activate(activation kind, const_view x, view y) const { does_->activate(kind, x, y); }
  void add_bias(const_view bias, view x) const { does_->add_bias(bias, x); }
  void axpby(T alpha, const_view x, T beta, view y) const { does_->axpby(alpha, x, beta, y); }
  void multiply(const_view x, const_view y, view out) const { does_->multiply(x, y, out); }
  void divide(const_view x, const_view y, view out) const { does_->divide(x, y, out); }
  void row_norms(const_view x, view norms) const { does_->row_norms(x, norms); }
  void top_k(const_view x, view values, index_view indices) const {
    does_->top_k(x, values, indices);
  }
  void argmax_abs(const_view x, view values, index_view indices) const {
    does_->argmax_abs(x, values, indices);
  }
  void gather(const_view table, const_index_view rows, view out) const {
    does_->gather(table, rows, out);
  }
  void cholesky_solve(const_view a, view b) const { does_->cholesky_solve(a, b); }
  void cholesky(const_view a, view l) const { does_->cholesky(a, l); }
  void symmetric_eigen(const_view a, view values, view vectors) const {
    does_->symmetric_eigen(a, values, vectors);
  }
  void synchronize() const { does_->synchronize(); }

  void bias_activation(activation kind, const_view bias, view x) const {
    does_->bias_activation(kind, bias, x);
  }
  void bias_layer_norm(const_view bias, view x, const_view weight, const_view norm_bias, T eps,
                       view y, view mean, view scale) const {
    does_->bias_layer_norm(bias, x, weight, norm_bias, eps, y, mean, scale);
  }
  void attention(T scale, const_view q, const_view k, const_view v, bool causal, view out,
                 view first, view scores) const {
    does_->attention(scale, q, k, v, causal, out, first, scores);
  }
  void gram(const_view a, T beta, view c) const { does_->gram(a, beta, c); }
  void multiply_lower(const_view x, const_view l, view out) const {
    does_->multiply_lower(x, l, out);
  }

 private:
  template <class B>
  struct held;

  std::shared_ptr<const operations> does_;
};

/// `ops::row_search` of the backend inside.
template <class T>
class any_host_backend<T>::row_search {
 public:
  row_search(const any_host_backend& be, const_view table, index_t vectors_at_once)
      : table_(table), finds_(be.does_->row_search(table, vectors_at_once)) {}

  const_view table() const { return table_; }
  void operator()(const any_host_backend&, const_view x, bool positive, view values,
                  index_view indices) {
    finds_->find(x, positive, values, indices);
  }

 private:
  const_view table_;
  std::unique_ptr<search> finds_;
};

template <class T>
struct any_host_backend<T>::search {
  virtual ~search() = default;
  virtual void find(const_view x, bool positive, view values, index_view indices) = 0;
};

template <class T>
struct any_host_backend<T>::operations {
  virtual ~operations() = default;
  virtual void upload(const_view from, view to) const = 0;
  virtual void upload(const_index_view from, index_view to) const = 0;
  virtual void download(const_view from, view to) const = 0;
  virtual void download(const_index_view from, index_view to) const = 0;
  virtual void copy(const_view from, view to) const = 0;
  virtual void fill(T value, view to) const = 0;
  virtual void gemm(T alpha, const_view a, const_view b, T beta, view c) const = 0;
  virtual void batched_gemm(T alpha, const_view a, const_view b, T beta, view c) const = 0;
  virtual void softmax(T scale, const_view x, view y) const = 0;
  virtual void layer_norm(const_view x, const_view weight, const_view bias, T eps, view y,
                          view mean, view scale) const = 0;
  virtual void activate(activation kind, const_view x, view y) const = 0;
  virtual void add_bias(const_view bias, view x) const = 0;
  virtual void axpby(T alpha, const_view x, T beta, view y) const = 0;
  virtual void multiply(const_view x, const_view y, view out) const = 0;
  virtual void divide(const_view x, const_view y, view out) const = 0;
  virtual void row_norms(const_view x, view norms) const = 0;
  virtual void top_k(const_view x, view values, index_view indices) const = 0;
  virtual void argmax_abs(const_view x, view values, index_view indices) const = 0;
  virtual void gather(const_view table, const_index_view rows, view out) const = 0;
  virtual void cholesky_solve(const_view a, view b) const = 0;
  virtual void cholesky(const_view a, view l) const = 0;
  virtual void symmetric_eigen(const_view a, view values, view vectors) const = 0;
  virtual void synchronize() const = 0;
  virtual void bias_activation(activation kind, const_view bias, view x) const = 0;
  virtual void bias_layer_norm(const_view bias, view x, const_view weight, const_view norm_bias,
                               T eps, view y, view mean, view scale) const = 0;
  virtual void attention(T scale, const_view q, const_view k, const_view v, bool causal, view out,
                         view first, view scores) const = 0;
  virtual void gram(const_view a, T beta, view c) const = 0;
  virtual void multiply_lower(const_view x, const_view l, view out) const = 0;
  virtual std::unique_ptr<search> row_search(const_view table, index_t vectors_at_once) const = 0;
};

template <class T>
template <class B>
struct any_host_backend<T>::held final : operations {
  explicit held(B backend) : be(std::move(backend)) {}

  void upload(const_view from, view to) const override { be.upload(from, to); }
  void upload(const_index_view from, index_view to) const override { be.upload(from, to); }
  void download(const_view from, view to) const override { be.download(from, to); }
  void download(const_index_view from, index_view to) const override { be.download(from, to); }
  void copy(const_view from, view to) const override { be.copy(from, to); }
  void fill(T value, view to) const override { be.fill(value, to); }
  void gemm(T alpha, const_view a, const_view b, T beta, view c) const override {
    be.gemm(alpha, a, b, beta, c);
  }
  void batched_gemm(T alpha, const_view a, const_view b, T beta, view c) const override {
    be.batched_gemm(alpha, a, b, beta, c);
  }
  void softmax(T scale, const_view x, view y) const override { be.softmax(scale, x, y); }
  void layer_norm(const_view x, const_view weight, const_view bias, T eps, view y, view mean,
                  view scale) const override {
    be.layer_norm(x, weight, bias, eps, y, mean, scale);
  }
  void activate(activation kind, const_view x, view y) const override { be.activate(kind, x, y); }
  void add_bias(const_view bias, view x) const override { be.add_bias(bias, x); }
  void axpby(T alpha, const_view x, T beta, view y) const override { be.axpby(alpha, x, beta, y); }
  void multiply(const_view x, const_view y, view out) const override { be.multiply(x, y, out); }
  void divide(const_view x, const_view y, view out) const override { be.divide(x, y, out); }
  void row_norms(const_view x, view norms) const override { be.row_norms(x, norms); }
  void top_k(const_view x, view values, index_view indices) const override {
    be.top_k(x, values, indices);
  }
  void argmax_abs(const_view x, view values, index_view indices) const override {
    be.argmax_abs(x, values, indices);
  }
  void gather(const_view table, const_index_view rows, view out) const override {
    be.gather(table, rows, out);
  }
  void cholesky_solve(const_view a, view b) const override { be.cholesky_solve(a, b); }
  void cholesky(const_view a, view l) const override { be.cholesky(a, l); }
  void symmetric_eigen(const_view a, view values, view vectors) const override {
    be.symmetric_eigen(a, values, vectors);
  }
  void synchronize() const override { be.synchronize(); }
  void bias_activation(activation kind, const_view bias, view x) const override {
    ops::bias_activation<B>(be, kind, bias, x);
  }
  void bias_layer_norm(const_view bias, view x, const_view weight, const_view norm_bias, T eps,
                       view y, view mean, view scale) const override {
    ops::bias_layer_norm<B>(be, bias, x, weight, norm_bias, eps, y, mean, scale);
  }
  void gram(const_view a, T beta, view c) const override { ops::gram<B>(be, a, beta, c); }
  void multiply_lower(const_view x, const_view l, view out) const override {
    ops::multiply_lower<B>(be, x, l, out);
  }

  void attention(T scale, const_view q, const_view k, const_view v, bool causal, view out,
                 view first, view scores) const override {
    if constexpr (contains(B::fused, fused_op::attention)) {
      be.attention(scale, q, k, v, causal, out, first, scores);
    } else {
      checks::attention(q, k, v, causal, out, first, scores);
      const index_t n_queries = q.extent(2), n_tokens = k.extent(2);
      tensor room, mask;
      if (scores.empty()) {
        room = tensor({q.extent(0), q.extent(1), n_queries, n_tokens});
        scores = room.view();
      }
      if (causal) {
        mask = tensor({n_queries, n_tokens}, T{0});
        for (index_t i = 0; i < n_queries; ++i) {
          for (index_t j = n_tokens - n_queries + i + 1; j < n_tokens; ++j) {
            mask(i, j) = -std::numeric_limits<T>::infinity();
          }
        }
      }
      ops::attention<B>(be, scale, q, k, v, causal, out, first, scores, mask.view());
    }
  }

  std::unique_ptr<search> row_search(const_view table, index_t vectors_at_once) const override {
    struct found final : search {
      found(const B& backend, const_view rows, index_t at_once)
          : be(backend), does(backend, rows, at_once) {}
      void find(const_view x, bool positive, view values, index_view indices) override {
        does(be, x, positive, values, indices);
      }
      B be;
      ops::row_search<B> does;
    };
    return std::make_unique<found>(be, table, vectors_at_once);
  }

  B be;
};

static_assert(tensor_backend<any_host_backend<float>>);
static_assert(tensor_backend<any_host_backend<double>>);

}  // namespace solens
