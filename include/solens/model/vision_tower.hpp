#pragma once

#include <span>
#include <string>
#include <utility>  // std::move

#include <solens/model/activation_cache.hpp>
#include <solens/model/config.hpp>
#include <solens/model/transformer.hpp>
#include <solens/model/weights.hpp>

namespace solens {

/// Where in a block a stream enters.
enum class entry {
  block,  ///< before ln_1
  mlp,    ///< between attention and MLP
};

/// CLIP's vision transformer: pixels to a representation in the joint image-text space.
///
/// Holds the weights; what a forward pass changes is in its workspace and cache, so that one
/// tower serves many threads, each with its own two.
///
/// Source: arXiv 2103.00020, section 2.4; arXiv 2010.11929.
template <tensor_backend B>
class vision_tower {
 public:
  using workspace = transformer_workspace<B>;

  /// @throws shape_error when the weights are not of the configuration's shapes
  vision_tower(vision_config config, vision_weights<B> weights)
      : config_(std::move(config)), weights_(std::move(weights)) {
    check_weights();
  }

  const vision_config& config() const { return config_; }
  const vision_weights<B>& weights() const { return weights_; }
  index_t d_joint() const { return weights_.projection.view().extent(1); }

  site_extents extents(index_t n_images) const {
    return site_extents_of(config_, d_joint(), n_images);
  }

  workspace make_workspace(const B& be, index_t max_images) const {
    const index_t t = config_.n_tokens();
    return {be,   config_, max_images, t, max_images * t, weights_.patch_weight.view().extent(1),
            false};
  }

  activation_cache<B> make_cache(const B& be, index_t max_images,
                                 std::span<const site> sites) const {
    return {be, extents(max_images), sites};
  }

  /// The representations of a batch of images.
  ///
  /// @param pixels          [n_images, 3, image_size, image_size], normalised
  /// @param representation  overwritten, [n_images, d_joint], not normalised
  /// @param cache           keeps what it was made for; null for nothing
  /// @throws shape_error for pixels of another size, or more images than the workspace holds
  void forward(const B& be, const_view_of<B> pixels, workspace& work, view_of<B> representation,
               activation_cache<B>* cache = nullptr) const {
    const index_t n = pixels.rank() == 4 ? pixels.extent(0) : 0;
    checks::same("vision_tower", shape{n, 3, config_.image_size, config_.image_size},
                 pixels.extents(), "pixels [n_images, 3, height, width]");
    check_batch(n, work, representation);
    if (cache != nullptr) cache->begin_batch(n);
    if (n == 0) return;
    const view_of<B> x = work.residual({n, config_.n_tokens(), config_.d_model});
    embed(be, pixels, work, x, cache);
    transformer_pass<B> pass = pass_over(be, x, work, cache);
    pass.run(0);
    finish(pass, representation);
  }

  /// The rest of a forward pass, from a residual stream that the caller made.
  ///
  /// @param residual  [n_images, n_tokens, d_model], contiguous; overwritten. With
  ///                  entry::block, `layer` may be the number of blocks: then what is left is
  ///                  ln_post and the projection
  /// @param cache     keeps what it was made for of what is computed; the rest of it is left as
  ///                  it was
  /// @throws shape_error, argument_error for a layer that is not there
  void forward_from(const B& be, index_t layer, entry at, view_of<B> residual, workspace& work,
                    view_of<B> representation, activation_cache<B>* cache = nullptr) const {
    if (layer < 0 || layer >= config_.n_layers + (at == entry::block ? 1 : 0)) {
      throw argument_error("vision_tower", "one of " + std::to_string(config_.n_layers) + " blocks",
                           std::to_string(layer), "layer");
    }
    const index_t n = residual.rank() == 3 ? residual.extent(0) : 0;
    checks::same("vision_tower", shape{n, config_.n_tokens(), config_.d_model}, residual.extents(),
                 "residual [n_images, n_tokens, d_model]");
    check_batch(n, work, representation);
    if (cache != nullptr) cache->begin_batch(n);
    if (n == 0) return;
    transformer_pass<B> pass = pass_over(be, residual, work, cache);
    if (at == entry::block) {
      pass.run(layer);
    } else {
      pass.run_from_mlp(layer);
    }
    finish(pass, representation);
  }

