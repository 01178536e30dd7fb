#pragma once

#include <algorithm>  // std::clamp, std::copy, std::max, std::min
#include <array>
#include <atomic>
#include <cmath>    // std::isfinite
#include <cstddef>  // std::size_t
#include <filesystem>
#include <functional>  // std::function
#include <memory>      // std::unique_ptr: maps hold references to the heads
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <solens/backend/concept.hpp>
#include <solens/backend/parallel.hpp>
#include <solens/core/background.hpp>
#include <solens/findings/centered_effects.hpp>
#include <solens/findings/coefficient_store.hpp>
#include <solens/findings/direction.hpp>
#include <solens/findings/images_of_writers.hpp>
#include <solens/findings/selectivity.hpp>
#include <solens/findings/stream_rows.hpp>
#include <solens/lens/attention_routes.hpp>
#include <solens/lens/head_map.hpp>
#include <solens/lens/second_order.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

struct analysis_options {
  std::vector<index_t> layers = {};  ///< whose writers to look at; each must have later blocks
  index_t top = 100;                 ///< images kept of each writer, and the rank of its threshold
  convention how = convention::centered;
  double coefficient = 100;            ///< the norm that a representation is scaled to
  std::filesystem::path scratch = {};  ///< a folder for the coefficients; theirs until `clear`
  std::size_t memory = std::size_t{2} << 30;  ///< bytes that the records on their way to the disk,
                                              ///< and later `finish`, may take
};

/// What is found about every writer of one layer.
template <class T>
struct layer_findings {
  host_tensor<T> mean_effect;        ///< [n_writers, d_joint]
  host_tensor<T> mean_coefficients;  ///< [n_writers, later heads]: the mean of s
  selectivity_of_writers<T> selectivity;
  direction_of_writers<T> direction;
};

/// The findings of a data set, in one forward pass over a stream of any length.
///
/// `add` takes the activations of each batch and keeps their coefficients of every layer on disk:
/// n_images * n_writers * (later heads) numbers, where the effects would be n_images * n_writers
/// * d_joint. `finish` then reads them block of writers by block of writers, so that all results
/// are exact, as with every effect in memory, while memory stays within a budget. The disk is
/// written while the next batch is computed, and read while the block before is. Coefficients of
/// layers that are done with can be removed meanwhile.
///
/// Interrupted work goes on: an analysis made with the batch sizes of an earlier one finds their
/// coefficients in the scratch folder.
/// Source: arXiv 2406.04341, section 3.3.
template <tensor_backend B>
class analysis {
 public:
  using scalar = typename B::scalar;

  /// @param weights  what they view must outlive the analysis
  /// @param batches  images in each batch already added; empty for a new analysis
  /// @throws argument_error for a layer without later blocks; io_error when the scratch folder
  ///         cannot be used, or holds less than `batches` says
  template <lens_weights_for<B> W>
  analysis(const B& be, const W& weights, analysis_options options,
           const std::vector<index_t>& batches = {})
      : options_(std::move(options)),
        heads_(std::make_unique<head_maps<B>>(be, weights, options_.how)),
        routes_(options_.coefficient),
        writer_(
            std::make_unique<record_writer>(std::min(options_.memory, std::size_t{512} << 20))) {
    if (options_.layers.empty()) throw argument_error("analysis", "one layer or more", "none");
    for (index_t layer : options_.layers) {
      auto& of = layers_.emplace_back(
          layer_state{second_order_map<B>(be, *heads_, weights, layer), {}, {}});
      const std::string name = "layer-" + std::to_string(layer);
      of.coefficients = std::make_unique<coefficient_store<scalar>>(
          *writer_, options_.scratch / (name + ".coefficients"), of.map.n_writers(),
          of.map.n_sources(), batches);
      if (options_.how == convention::reference) {
        of.rest = std::make_unique<coefficient_store<scalar>>(
            *writer_, options_.scratch / (name + ".rest"), 1, of.map.d_joint(), batches);
      }
    }
    first_block_ = 1 + *std::min_element(options_.layers.begin(), options_.layers.end());
  }

  /// Bytes of coefficients that are worked on at once, and as many of what is made of them: on a
  /// processor what the cache of each thread's core holds, with the matrices that they meet. The
  /// budget holds both beside a block of writers.
  static std::size_t part_bytes() {
    return on_host ? static_cast<std::size_t>(thread_team().size()) << 18 : std::size_t{8} << 20;
  }

  const analysis_options& options() const { return options_; }
  const std::vector<index_t>& batches() const { return last_store().batches(); }
  index_t n_images() const { return last_store().n_images(); }

