#pragma once

#include <algorithm>  // std::none_of
#include <cmath>      // std::isnan
#include <utility>    // std::move

#include <solens/backend/concept.hpp>
#include <solens/backend/ops.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/lens/scratch.hpp>

namespace solens {

/// The effects of a block of writers over a data set, about their mean, without being formed.
///
/// With coefficients s and directions D of a writer, its effect on an image is D^T s (plus, in
/// the reference convention, a vector that all writers share). Distances and angles between
/// effects are those of the rows L^T s, where L L^T = D D^T: as many columns as the writer has
/// later heads instead of the width of the joint space.
///
/// The images come in parts, small enough for a processor's cache; what is kept of them is their
/// norms and second moments. Memory is kept from block to block, and views hold until the next.
/// Threads may add different writers at the same time.
/// Source: arXiv 2406.04341, section 3.3 (effects about their mean over the data set).
template <tensor_backend B>
class centered_effects {
 public:
  using scalar = typename B::scalar;

  /// Begins a block of writers.
  /// @param directions  [n_writers, n_heads, d_joint]; must outlive the block
  /// @param n_images    that will be added in all
  /// @param shared      whether every effect holds a vector that all writers share
  /// @note the frame is the joint space itself, which costs more, with a shared vector, with as
  ///       many heads as dimensions, or where a Gram matrix has no Cholesky factor
  void begin(const B& be, const_view_of<B> directions, index_t n_images, bool shared) {
    const index_t n = directions.extent(0), k = directions.extent(1), e = directions.extent(2);
    directions_ = directions;
    factor_ = {};
    if (!shared && k < e) {
      const view_of<B> gram = gram_memory_.get(be, {n, k, k});
      const view_of<B> factor = factor_memory_.get(be, {n, k, k});
      ops::gram<B>(be, directions, 0, gram);
      if (factorise(be, gram, factor)) factor_ = factor;
    }
    const index_t c = factor_.empty() ? e : k;
    norms_ = norms_memory_.get(be, {n, n_images});
    moments_ = moments_memory_.get(be, {n, c, c});
  }

  /// Takes in images of some writers of the block, from `writer` and `image` on; of each writer the
  /// first images first.
  /// @param coefficients  [n, m, n_heads], less their mean over all images; may be overwritten
  /// @param shared        [m, d_joint], less its mean; empty without one
  /// @param memory        of the caller's thread, for `rows`
  /// @note costs 2 n_heads^2 flops a writer and image, with the backend's half products
  void add(const B& be, index_t writer, index_t image, view_of<B> coefficients,
           const_view_of<B> shared, scratch<B>& memory) {
    const index_t end = writer + coefficients.extent(0), last = image + coefficients.extent(1);
    const_view_of<B> part = coefficients;
    if (in_place && !factor_.empty()) {
      ops::multiply_lower<B>(be, part, factor_.slice(0, writer, end), coefficients);
    } else {
      part = rows(be, writer, coefficients, shared, memory);
    }
    be.row_norms(part, norms_.slice(0, writer, end).slice(1, image, last));
    ops::gram<B>(be, part.transposed(), image == 0 ? 0 : 1, moments_.slice(0, writer, end));
  }

  /// Centered effects of images in an orthonormal frame, in `memory`.
  /// @param coefficients, shared  as for `add`, but shared [n, m, d_joint] where it is not the same
  ///                              for all writers
  /// @returns [n, m, d_frame]
  const_view_of<B> rows(const B& be, index_t writer, const_view_of<B> coefficients,
                        const_view_of<B> shared, scratch<B>& memory) const {
    const index_t n = coefficients.extent(0), m = coefficients.extent(1);
    const view_of<B> out = memory.get(be, {n, m, d_frame()});
    if (factor_.empty()) {
      be.batched_gemm(1, coefficients, directions_.slice(0, writer, writer + n), 0, out);
    } else {
      ops::multiply_lower<B>(be, coefficients, factor_.slice(0, writer, writer + n), out);
    }
    if (!shared.empty()) be.axpby(1, shared.rank() == 2 ? shared.repeated(n) : shared, 1, out);
    return out;
  }

  index_t d_frame() const { return moments_.extent(1); }       ///< columns of `rows`
  const_view_of<B> directions() const { return directions_; }  ///< [n_writers, n_heads, d_joint]
  const_view_of<B> norms() const { return norms_; }  ///< [n_writers, n_images], of the effects
  /// [n_writers, d_frame, d_frame]: sum of rows^T rows over the images, the lower triangle
  const_view_of<B> moments() const { return moments_; }

 private:
  static constexpr bool in_place = contains(B::fused, fused_op::half_products);

  /// Whether all matrices have a factor: directions of less than full rank have Gram matrices that
  /// rounding can make indefinite.
  static bool factorise(const B& be, const_view_of<B> gram, view_of<B> factor) {
    be.cholesky(gram, factor);
    auto norms = be.allocate({factor.extent(0), factor.extent(1)});
    be.row_norms(const_view_of<B>(factor), norms.view());
    host_tensor<scalar> host(norms.view().extents());
    be.download(const_view_of<B>(norms.view()), host.view());
    return std::none_of(host.begin(), host.end(), [](scalar norm) { return std::isnan(norm); });
  }

  const_view_of<B> directions_, factor_;
  view_of<B> norms_, moments_;
  scratch<B> gram_memory_, factor_memory_, norms_memory_, moments_memory_;
};

}  // namespace solens
