#pragma once

#include <solens/backend/concept.hpp>
#include <solens/backend/product_search.hpp>

/// Operations that a backend may do in one pass and that otherwise run as their parts.
/// Which of the two it is, is declared by `B::fused` and known at compile time.
namespace solens::ops {

/// x = kind(x + bias), over the last axis.
template <tensor_backend B>
void bias_activation(const B& be, activation kind, const_view_of<B> bias, view_of<B> x) {
  if constexpr (contains(B::fused, fused_op::bias_activation)) {
    be.bias_activation(kind, bias, x);
  } else {
    be.add_bias(bias, x);
    be.activate(kind, x, x);
  }
}

/// x += bias, then y = layer_norm(x), with the statistics of `layer_norm`.
///
/// @param bias  [C], or an empty view for none
template <tensor_backend B>
void bias_layer_norm(const B& be, const_view_of<B> bias, view_of<B> x, const_view_of<B> weight,
                     const_view_of<B> norm_bias, typename B::scalar eps, view_of<B> y,
                     view_of<B> mean, view_of<B> scale) {
  if (bias.empty()) {
    be.layer_norm(x, weight, norm_bias, eps, y, mean, scale);
  } else if constexpr (contains(B::fused, fused_op::bias_layer_norm)) {
    be.bias_layer_norm(bias, x, weight, norm_bias, eps, y, mean, scale);
  } else {
    be.add_bias(bias, x);
    be.layer_norm(x, weight, norm_bias, eps, y, mean, scale);
  }
}

/// out = softmax(scale q k^T) v for every image and head.
///
/// @param q        [n_images, n_heads, n_queries, d_head]; any strides, as all of these
/// @param k, v     [n_images, n_heads, n_tokens, d_head]
/// @param causal   the queries are the last tokens', and each sees those up to its own
/// @param out      [n_images, n_heads, n_queries, d_head]
/// @param first    [n_images, n_heads, n_tokens]: the pattern of query 0; empty when not wanted
/// @param scores   [n_images, n_heads, n_queries, n_tokens]: workspace, the pattern when it
///                 returns; may be empty where the backend declares `fused_op::attention`
/// @param mask     [n_queries, n_tokens]: added to the scaled scores (0 or -infinity);
///                 empty when not causal; not read where `fused_op::attention` is declared
template <tensor_backend B>
void attention(const B& be, typename B::scalar scale, const_view_of<B> q, const_view_of<B> k,
               const_view_of<B> v, bool causal, view_of<B> out, view_of<B> first, view_of<B> scores,
               const_view_of<B> mask) {
  if constexpr (contains(B::fused, fused_op::attention)) {
    be.attention(scale, q, k, v, causal, out, first, scores);
  } else {
    be.batched_gemm(scale, q, k.transposed(), 0, scores);
    if (causal) {
      be.axpby(1, mask.repeated(q.extent(1)).repeated(q.extent(0)), 1, scores);
    }
    be.softmax(1, scores, scores);
    if (!first.empty()) be.copy(scores.select(2, 0), first);
    be.batched_gemm(1, scores, v, 0, out);
  }
}

/// The lower triangle of c = a a^T + beta c, which is all that the decompositions read of a
/// symmetric matrix. What stands above it is open.
///
/// @param a     [batch, n, m]
/// @param beta  0, and then c is not read, or 1
/// @param c     [batch, n, n]
template <tensor_backend B>
void gram(const B& be, const_view_of<B> a, typename B::scalar beta, view_of<B> c) {
  if constexpr (contains(B::fused, fused_op::half_products)) {
    be.gram(a, beta, c);
  } else {
    be.batched_gemm(1, a, a.transposed(), beta, c);
  }
}

/// out = x l for lower triangular l, whose elements above the diagonal are 0.
///
/// @param x    [batch, m, n]
/// @param l    [batch, n, n]
/// @param out  [batch, m, n]; may be x itself where its rows are contiguous, which copies nothing
///             where the backend declares `fused_op::half_products`
template <tensor_backend B>
void multiply_lower(const B& be, const_view_of<B> x, const_view_of<B> l, view_of<B> out) {
  if constexpr (contains(B::fused, fused_op::half_products)) {
    be.multiply_lower(x, l, out);
  } else if (x.data() == out.data()) {
    auto copy = be.allocate(x.extents());
    be.copy(x, copy.view());
    be.batched_gemm(1, copy.view(), l, 0, out);
  } else {
    be.batched_gemm(1, x, l, 0, out);
  }
}

namespace detail {

template <class B>
struct row_search {
  using type = product_search<B>;
};
template <class B>
  requires(contains(B::fused, fused_op::row_search))
struct row_search<B> {
  using type = typename B::row_search;
};

}  // namespace detail

/// The row of a table with the largest product with each of many vectors: `product_search`, or the
/// backend's own `row_search`, which is built and called like it and finds the same rows, but for
/// products that differ by no more than the rounding of either.
template <tensor_backend B>
using row_search = typename detail::row_search<B>::type;

}  // namespace solens::ops
