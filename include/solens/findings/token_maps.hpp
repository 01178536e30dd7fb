#pragma once

#include <span>
#include <string>
#include <utility>  // std::as_const
#include <vector>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/backend/normalize_rows.hpp>
#include <solens/lens/head_map.hpp>
#include <solens/lens/scratch.hpp>
#include <solens/model/lens_inputs.hpp>

/// Maps over the patches of an image that need no neurons: what `segmentation` is compared with.
/// All are written to `out` [n_images, n_classes asked, n_patches]; maps that do not depend on a
/// class are the same for all of them.
namespace solens {

/// The mean over the last axis but one: [n_images, n, n_patches] -> [n_images, 1, n_patches].
template <tensor_backend B>
void mean_of_rows(const B& be, const_view_of<B> x, view_of<B> out) {
  auto share = be.allocate({1, x.extent(1)});
  be.fill(typename B::scalar{1} / static_cast<typename B::scalar>(x.extent(1)), share.view());
  be.batched_gemm(1, const_view_of<B>(share.view()).repeated(x.extent(0)), x, 0, out);
}

/// The first class's maps, for all classes.
template <tensor_backend B>
void repeat_for_classes(const B& be, view_of<B> out) {
  for (index_t c = 1; c < out.extent(1); ++c) be.copy(out.select(1, 0), out.select(1, c));
}

/// What the class token attends to: the mean over the heads of one block.
/// @param class_attention  [n_images, n_heads, n_tokens], class token first
/// @throws shape_error when `out` does not fit
template <tensor_backend B>
void attention_map(const B& be, const_view_of<B> class_attention, view_of<B> out) {
  const index_t heads = class_attention.rank() == 3 ? class_attention.extent(1) : 0;
  checks::same("attention_map", shape{out.extent(0), heads, out.extent(2) + 1},
               class_attention.extents(), "class_attention");
  mean_of_rows<B>(be, class_attention.slice(2, 1, class_attention.extent(2)), out.slice(1, 0, 1));
  repeat_for_classes<B>(be, out);
}

/// What the class token gets of each patch when attention is followed down through all blocks, half
/// of each block's mixture being the residual stream:
///   class row of A_L ... A_2 A_1        A_l = (mean over heads of the pattern of block l + I) / 2
/// Source: arXiv 2005.00928, attention rollout.
/// @param patterns  of the blocks in order, [n_images, n_heads, n_tokens, n_tokens]; of the last,
///                  the class token's row [n_images, n_heads, n_tokens] will do
/// @throws argument_error without patterns; shape_error naming the one that does not fit
/// @note costs n_heads * n_tokens^2 multiply-adds a block and image: one row is followed, and no
///       product of two patterns is formed
template <tensor_backend B>
void attention_rollout(const B& be, std::span<const const_view_of<B>> patterns, view_of<B> out) {
  using scalar = typename B::scalar;
  if (patterns.empty()) throw argument_error("attention_rollout", "one block or more", "none");
  const index_t n = out.extent(0), t = out.extent(2) + 1;
  const index_t h = patterns.back().rank() < 3 ? 0 : patterns.back().extent(1);
  auto row = be.allocate({n, 1, t}), by_head = be.allocate({n, h, 1, t});
  be.fill(0, row.view());
  be.fill(1, row.view().slice(2, 0, 1));
  const const_view_of<B> seen = row.view();
  const const_view_of<B> for_heads(seen.data(), {n, h, 1, t}, {seen.stride(0), 0, t, 1});
  auto mixed = be.allocate({n, 1, t});
  for (std::size_t l = patterns.size(); l-- > 0;) {
    const bool is_row = l + 1 == patterns.size() && patterns[l].rank() == 3;
    checks::same("attention_rollout", is_row ? shape{n, h, t} : shape{n, h, t, t},
                 patterns[l].extents(), "patterns of block " + std::to_string(l));
    if (is_row) {
      be.copy(patterns[l], by_head.view().reshaped({n, h, t}));
    } else {
      be.batched_gemm(1, for_heads, patterns[l], 0, by_head.view());
    }
    mean_of_rows<B>(be, std::as_const(by_head).view().reshaped({n, h, t}), mixed.view());
    be.axpby(scalar{0.5}, std::as_const(mixed).view(), scalar{0.5}, row.view());
  }
  be.copy(seen.slice(2, 1, t), out.slice(1, 0, 1));
  repeat_for_classes<B>(be, out);
}

/// Class embeddings less their mean over the classes: what tells them apart. Of one class, zero.
/// @param classifier  [d_joint, n_classes]
/// @returns           likewise
template <tensor_backend B>
typename B::tensor less_mean_class(const B& be, const_view_of<B> classifier) {
  using scalar = typename B::scalar;
  const index_t d = classifier.extent(0), n = classifier.extent(1);
  auto share = be.allocate({n, 1}), mean = be.allocate({d, 1}), result = be.allocate({d, n});
  be.fill(scalar{1} / static_cast<scalar>(n), share.view());
  be.gemm(1, classifier, std::as_const(share).view(), 0, mean.view());
  be.copy(classifier, result.view());
  be.axpby(-1, std::as_const(mean).view().select(1, 0).repeated(n).transposed(), 1, result.view());
  return result;
}

/// The direct decomposition by token: what each patch adds to the representation through the heads
/// of all blocks, times the class's embedding:
///   sum over blocks and heads of t_c . (P^T ln_post' W_O (a_t v_t))
/// up to 1 / ln_post_scale, which an image's patches share. The same as summing `attention` of
/// `residual_decomposition` (centered) over blocks and heads, without making it.
/// Source: arXiv 2310.05916, section 3.3; its evaluation takes `less_mean_class` for t_c.
template <tensor_backend B>
class token_contributions {
 public:
  /// @param classifier  [d_joint, n_classes]
  /// @note keeps n_layers * n_classes * d_model numbers
  template <lens_weights_for<B> W>
  token_contributions(const B& be, const W& weights, const_view_of<B> classifier) {
    const head_maps<B> heads(be, weights, convention::centered);
    const index_t h = heads.n_heads(), dh = heads.d_head(), c = classifier.extent(1);
    for (index_t l = 0; l < heads.n_layers(); ++l) {
      auto& reader = readers_.emplace_back(be.allocate({c, h * dh}));
      be.batched_gemm(1, heads.outputs(l).transposed(), classifier.repeated(h), 0,
                      reader.view().split(1, dh).permuted({1, 2, 0}));
    }
  }