 private:
  using scalar = typename B::scalar;

  transformer_pass<B> pass_over(const B& be, view_of<B> x, workspace& work,
                                activation_cache<B>* cache) const {
    return {be, config_, weights_.blocks, work, x, {{x.extent(0), x.extent(1), {}}}, false, cache};
  }

  void finish(transformer_pass<B>& pass, view_of<B> representation) const {
    pass.finish(weights_.ln_post_weight.view(), weights_.ln_post_bias.view(),
                weights_.projection.view(), representation);
  }

  /// Class embedding and patches, positions, ln_pre.
  void embed(const B& be, const_view_of<B> pixels, workspace& work, view_of<B> x,
             activation_cache<B>* cache) const {
    const index_t n = pixels.extent(0), t = config_.n_tokens(), c = config_.d_model;
    const index_t g = config_.grid(), p = config_.patch_size;
    // One row a token; the class token's is zero, so that one product serves all images.
    const view_of<B> unfolded = work.wide({n, t, 3 * p * p});
    be.fill(0, unfolded.select(1, 0));
    be.copy(pixels.split(2, p).split(4, p).permuted({0, 2, 4, 1, 3, 5}),
            unfolded.slice(1, 1, t).split(1, g).split(3, p * p).split(4, p));
    be.gemm(1, unfolded.reshaped({n * t, 3 * p * p}), weights_.patch_weight.view().transposed(), 0,
            x.reshaped({n * t, c}));
    be.copy(weights_.class_embedding.view().repeated(n), x.select(1, 0));
    const auto keep = [&](site_kind kind) {
      const view_of<B> to = cache == nullptr ? view_of<B>{} : cache->slot({kind, 0, false});
      if (!to.empty()) be.copy(x, to);
    };
    keep(site_kind::embed);
    be.axpby(1, weights_.positional_embedding.view().repeated(n), 1, x);
    keep(site_kind::full_embed);
    be.layer_norm(x, weights_.ln_pre_weight.view(), weights_.ln_pre_bias.view(),
                  static_cast<scalar>(config_.eps), x, {}, {});
  }

  void check_batch(index_t n, const workspace& work, view_of<B> representation) const {
    if (n > work.max_sequences()) {
      throw shape_error("vision_tower",
                        "at most " + std::to_string(work.max_sequences()) + " images",
                        std::to_string(n), "workspace");
    }
    checks::same("vision_tower", shape{n, d_joint()}, representation.extents(), "representation");
  }

  void check_weights() const {
    const index_t c = config_.d_model, p = config_.patch_size;
    const auto same = [](const typename B::tensor& tensor, const shape& expected,
                         const std::string& name) {
      checks::same("vision_tower", expected, tensor.view().extents(), name);
    };
    same(weights_.patch_weight, {c, 3 * p * p}, "patch_weight");
    same(weights_.class_embedding, {c}, "class_embedding");
    same(weights_.positional_embedding, {config_.n_tokens(), c}, "positional_embedding");
    same(weights_.ln_pre_weight, {c}, "ln_pre_weight");
    same(weights_.ln_pre_bias, {c}, "ln_pre_bias");
    check_blocks<B>("vision_tower", config_, weights_.blocks);
    same(weights_.ln_post_weight, {c}, "ln_post_weight");
    same(weights_.ln_post_bias, {c}, "ln_post_bias");
    if (weights_.projection.view().rank() != 2) {
      throw shape_error("vision_tower", "[d_model, d_joint]",
                        to_string(weights_.projection.view().extents()), "projection");
    }
    same(weights_.projection, {c, d_joint()}, "projection");
  }

  vision_config config_;
  vision_weights<B> weights_;
};

}  // namespace solens
