#pragma once

#include <algorithm>  // std::clamp, std::copy, std::max, std::min
#include <array>
#include <cstddef>     // std::size_t
#include <functional>  // std::function
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <solens/backend/concept.hpp>
#include <solens/backend/parallel.hpp>
#include <solens/core/background.hpp>
#include <solens/findings/centered_effects.hpp>
#include <solens/findings/coefficient_store.hpp>
#include <solens/findings/direction.hpp>
#include <solens/findings/images_of_writers.hpp>
#include <solens/findings/kept_layers.hpp>
#include <solens/findings/routed_writers.hpp>
#include <solens/findings/selectivity.hpp>

namespace solens {

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
/// * d_joint; or the activations that make them, see `analysis_options`. `finish` then reads them
/// block of writers by block of writers, so that all results are exact, as with every effect in
/// memory, while memory stays within a budget. The disk is written while the next batch is
/// computed, and read while blocks before are. What is kept of layers that are done with can be
/// removed meanwhile.
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
      : kept_(be, weights, std::move(options), batches) {}

  /// Bytes of coefficients that are worked on at once, and as many of what is made of them: on a
  /// processor what the cache of each thread's core holds, with the matrices that they meet. The
  /// budget holds both beside a block of writers.
  static std::size_t part_bytes() {
    return on_host ? static_cast<std::size_t>(thread_team().size()) << 18 : std::size_t{8} << 20;
  }

  const analysis_options& options() const { return kept_.options(); }
  const std::vector<index_t>& batches() const { return kept_.batches(); }
  index_t n_images() const { return kept_.n_images(); }

  /// Takes in a batch; see `kept_layers::add`.
  template <lens_activations_for<B> A>
  void add(const B& be, const A& activations, std::span<const std::string> names = {}) {
    kept_.add(be, activations, names);
  }

  /// Waits until everything added is on the disk itself.
  void sync() { kept_.sync(); }

