#pragma once

#include <utility>  // std::move
#include <vector>

#include <solens/backend/eigen.hpp>
#include <solens/model/lens_views.hpp>
#include <solens/model/load.hpp>
#include <solens/model/vision_tower.hpp>

#include "lens/tiny_clip.hpp"
#include "model/fixture.hpp"
#include "support/test.hpp"

namespace solens::test {

/// A model with a forward pass that was run once, in double: its weights and activations can go to
/// every backend.
class forward_in_double {
 public:
  using backend = eigen_backend<double>;

  forward_in_double(vision_tower<backend> tower, const host_tensor<double>& pixels)
      : tower_(std::move(tower)), cache_(make_cache(pixels)) {
    auto work = tower_.make_workspace(be_, pixels.extent(0));
    host_tensor<double> representation({pixels.extent(0), tower_.d_joint()});
    tower_.forward(be_, pixels, work, representation, &cache_);
  }

  /// tiny-a on images that the published code was run on.
  static const forward_in_double& tiny_a() {
    static const forward_in_double once = [] {
      auto model = fixture_model(backend{}, "tiny-a");
      return forward_in_double(
          {model.config.vision, std::move(*model.weights.vision)},
          safetensors_file(data("tiny-a.stages.safetensors")).tensor<double>("train_images"));
    }();
    return once;
  }

  /// Toyland's model on noise: what is exact is exact for any pixels.
  static const forward_in_double& toyland() {
    static const forward_in_double once = [] {
      auto model = load_clip(backend{}, data("../../examples/toyland/model"), {.text = false});
      return forward_in_double({model.config.vision, std::move(*model.weights.vision)},
                               random_tensor<double>({48, 3, 64, 64}, 5));
    }();
    return once;
  }

  const vision_config& config() const { return tower_.config(); }
  index_t n_images() const { return activations().representation.extent(0); }
  lens_weights<backend> weights() const { return lens_weights_of(tower_); }
  lens_activations<backend> activations() const { return lens_activations_of(cache_); }

  /// Both on another backend, for the images [begin, end).
  template <tensor_backend B>
  lens_inputs<B> on(const B& be, index_t begin, index_t end) const {
    lens_inputs<B> in;
    const auto keep = [&](host_view<const double> x) { return in.keep(be, x); };
    const auto part = [&](host_view<const double> x) {
      return x.empty() ? const_view_of<B>{} : in.keep(be, x.slice(0, begin, end));
    };
    const auto w = weights();
    for (const auto& b : w.blocks) {
      in.weights.blocks.push_back({keep(b.ln_1_weight), keep(b.ln_1_bias), keep(b.value_weight),
                                   keep(b.value_bias), keep(b.output_weight), keep(b.output_bias),
                                   keep(b.writer_directions), keep(b.writer_bias)});
    }
    in.weights.ln_post_weight = keep(w.ln_post_weight);
    in.weights.ln_post_bias = keep(w.ln_post_bias);
    in.weights.projection = keep(w.projection);
    const auto a = activations();
    for (const auto& b : a.blocks) {
      in.activations.blocks.push_back({part(b.ln_1_mean), part(b.ln_1_scale),
                                       part(b.class_attention), part(b.values), part(b.writers),
                                       part(b.mlp_out)});
    }
    in.activations.embedding = part(a.embedding);
    in.activations.ln_post_mean = part(a.ln_post_mean);
    in.activations.ln_post_scale = part(a.ln_post_scale);
    in.activations.representation = part(a.representation);
    return in;
  }

 private:
  activation_cache<backend> make_cache(const host_tensor<double>& pixels) const {
    const vision_config& c = tower_.config();
    std::vector<site> sites = decomposition_sites(c);
    std::vector<index_t> layers;
    for (index_t l = 0; l + 1 < c.n_layers; ++l) layers.push_back(l);
    for (const site& s : second_order_sites(c, layers)) sites.push_back(s);
    return tower_.make_cache(be_, pixels.extent(0), sites);
  }

  backend be_;
  vision_tower<backend> tower_;
  activation_cache<backend> cache_;
};

}  // namespace solens::test
