#pragma once

#include <algorithm>  // std::min
#include <cmath>      // std::abs
#include <utility>    // std::as_const
#include <vector>

#include <solens/findings/analysis.hpp>

#include "lens/backends.hpp"
#include "support/test.hpp"

namespace solens::test {

/// Weights and activations of a transformer that nobody ran: the findings are exact for any
/// numbers, so random ones will do.
template <tensor_backend B, index_t n_writers = 7>
struct made_up {
  using scalar = typename B::scalar;
  static constexpr index_t layers = 4, heads = 2, d_head = 3, d_model = 6, d_joint = 10,
                           writers = n_writers, tokens = 2, images = 31;
  std::vector<typename B::tensor> owned;
  lens_weights<B> weights;
  lens_activations<B> activations;
  unsigned seed = 100;

  const_view_of<B> random(const shape& extents, bool positive = false) {
    auto numbers = random_tensor<scalar>(extents, seed++);
    if (positive) {
      for (scalar& x : numbers) x = std::abs(x) + scalar{0.5};
    }
    const B be = make_backend<B>();
    owned.push_back(on_backend(be, numbers));
    return std::as_const(owned.back()).view();
  }

  made_up() {
    for (index_t l = 0; l < layers; ++l) {
      weights.blocks.push_back({random({d_model}), random({d_model}),
                                random({heads, d_head, d_model}), random({heads, d_head}),
                                random({heads, d_model, d_head}), random({d_model}),
                                random({writers, d_model}), random({d_model})});
      activations.blocks.push_back({random({images, tokens}),
                                    random({images, tokens}, true),
                                    random({images, heads, tokens}),
                                    {},
                                    random({images, tokens, writers}),
                                    {}});
    }
    weights.ln_post_weight = random({d_model});
    weights.ln_post_bias = random({d_model});
    weights.projection = random({d_model, d_joint});
    activations.ln_post_mean = random({images});
    activations.ln_post_scale = random({images}, true);
    activations.representation = random({images, d_joint});
  }

  /// The activations with each view put through f.
  template <class F>
  lens_activations<B> with_each(F&& f) const {
    lens_activations<B> part = activations;
    for (auto& b : part.blocks) {
      for (auto* v : {&b.ln_1_mean, &b.ln_1_scale, &b.class_attention, &b.writers}) *v = f(*v);
    }
    for (auto* v : {&part.ln_post_mean, &part.ln_post_scale, &part.representation}) *v = f(*v);
    return part;
  }

  lens_activations<B> batch(index_t begin, index_t end) const {
    return with_each([&](const_view_of<B> v) { return v.slice(0, begin, end); });
  }

  void add(const B& be, analysis<B>& a, index_t begin, index_t end, index_t batch_size) const {
    for (index_t i = begin; i < end; i += batch_size) {
      a.add(be, batch(i, std::min(end, i + batch_size)));
    }
  }

  /// Everything about the effects of a layer, all in memory.
  struct all_effects {
    host_tensor<scalar> coefficients;  ///< [images, sources, writers]
    host_tensor<scalar> effects;       ///< [images, writers, d_joint]
    host_tensor<scalar> scaled;        ///< [images, d_joint]: representations of norm 100
  };

  all_effects effects_of(const B& be, index_t layer, convention how) const {
    head_maps<B> maps(be, weights, how);
    second_order_map<B> map(be, maps, weights, layer);
    attention_routes<B> routes;
    routes.update(be, activations, layer + 1);
    auto s = be.allocate({images, map.n_sources(), writers});
    auto rest = be.allocate({images, d_joint}), scaled = be.allocate({images, d_joint});
    auto out = be.allocate({images, writers, d_joint});
    map.coefficients(be, routes, activations.blocks[static_cast<std::size_t>(layer)].writers,
                     s.view());
    map.rest(be, routes, activations, rest.view());
    map.effects(be, s.view(), rest.view(), out.view());
    be.multiply(activations.representation, routes.readout().scale().repeated(d_joint).transposed(),
                scaled.view());
    return {on_host(be, s.view()), on_host(be, out.view()), on_host(be, scaled.view())};
  }

  /// [images, sources, writers]
  host_tensor<scalar> coefficients(const B& be, index_t layer) const {
    return effects_of(be, layer, convention::centered).coefficients;
  }
  /// [images, writers, d_joint]
  host_tensor<scalar> effects(const B& be, index_t layer, convention how) const {
    return effects_of(be, layer, how).effects;
  }

  /// What the layer's writers and bias add at each token: [images, tokens, d_model].
  typename B::tensor outputs(const B& be, index_t layer) const {
    const auto& w = weights.blocks[static_cast<std::size_t>(layer)];
    auto out = be.allocate({images, tokens, d_model});
    be.batched_gemm(1, activations.blocks[static_cast<std::size_t>(layer)].writers,
                    w.writer_directions.repeated(images), 0, out.view());
    be.add_bias(w.writer_bias, out.view());
    return out;
  }
};

}  // namespace solens::test