  /// @param activations  of every block: class_attention [n_images, n_heads, n_tokens] and values
  ///                     [n_images, n_tokens, n_heads, d_head]
  /// @throws shape_error naming the activation that does not fit
  template <lens_activations_for<B> A>
  void maps(const B& be, const A& activations, std::span<const index_t> classes, view_of<B> out) {
    const index_t n = out.extent(0), t = out.extent(2) + 1, asked = std::ssize(classes);
    auto rows = be.allocate_indices({asked});
    be.upload(host_view<const index_t>(classes.data(), {asked}), rows.view());
    for (std::size_t l = 0; l < readers_.size(); ++l) {
      const auto a = activation_views<B>(activations.blocks.at(l));
      const std::string name = "blocks." + std::to_string(l);
      const index_t d = const_view_of<B>(readers_[l].view()).extent(1);
      const index_t h = a.values.rank() == 4 ? a.values.extent(2) : 1;
      checks::same("token_contributions", shape{n, t, h, d / h}, a.values.extents(),
                   name + ".values");
      checks::same("token_contributions", shape{n, h, t}, a.class_attention.extents(),
                   name + ".class_attention");
      const view_of<B> moved = moved_.get(be, {n, t, h, d / h}),
                       reader = asked_.get(be, {asked, d});
      const const_view_of<B> weight = a.class_attention;
      be.multiply(a.values, weight.repeated(d / h).permuted({1, 3, 2, 0}), moved);
      be.gather(std::as_const(readers_[l]).view(), const_index_view_of<B>(rows.view()), reader);
      be.batched_gemm(1, const_view_of<B>(reader).repeated(n),
                      const_view_of<B>(moved).reshaped({n, t, d}).slice(1, 1, t).transposed(),
                      l == 0 ? 0 : 1, out);
    }
  }

 private:
  std::vector<typename B::tensor> readers_;  ///< of each block, [n_classes, d_model]
  scratch<B> moved_, asked_;
};

/// The cosine of each patch's own token with the class: read as the class token is, through ln_post
/// and the projection.
template <tensor_backend B>
class patch_similarity {
 public:
  using scalar = typename B::scalar;

  /// @param weights     whose ln_post and projection outlive this
  /// @param eps         of ln_post
  /// @param classifier  unit columns, [d_joint, n_classes]
  template <lens_weights_for<B> W>
  patch_similarity(const B& be, const W& weights, double eps, const_view_of<B> classifier)
      : weight_(weights.ln_post_weight),
        bias_(weights.ln_post_bias),
        projection_(weights.projection),
        eps_(static_cast<scalar>(eps)),
        classes_(be.allocate({classifier.extent(1), classifier.extent(0)})) {
    be.copy(classifier.transposed(), classes_.view());
  }

  /// @param tokens  [n_images, n_tokens, d_model], leaving the last block
  /// @throws shape_error when they do not fit
  void maps(const B& be, const_view_of<B> tokens, std::span<const index_t> classes,
            view_of<B> out) {
    const index_t n = out.extent(0), p = out.extent(2), asked = std::ssize(classes);
    const index_t d = projection_.extent(0), e = projection_.extent(1);
    checks::same("patch_similarity", shape{n, p + 1, d}, tokens.extents(), "tokens");
    const view_of<B> normed = normed_.get(be, {n, p, d}),
                     projected = projected_.get(be, {n * p, e});
    be.layer_norm(tokens.slice(1, 1, p + 1), weight_, bias_, eps_, normed, {}, {});
    be.gemm(1, const_view_of<B>(normed).reshaped({n * p, d}), projection_, 0, projected);
    normalize_rows(be, projected);
    auto rows = be.allocate_indices({asked});
    be.upload(host_view<const index_t>(classes.data(), {asked}), rows.view());
    const view_of<B> chosen = asked_.get(be, {asked, e});
    be.gather(std::as_const(classes_).view(), const_index_view_of<B>(rows.view()), chosen);
    be.batched_gemm(1, const_view_of<B>(chosen).repeated(n),
                    const_view_of<B>(projected).reshaped({n, p, e}).transposed(), 0, out);
  }

 private:
  const_view_of<B> weight_, bias_, projection_;
  scalar eps_;
  typename B::tensor classes_;  ///< [n_classes, d_joint]
  scratch<B> normed_, projected_, asked_;
};

}  // namespace solens