  /// Takes in a batch.
  /// @param activations  writers of the layers; ln_1_scale and class_attention of all later
  ///                     blocks; ln_post_scale and representation; the means too in the reference
  ///                     convention
  /// @param names        of the images, for messages; may be empty
  /// @throws format_error naming the image and layer where something is NaN or infinite: what was
  ///         added before is kept, and the batch may come again. io_error, here or in `sync`, when
  ///         the disk is full: what was synchronised before is kept
  template <lens_activations_for<B> A>
  void add(const B& be, const A& activations, std::span<const std::string> names = {}) {
    routes_.update(be, activations, first_block_);
    const index_t n = routes_.n_images(), before = n_images();
    for (auto& of : layers_) {
      const auto layer = static_cast<std::size_t>(of.map.layer());
      const auto writers = activation_views<B>(activations.blocks[layer]).writers;
      of.coefficients->cut(before);
      const host_view<scalar> record = of.coefficients->next(n);
      of.map.for_coefficients(
          be, routes_, writers, [&](index_t image, index_t writer, const_view_of<B> s) {
            const auto to =
                record.slice(0, writer, writer + s.extent(0)).slice(1, image, image + s.extent(1));
            if (!keep(be, s, to)) refuse_not_finite(to, of.map.layer(), before, image, names);
          });
      of.coefficients->append();
      if (of.rest) {
        of.rest->cut(before);
        const view_of<B> rest = buffer_.get(be, {n, of.map.d_joint()});
        of.map.rest(be, routes_, activations, rest);
        be.download(const_view_of<B>(rest), of.rest->next(n)[0]);
        of.rest->append();
      }
    }
  }

  /// Waits until everything added is on the disk itself.
  void sync() {
    for (auto& of : layers_) of.sync();
  }

  /// The findings of one layer over all images added.
  /// @param progress  called with the number of writers done after each block
  /// @throws argument_error for a layer that is not among the options', fewer images than `top`,
  ///         or a memory budget that a single writer exceeds
  layer_findings<scalar> finish(const B& be, index_t layer,
                                const std::function<void(index_t)>& progress = {}) {
    auto& of = state_of(layer);
    const index_t n = of.map.n_writers(), k = of.map.n_sources(), e = of.map.d_joint();
    const index_t size = block_size(of);
    of.sync();
    layer_findings<scalar> result = empty_findings(of.map);
    images_of_writers<scalar> shared;
    if (of.rest) {
      shared.read(*of.rest, 0, 1);
      shared.measure();
    }
    std::array<images_of_writers<scalar>, 2> blocks;
    background reader;
    const auto fetch = [&](index_t begin) {
      if (begin >= n) return;
      auto& images = blocks[static_cast<std::size_t>(begin / size % 2)];
      reader.post([&of, &images, begin, end = std::min(n, begin + size)] {
        images.read(*of.coefficients, begin, end);
      });
    };
    fetch(0);
    for (index_t begin = 0; begin < n; begin += size) {
      const index_t end = std::min(n, begin + size);
      const view_of<B> directions = directions_.get(be, {end - begin, k, e});
      of.map.directions(be, begin, end, directions);
      reader.wait();
      fetch(end);
      auto& images = blocks[static_cast<std::size_t>(begin / size % 2)];
      images.measure();
      find(be, images, shared, directions, begin, result);
      if (progress) progress(end);
    }
    return result;
  }

  /// Removes the coefficients of a layer from the scratch folder, in the background, where that
  /// takes a disk as long as reading them. Nothing can be added any more, nor found of the layer.
  void clear(index_t layer) {
    remover_.post([&of = state_of(layer)] { of.remove(); });
  }

  /// Removes the coefficients of all layers, and waits until that is done.
  void clear() {
    for (auto& of : layers_) clear(of.map.layer());
    remover_.wait();
  }

 private:
  static constexpr bool on_host = std::is_same_v<typename B::space, host_space>;

  struct layer_state {
    second_order_map<B> map;
    std::unique_ptr<coefficient_store<scalar>> coefficients;
    std::unique_ptr<coefficient_store<scalar>> rest;  ///< the reference convention's shared part

    void sync() {
      coefficients->sync();
      if (rest) rest->sync();
    }
    void remove() {
      coefficients->remove();
      if (rest) rest->remove();
    }
  };

  /// The store that is written last: a batch is in when it is in this one.
  const coefficient_store<scalar>& last_store() const {
    return layers_.back().rest ? *layers_.back().rest : *layers_.back().coefficients;
  }

  layer_state& state_of(index_t layer) {
    for (auto& of : layers_) {
      if (of.map.layer() == layer) return of;
    }
    throw argument_error("analysis", "one of the layers analysed", std::to_string(layer), "layer");
  }