  /// The findings of layers over all images added, as one after the other is complete, in any
  /// order: those whose coefficients are made again keep a processor busy and the others a disk,
  /// so that blocks of both take turns.
  /// @param found     called with each layer and its findings; may `clear` the layer
  /// @param progress  called after each block with the number of writers done, in all layers
  /// @throws argument_error for a layer that is not among the options', fewer images than `top`,
  ///         or a memory budget that a single writer exceeds; io_error when the disk cannot be
  ///         read, or what was added not be written: layers found until then stay found
  void finish(const B& be, const std::vector<index_t>& layers,
              const std::function<void(index_t, layer_findings<scalar>)>& found,
              const std::function<void(index_t)>& progress = {}) {
    const std::vector<part_of_layer> parts = in_turns(layers);
    for (index_t layer : layers) kept_.at(layer).sync();
    if (kept_.routes() != nullptr && routes_read_.n_images() != n_images()) {
      kept_.routes()->sync();
      kept_.routes()->read(0, 1, routes_read_);
    }
    std::map<std::size_t, unfinished_layer> unfinished;
    background reader;
    std::size_t fetched = 0;
    index_t done = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      for (; fetched < std::min(parts.size(), i + n_blocks); ++fetched) {
        reader.post(
            [&part = parts[fetched], &block = blocks_[fetched % n_blocks]] { read(part, block); });
      }
      auto& [position, of, begin, end] = parts[i];
      auto& so_far = unfinished.try_emplace(position, *this, *of).first->second;
      const index_t k = of->map.n_sources();
      const view_of<B> directions = directions_.get(be, {end - begin, k, of->map.d_joint()});
      of->map.directions(be, begin, end, directions);
      reader.wait(fetched - i - 1);
      const block_type& block = blocks_[i % n_blocks];
      if constexpr (on_host) {
        if (of->routed) {
          routed_writers<B> images(be, block, end - begin, routes_read_, options().n_tokens, k);
          find(be, images, so_far.shared, directions, begin, so_far.result);
        }
      }
      if (!of->routed) {
        images_of_writers<scalar> images(block);
        find(be, images, so_far.shared, directions, begin, so_far.result);
      }
      done += end - begin;
      if (progress) progress(done);
      if (end < of->map.n_writers()) continue;
      found(of->map.layer(), std::move(so_far.result));
      unfinished.erase(position);
    }
  }

  /// The findings of one layer over all images added; otherwise as those of several.
  layer_findings<scalar> finish(const B& be, index_t layer,
                                const std::function<void(index_t)>& progress = {}) {
    layer_findings<scalar> result;
    finish(
        be, {layer}, [&](index_t, layer_findings<scalar> found) { result = std::move(found); },
        progress);
    return result;
  }

  /// Removes the coefficients or activations of a layer from the scratch folder, in the background,
  /// where that takes a disk as long as reading them. Nothing can be added any more, nor found of
  /// the layer. Routes, which several layers share, stay until everything is cleared.
  void clear(index_t layer) {
    remover_.post([&of = kept_.at(layer)] { of.remove(); });
  }

  /// Removes what is kept of all layers, and waits until that is done.
  void clear() {
    for (auto& of : kept_.layers()) clear(of.map.layer());
    if (kept_.routes() != nullptr) kept_.routes()->remove();
    remover_.wait();
  }

 private:
  static constexpr bool on_host = kept_layers<B>::on_host;
  using layer_state = typename kept_layers<B>::layer;
  using block_type = typename coefficient_store<scalar>::block;
  static constexpr std::size_t n_blocks = 4;  ///< in memory, read or being worked on

  /// Writers of a layer whose findings are made at once.
  struct part_of_layer {
    std::size_t position;  ///< of the layer among those that were asked for
    layer_state* of;
    index_t begin, end;
  };

  /// What has been found of a layer, and the shared part of its effects in the reference
  /// convention.
  struct unfinished_layer {
    unfinished_layer(const analysis& a, const layer_state& of)
        : result(a.empty_findings(of.map)), rest(rest_of(of)), shared(rest) {
      if (!shared.empty()) shared.measure(0, 1);
    }
    layer_findings<scalar> result;
    block_type rest;
    images_of_writers<scalar> shared;
  };

  /// Nothing in the other convention.
  static block_type rest_of(const layer_state& of) {
    block_type rest;
    if (of.rest) of.rest->read(0, 1, rest);
    return rest;
  }

  /// Memory for a part of the images of some writers.
  struct part_memory {
    scratch<B> coefficients, shared, rows;
  };

  /// Coefficients that a thread works on at once.
  template <class Images>
  static index_t numbers_of_a_part() {
    const auto all = static_cast<index_t>(part_bytes() / sizeof(scalar));
    // Of many writers together more, so that there are images enough for the products.
    return on_host ? all / thread_team().size() * std::min<index_t>(8, Images::together) : all;
  }

  /// Adds all images of writers [writer, end) of a block to its effects, in parts of the same size.
  /// @param numbers  of coefficients in a part
  template <class Images>
  void add_images(const B& be, index_t writer, index_t end, index_t numbers, Images& images,
                  const images_of_writers<scalar>& shared, part_memory& memory) {
    const index_t n = end - writer, k = effects_.directions().extent(1), m = n_images();
    const index_t e = effects_.directions().extent(2);
    const index_t most = std::max<index_t>(16, numbers / (n * std::max(k, effects_.d_frame())));
    const index_t parts = (m + most - 1) / most, step = (m + parts - 1) / parts;
    images.measure(writer, end);
    for (index_t first = 0; first < m; first += step) {
      const index_t count = std::min(m - first, step);
      const auto s = on_backend(be, memory.coefficients, {n, count, k}, [&](host_view<scalar> out) {
        images.centered(writer, first, out);
      });
      const_view_of<B> rest;
      if (!shared.empty()) {
        rest = on_backend(be, memory.shared, {1, count, e},
                          [&](host_view<scalar> out) { shared.centered(0, first, out); })[0];
      }
      // On a processor one by one, so that what is made of a writer's images stays in the cache.
      const index_t each = on_host ? 1 : n;
      for (index_t w = 0; w < n; w += each) {
        effects_.add(be, writer + w, first, s.slice(0, w, w + each), rest, memory.rows);
      }
    }
  }

  /// The parts of layers, in an order in which those whose coefficients are made again lie evenly
  /// among the others.
  std::vector<part_of_layer> in_turns(const std::vector<index_t>& layers) {
    std::array<std::vector<part_of_layer>, 2> kinds;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      layer_state& of = kept_.at(layers[i]);
      const index_t n = of.map.n_writers(), size = block_size(of);
      for (index_t begin = 0; begin < n; begin += size) {
        kinds[of.routed ? 1 : 0].push_back({i, &of, begin, std::min(n, begin + size)});
      }
    }
    const auto& [read, routed] = kinds;
    std::vector<part_of_layer> result;
    for (std::size_t i = 0, j = 0; i + j < read.size() + routed.size();) {
      const bool behind = j * read.size() <= i * routed.size();
      result.push_back(j < routed.size() && behind ? routed[j++] : read[i++]);
    }
    return result;
  }

  static void read(const part_of_layer& part, block_type& block) {
    if (part.of->routed) {
      constexpr index_t panel = routed_writers<B>::panel;
      part.of->kept->read(part.begin / panel, routed_writers<B>::n_panels(part.end), block);
    } else {
      part.of->kept->read(part.begin, part.end, block);
    }
  }

  /// The findings of a block of writers, from `begin` on.
  /// @param shared  the reference convention's shared part; nothing in the other
  template <class Images>
  void find(const B& be, Images& images, const images_of_writers<scalar>& shared,
            const_view_of<B> directions, index_t begin, layer_findings<scalar>& result) {
    const index_t n = directions.extent(0), k = directions.extent(1), e = directions.extent(2);
    const index_t end = begin + n;
    effects_.begin(be, directions, n_images(), !shared.empty());
    if constexpr (on_host) {
      // A thread follows writers from their mean to their moments, while its caches hold them.
      const index_t together = Images::together, units = (n + together - 1) / together;
      thread_team().split(units, 1, [&](index_t from, index_t to) {
        part_memory memory;
        for (index_t w = from * together; w < std::min(n, to * together); w += together) {
          add_images(be, w, std::min(n, w + together), numbers_of_a_part<Images>(), images, shared,
                     memory);
        }
      });
    } else {
      add_images(be, 0, n, numbers_of_a_part<Images>(), images, shared, memory_);
    }
    const auto selective = selectivity(be, effects_.norms(), options().top);
    const auto chosen = selective.top_images.view();
    const_view_of<B> rest;
    const auto s = on_backend(be, memory_.coefficients, {n, options().top, k},
                              [&](host_view<scalar> out) { images.centered(chosen, out); });
    if (!shared.empty()) {
      rest = on_backend(be, memory_.shared, {n, options().top, e},
                        [&](host_view<scalar> out) { shared.centered(chosen, out); });
    }
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
  view_of<B> on_backend(const B& be, scratch<B>& memory, const shape& extents, F&& fill) {
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
    const auto top = static_cast<std::size_t>(options().top);
    const std::size_t frame = of.rest || k >= e ? e : k;
    const auto tokens = static_cast<std::size_t>(options().n_tokens);
    const std::size_t read = sizeof(scalar) * m * (of.routed ? tokens : k);  // of a writer
    const auto unit = static_cast<std::size_t>(of.routed ? routed_writers<B>::panel : 1);
    const std::size_t one =
        unit * (n_blocks * read +
                sizeof(scalar) * (4 * m + 2 * k * e + 2 * k * k + 2 * frame * frame + top * top +
                                  3 * top * (frame + k + (of.rest ? e : 0))));
    const bool routed = kept_.routes() != nullptr;
    const std::size_t routes =
        routed ? sizeof(scalar) * m * static_cast<std::size_t>(kept_.routes()->width()) : 0;
    const std::size_t fixed = (routed ? 10 : 2) * part_bytes() + routes +
                              (of.rest ? 2 * sizeof(scalar) * m * e : 0) +
                              2 * n_blocks * page_size * of.kept->batches().size();
    if (options().memory < fixed + one) {
      throw argument_error("analysis",
                           "a memory budget of " + std::to_string(fixed + one) + " bytes or more",
                           std::to_string(options().memory), "memory");
    }
    // So many keep a disk busy, and are enough for the products that make their directions.
    const std::size_t enough = (std::size_t{128} << 20) / (unit * read);
    std::size_t units = std::min((options().memory - fixed) / one, enough);
    units = std::clamp<std::size_t>(units, 1, 256 / unit);
    // As many for every thread where they are few.
    const auto threads = static_cast<std::size_t>(thread_team().size());
    if (on_host && units > threads) units -= units % threads;
    return static_cast<index_t>(units * unit);
  }

  layer_findings<scalar> empty_findings(const second_order_map<B>& map) const {
    const index_t n = map.n_writers(), e = map.d_joint(), top = options().top;
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

  kept_layers<B> kept_;
  block_type routes_read_;
  std::array<block_type, n_blocks> blocks_;  ///< that are read in turns, all but one ahead
  centered_effects<B> effects_;
  scratch<B> directions_;
  part_memory memory_;
  background remover_;  // last: what it has under way needs the stores
};

}  // namespace solens
