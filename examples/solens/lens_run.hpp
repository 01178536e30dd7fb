#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <solens/model/lens_views.hpp>
#include <solens/model/vision_tower.hpp>

#include "backends.hpp"
#include "image_input.hpp"
#include "model_files.hpp"

namespace solens::program {

/// A vision tower that runs over images and keeps what the lens asks for.
template <tensor_backend B>
class lens_run {
 public:
  /// @param at_once  the most images in a batch
  lens_run(const B& be, vision_tower<B> tower, index_t at_once, std::span<const site> sites)
      : be_(be),
        tower_(std::move(tower)),
        work_(tower_.make_workspace(be, at_once)),
        cache_(tower_.make_cache(be, at_once, sites)),
        pixels_(be.allocate({at_once, 3, tower_.config().image_size, tower_.config().image_size})),
        representation_(be.allocate({at_once, tower_.d_joint()})) {}

  const vision_tower<B>& tower() const { return tower_; }
  const activation_cache<B>& cache() const { return cache_; }
  transformer_workspace<B>& workspace() { return work_; }

  /// Runs a batch; valid until the next one.
  lens_activations<B> operator()(host_view<const float> pixels) {
    const index_t n = pixels.extent(0);
    const auto on_device = pixels_.view().slice(0, 0, n);
    be_.upload(pixels, on_device);
    tower_.forward(be_, on_device, work_, representation_.view().slice(0, 0, n), &cache_);
    return lens_activations_of(cache_);
  }

 private:
  const B& be_;
  vision_tower<B> tower_;
  transformer_workspace<B> work_;
  activation_cache<B> cache_;
  typename B::tensor pixels_, representation_;
};

/// Images in a batch such that what is made of them stays below 256 MB.
inline index_t bounded_batch(index_t wanted, index_t numbers_an_image) {
  constexpr index_t most = index_t{64} << 20;
  return std::clamp<index_t>(most / std::max<index_t>(1, numbers_an_image), 1, wanted);
}

}  // namespace solens::program
