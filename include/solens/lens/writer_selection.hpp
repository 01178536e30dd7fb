#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>  // std::as_const

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/lens/head_map.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

/// The writers of one layer that a question is about: all of them, or a list.
template <tensor_backend B>
class writer_selection {
 public:
  /// @param writers  positions among the layer's writers, in any order; none for all
  /// @throws argument_error for a layer or a writer that is not there; shape_error when the
  ///         writers' directions or bias do not have the heads' width
  template <lens_weights_for<B> W>
  writer_selection(const B& be, const head_maps<B>& heads, const W& weights, index_t layer,
                   std::span<const index_t> writers) {
    const auto n_blocks = static_cast<index_t>(weights.blocks.size());
    if (layer < 0 || layer >= n_blocks) {
      throw argument_error("writer_selection", "a layer below " + std::to_string(n_blocks),
                           std::to_string(layer), "layer");
    }
    const auto w = weight_views<B>(weights.blocks[static_cast<std::size_t>(layer)]);
    const std::string name = "blocks." + std::to_string(layer);
    directions_ = w.writer_directions;
    bias_ = w.writer_bias;
    all_ = directions_.rank() == 2 ? directions_.extent(0) : 0;
    checks::same("writer_selection", shape{all_, heads.d_model()}, directions_.extents(),
                 name + ".writer_directions");
    if (!bias_.empty()) {
      checks::same("writer_selection", shape{heads.d_model()}, bias_.extents(),
                   name + ".writer_bias");
    }
    if (!writers.empty()) select(be, writers);
  }

  index_t size() const { return directions_.extent(0); }  ///< selected writers
  index_t all() const { return all_; }                    ///< writers of the layer
  bool is_all() const { return !positions_.has_value(); }
  const_view_of<B> directions() const { return directions_; }  ///< [size, d_model]
  const_view_of<B> bias() const { return bias_; }              ///< [d_model], or empty

  /// The selected columns of x [n, all], into out [n, size].
  void pick(const B& be, const_view_of<B> x, view_of<B> out) const {
    if (is_all()) return be.copy(x, out);
    be.gather(x.transposed(), positions_->view(), out.transposed());
  }

 private:
  void select(const B& be, std::span<const index_t> writers) {
    for (index_t n : writers) {
      if (n < 0 || n >= all_) {
        throw argument_error("writer_selection", "a writer below " + std::to_string(all_),
                             std::to_string(n), "writers");
      }
    }
    const auto n = static_cast<index_t>(writers.size());
    positions_.emplace(be.allocate_indices(shape{n}));
    be.upload(host_view<const index_t>(writers.data(), shape{n}), positions_->view());
    chosen_.emplace(be.allocate(shape{n, directions_.extent(1)}));
    be.gather(directions_, std::as_const(*positions_).view(), chosen_->view());
    directions_ = std::as_const(*chosen_).view();
  }

  index_t all_ = 0;
  const_view_of<B> directions_, bias_;
  std::optional<typename B::index_tensor> positions_;
  std::optional<typename B::tensor> chosen_;
};

}  // namespace solens