  /// Writes coefficients [n, m, n_sources] to their part of a record; whether all are finite.
  bool keep(const B& be, const_view_of<B> s, host_view<scalar> to) {
    host_tensor<scalar> here;
    host_view<const scalar> from;
    if constexpr (on_host) {
      from = s;
    } else {
      here = host_tensor<scalar>(s.extents());
      be.download(s, here);
      from = std::as_const(here).view();
    }
    std::atomic<bool> finite = true;
    // Each thread takes those images whose coefficients it has made, which its cache still holds.
    thread_team().split(s.extent(1), 1, [&](index_t first, index_t last) {
      const auto rows = [&](auto x) {
        const auto part = x.slice(1, first, last);
        return decltype(x)(part.data(), {x.extent(0), (last - first) * x.extent(2)},
                           {x.stride(0), 1});
      };
      if (!stream_rows<scalar>(rows(from), rows(to))) finite = false;
    });
    return finite;
  }

  /// @param s       coefficients [n_writers, n, n_sources], not all of them finite
  /// @param before  images before the batch
  /// @param image   the first of the n images in the batch
  [[noreturn]] static void refuse_not_finite(host_view<const scalar> s, index_t layer,
                                             index_t before, index_t image,
                                             std::span<const std::string> names) {
    const auto finite = [&](index_t i) {
      for (index_t w = 0; w < s.extent(0); ++w) {
        for (index_t k = 0; k < s.extent(2); ++k) {
          if (!std::isfinite(s(w, i, k))) return false;
        }
      }
      return true;
    };
    index_t i = 0;
    while (i + 1 < s.extent(1) && finite(i)) ++i;
    std::string name = "image " + std::to_string(before + image + i);
    if (!names.empty()) name += ", " + names[static_cast<std::size_t>(image + i)];
    throw format_error("analysis", "finite activations", "NaN or infinity",
                       name + ", layer " + std::to_string(layer));
  }

  /// The findings of a block of writers, from `begin` on.
  /// @param shared  the reference convention's shared part; nothing in the other
  void find(const B& be, const images_of_writers<scalar>& images,
            const images_of_writers<scalar>& shared, const_view_of<B> directions, index_t begin,
            layer_findings<scalar>& result) {
    const index_t n = directions.extent(0), k = directions.extent(1), e = directions.extent(2);
    const index_t m = n_images(), end = begin + n;
    effects_.begin(be, directions, m, !shared.empty());
    // Of few writers many images, as tall products are the fastest, in parts of the same size.
    const index_t together = on_host ? std::min<index_t>(n, 2 * thread_team().size()) : n;
    const auto numbers = static_cast<index_t>(part_bytes() / sizeof(scalar));
    const index_t most =
        std::max<index_t>(16, numbers / (together * std::max(k, effects_.d_frame())));
    const index_t parts = (m + most - 1) / most, step = (m + parts - 1) / parts;
    for (index_t writer = 0; writer < n; writer += together) {
      for (index_t first = 0; first < m; first += step) {
        const index_t count = std::min(m - first, step);
        const auto s =
            on_backend(be, coefficients_, {std::min(n - writer, together), count, k},
                       [&](host_view<scalar> out) { images.centered(writer, first, out); });
        const auto rest = shared.empty()
                              ? const_view_of<B>{}
                              : on_backend(be, shared_, {1, count, e}, [&](host_view<scalar> out) {
                                  shared.centered(0, first, out);
                                })[0];
        effects_.add(be, writer, first, s, rest);
      }
    }
    const auto selective = selectivity(be, effects_.norms(), options_.top);
    const auto chosen = selective.top_images.view();
    const auto s = on_backend(be, coefficients_, {n, options_.top, k},
                              [&](host_view<scalar> out) { images.centered(chosen, out); });
    const auto rest =
        shared.empty() ? const_view_of<B>{}
                       : on_backend(be, shared_, {n, options_.top, e},
                                    [&](host_view<scalar> out) { shared.centered(chosen, out); });
    paste(selective, result.selectivity, begin);
    paste(principal_direction(be, effects_, s, rest), result.direction, begin);

    const auto mean_s = result.mean_coefficients.view().slice(0, begin, end);
    std::copy(images.mean().begin(), images.mean().end(), mean_s.data());
    auto mean = be.allocate({n, 1, k}), effect = be.allocate({n, 1, e});
    be.upload(images.mean().view(), mean.view().select(1, 0));
    be.batched_gemm(1, const_view_of<B>(mean.view()), directions, 0, effect.view());
    const auto mean_effect = result.mean_effect.view().slice(0, begin, end);
    be.download(const_view_of<B>(effect.view()).select(1, 0), mean_effect);
    for (index_t w = 0; w < n && !shared.empty(); ++w) {
      for (index_t j = 0; j < e; ++j) mean_effect(w, j) += shared.mean()(0, j);
    }
  }

  /// What `fill` puts into host memory, in the backend's memory; until the next call with the same
  /// scratch.
  template <class F>
  const_view_of<B> on_backend(const B& be, scratch<B>& memory, const shape& extents, F&& fill) {
    const view_of<B> out = memory.get(be, extents);
    if constexpr (on_host) {
      fill(out);
    } else {
      host_tensor<scalar> host(extents);
      fill(host.view());
      be.upload(host_view<const scalar>(host.view()), out);
    }
    return out;
  }

  /// As many writers as the budget holds, and no more than it takes to keep backend and disk busy.
  index_t block_size(const layer_state& of) const {
    const auto m = static_cast<std::size_t>(n_images());
    const auto k = static_cast<std::size_t>(of.map.n_sources());
    const auto e = static_cast<std::size_t>(of.map.d_joint());
    const auto top = static_cast<std::size_t>(options_.top);
    const std::size_t frame = of.rest || k >= e ? e : k;
    const std::size_t one =
        sizeof(scalar) * (2 * m * k + 4 * m + 2 * k * e + 2 * k * k + 2 * frame * frame +
                          top * top + 3 * top * (frame + k + (of.rest ? e : 0)));
    const std::size_t fixed = 2 * part_bytes() + (of.rest ? sizeof(scalar) * m * e : 0) +
                              4 * page_size * of.coefficients->batches().size();
    if (options_.memory < fixed + one) {
      throw argument_error("analysis",
                           "a memory budget of " + std::to_string(fixed + one) + " bytes or more",
                           std::to_string(options_.memory), "memory");
    }
    // So many keep a disk busy, and are enough for the products that make their directions.
    const std::size_t enough = (std::size_t{192} << 20) / (sizeof(scalar) * m * k);
    return static_cast<index_t>(
        std::clamp<std::size_t>(std::min((options_.memory - fixed) / one, enough), 1, 256));
  }

  layer_findings<scalar> empty_findings(const second_order_map<B>& map) const {
    const index_t n = map.n_writers(), e = map.d_joint(), top = options_.top;
    const auto q = static_cast<index_t>(norm_probabilities.size());
    return {
        host_tensor<scalar>({n, e}),
        host_tensor<scalar>({n, map.n_sources()}),
        {host_tensor<index_t>({n, top}), host_tensor<scalar>({n, top}), host_tensor<scalar>({n}),
         host_tensor<index_t>({n}), host_tensor<scalar>({n}), host_tensor<scalar>({n, q})},
        {host_tensor<scalar>({n, e}), host_tensor<scalar>({n}), host_tensor<scalar>({n}),
         host_tensor<scalar>({n, map.n_sources()})}};
  }

  template <class T>
  static void paste(const host_tensor<T>& block, host_tensor<T>& whole, index_t begin) {
    const index_t row = block.size() / std::max<index_t>(1, block.extent(0));
    std::copy(block.begin(), block.end(), whole.data() + begin * row);
  }
  static void paste(const selectivity_of_writers<scalar>& block,
                    selectivity_of_writers<scalar>& whole, index_t begin) {
    paste(block.top_images, whole.top_images, begin);
    paste(block.top_norms, whole.top_norms, begin);
    paste(block.threshold, whole.threshold, begin);
    paste(block.n_significant, whole.n_significant, begin);
    paste(block.top_share, whole.top_share, begin);
    paste(block.norm_quantiles, whole.norm_quantiles, begin);
  }
  static void paste(const direction_of_writers<scalar>& block, direction_of_writers<scalar>& whole,
                    index_t begin) {
    paste(block.direction, whole.direction, begin);
    paste(block.explained_variance, whole.explained_variance, begin);
    paste(block.explained_variance_all, whole.explained_variance_all, begin);
    paste(block.by_head, whole.by_head, begin);
  }

  analysis_options options_;
  std::unique_ptr<head_maps<B>> heads_;
  attention_routes<B> routes_;
  std::unique_ptr<record_writer> writer_;  ///< outlives the stores
  std::vector<layer_state> layers_;
  index_t first_block_ = 0;
  centered_effects<B> effects_;
  scratch<B> buffer_, directions_, coefficients_, shared_;
  background remover_;  // last: what it has under way needs the stores
};

}  // namespace solens
