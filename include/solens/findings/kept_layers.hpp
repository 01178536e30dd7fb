#pragma once

#include <algorithm>  // std::all_of, std::any_of, std::clamp, std::max, std::min, std::min_element
#include <atomic>
#include <cmath>    // std::isfinite
#include <cstddef>  // std::size_t
#include <filesystem>
#include <memory>  // std::unique_ptr: maps hold references to the heads
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/backend/parallel.hpp>
#include <solens/backend/small_products.hpp>
#include <solens/findings/coefficient_store.hpp>
#include <solens/findings/routed_writers.hpp>
#include <solens/findings/stream_rows.hpp>
#include <solens/lens/attention_routes.hpp>
#include <solens/lens/head_map.hpp>
#include <solens/lens/second_order.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

/// What to find, and with what means. `n_images` and `n_tokens` change no result: where both are
/// known and a layer has many more later heads than an image has tokens, its activations are kept
/// in the place of its coefficients, on a processor, if the budget allows.
struct analysis_options {
  std::vector<index_t> layers = {};  ///< whose writers to look at; each must have later blocks
  index_t top = 100;                 ///< images kept of each writer, and the rank of its threshold
  convention how = convention::centered;
  double coefficient = 100;            ///< the norm that a representation is scaled to
  std::filesystem::path scratch = {};  ///< a folder for the coefficients; theirs until `clear`
  std::size_t memory = std::size_t{2} << 30;  ///< bytes that the records on their way to the disk,
                                              ///< and later `finish`, may take
  index_t n_images = 0;                       ///< that will be added at most; 0 where not known
  index_t n_tokens = 0;                       ///< of an image; 0 where not known
};

/// What one pass over the images of a data set keeps of each layer on disk, for the findings that
/// follow: the coefficients, or the activations and routes that make them.
template <tensor_backend B>
class kept_layers {
 public:
  using scalar = typename B::scalar;
  static constexpr bool on_host = std::is_same_v<typename B::space, host_space>;

  struct layer {
    template <class W>
    layer(const B& be, const head_maps<B>& heads, const W& weights, index_t number)
        : map(be, heads, weights, number) {}

    second_order_map<B> map;
    bool routed = false;  ///< whether activations are kept in the place of coefficients
    std::unique_ptr<coefficient_store<scalar>> kept;
    std::unique_ptr<coefficient_store<scalar>> rest;  ///< the reference convention's shared part

    void sync() {
      kept->sync();
      if (rest) rest->sync();
    }
    void remove() {
      kept->remove();
      if (rest) rest->remove();
    }
  };

  /// @param weights  what they view must outlive the analysis
  /// @param batches  images in each batch already added; empty for a new analysis
  /// @throws argument_error for a layer without later blocks, or where activations were kept and
  ///         `n_tokens` is not given; io_error when the scratch folder cannot be used, or holds
  ///         less than `batches` says
  template <lens_weights_for<B> W>
  kept_layers(const B& be, const W& weights, analysis_options options,
              const std::vector<index_t>& batches = {})
      : options_(std::move(options)),
        heads_(std::make_unique<head_maps<B>>(be, weights, options_.how)),
        routes_(options_.coefficient),
        writer_(
            std::make_unique<record_writer>(std::min(options_.memory, std::size_t{512} << 20))) {
    if (options_.layers.empty()) throw argument_error("analysis", "one layer or more", "none");
    first_block_ = 1 + *std::min_element(options_.layers.begin(), options_.layers.end());
    const auto open = [&](const std::string& name, index_t n_writers, index_t width) {
      return std::make_unique<coefficient_store<scalar>>(*writer_, options_.scratch / name,
                                                         n_writers, width, batches);
    };
    for (index_t l : options_.layers) {
      layer& of = layers_.emplace_back(be, *heads_, weights, l);
      const std::string name = "layer-" + std::to_string(l);
      of.routed = batches.empty()
                      ? keeps_activations(of.map)
                      : std::filesystem::exists(options_.scratch / (name + ".activations"));
      if (of.routed && options_.n_tokens <= 0) {
        throw argument_error("analysis", "the tokens of an image, as when it began",
                             std::to_string(options_.n_tokens), "n_tokens");
      }
      of.kept = of.routed
                    ? open(name + ".activations", routed_writers<B>::n_panels(of.map.n_writers()),
                           options_.n_tokens * routed_writers<B>::panel)
                    : open(name + ".coefficients", of.map.n_writers(), of.map.n_sources());
      if (options_.how == convention::reference) {
        of.rest = open(name + ".rest", 1, of.map.d_joint());
      }
    }
    const auto routed = [](const layer& of) { return of.routed; };
    if (!std::any_of(layers_.begin(), layers_.end(), routed)) return;
    // Where earlier layers are done with, the routes still begin where these did.
    const auto name = [](index_t block) { return "routes-from-" + std::to_string(block); };
    index_t block = first_block_;
    while (!batches.empty() && block > 1 &&
           !std::filesystem::exists(options_.scratch / name(block)))
      --block;
    routes_kept_ =
        open(name(block), 1, options_.n_tokens * heads_->n_heads() * (heads_->n_layers() - block));
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
    if (routes_kept_) keep_routes(names);
    for (layer& of : layers_) {
      const auto block = static_cast<std::size_t>(of.map.layer());
      const auto writers = activation_views<B>(activations.blocks[block]).writers;
      of.kept->cut(before);
      const host_view<scalar> record = of.kept->next(n);
      const bool finite = of.routed ? keep_activations(be, of.map, writers, record)
                                    : keep_coefficients(be, of.map, writers, record);
      if (!finite) refuse_not_finite(record, of.map.layer(), before, names);
      of.kept->append();
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
    if (routes_kept_) routes_kept_->sync();
    for (layer& of : layers_) of.sync();
  }

  std::vector<layer>& layers() { return layers_; }

  /// @throws argument_error for a layer that is not among the options'
  layer& at(index_t number) {
    for (layer& of : layers_) {
      if (of.map.layer() == number) return of;
    }
    throw argument_error("analysis", "one of the layers analysed", std::to_string(number), "layer");
  }

  /// The routes of all images, for the layers whose activations are kept; null where there are
  /// none.
  coefficient_store<scalar>* routes() const { return routes_kept_.get(); }

 private:
  /// The store that is written last: a batch is in when it is in this one.
  const coefficient_store<scalar>& last_store() const {
    return layers_.back().rest ? *layers_.back().rest : *layers_.back().kept;
  }

  /// Whether the activations of a layer are what to keep: where they are less by so much that it
  /// pays to make coefficients again, and all routes fit into the budget beside a block.
  bool keeps_activations(const second_order_map<B>& map) const {
    const index_t t = options_.n_tokens, routes = heads_->n_heads() * heads_->n_layers();
    const auto needed = static_cast<std::size_t>(options_.n_images * t * sizeof(scalar)) *
                        static_cast<std::size_t>(routes + 4 * routed_writers<B>::panel);
    return on_host && options_.n_images > 0 && t > 0 && map.n_sources() >= 2 * t &&
           needed <= options_.memory / 2;
  }

  /// Keeps the routes of a batch, for the layers whose activations are kept.
  void keep_routes(std::span<const std::string> names) {
    if constexpr (on_host) {
      const index_t before = n_images(), n = routes_.n_images();
      routes_kept_->cut(before);
      const host_view<scalar> record = routes_kept_->next(n);
      const const_view_of<B> u = routes_.after(first_block_ - 1);  // [n, sources, n_tokens]
      checks::same("analysis", record[0].extents(), shape{n, u.extent(1) * u.extent(2)}, "routes");
      const auto rows = const_view_of<B>(u.data(), record[0].extents());
      if (!stream_rows<scalar>(rows, record[0])) {
        refuse_not_finite(record, options_.layers.front(), before, names);
      }
      routes_kept_->append();
    }
  }

  /// Writes the activations of a batch [n, n_tokens, n_writers] to a record; whether all are
  /// finite.
  bool keep_activations(const B& be, const second_order_map<B>& map, const_view_of<B> writers,
                        host_view<scalar> record) {
    if constexpr (on_host) {
      const shape extents{record.extent(1), options_.n_tokens, map.n_writers()};
      checks::same("analysis", extents, writers.extents(),
                   "blocks." + std::to_string(map.layer()) + ".writers");
      if (writers.stride(2) != 1) {
        const view_of<B> copy = buffer_.get(be, extents);
        be.copy(writers, copy);
        writers = copy;
      }
      std::atomic<bool> finite = true;
      thread_team().split(extents[0], 1, [&](index_t from, index_t to) {
        if (!routed_writers<B>::keep(writers.slice(0, from, to), record.slice(1, from, to))) {
          finite = false;
        }
      });
      return finite;
    } else {
      return false;
    }
  }

  /// Writes the coefficients of a batch to a record [n_writers, n, n_sources]; whether all are
  /// finite. On a processor they are made in parts that its caches hold, on all threads.
  bool keep_coefficients(const B& be, second_order_map<B>& map, const_view_of<B> writers,
                         host_view<scalar> record) {
    if constexpr (on_host) {
      const const_view_of<B> u = routes_.after(map.layer());
      const index_t images = u.extent(0), k = map.n_sources(), tokens = u.extent(2);
      checks::same("analysis", shape{images, tokens, map.n_writers()}, writers.extents(),
                   "blocks." + std::to_string(map.layer()) + ".writers");
      constexpr index_t m = 8;                       // images of a thread
      constexpr index_t numbers = index_t{1} << 16;  // of their part
      const index_t n = std::clamp(
          std::min(numbers / (m * k), small_products::most_multiplications / (k * tokens)),
          index_t{1}, std::max<index_t>(1, map.n_writers()));
      const index_t together = std::min<index_t>(images, m * thread_team().size());
      const auto active = buffer_.get(be, shape{together * tokens * n}).data();
      const auto made = part_.get(be, shape{together * n * k}).data();
      std::atomic<bool> finite = true;
      for (index_t first = 0; first < images; first += together) {
        thread_team().split(std::min(together, images - first), 1, [&](index_t from, index_t to) {
          const index_t image = first + from, end = first + to, count = to - from;
          for (index_t writer = 0; writer < map.n_writers(); writer += n) {
            const index_t last = std::min(writer + n, map.n_writers());
            // Copied, since a product waits for memory at every token's row of the activations.
            const view_of<B> p(active + from * tokens * n, shape{count, tokens, last - writer});
            const view_of<B> s(made + from * n * k, shape{last - writer, count, k});
            be.copy(writers.slice(0, image, end).slice(2, writer, last), p);
            be.batched_gemm(1, u.slice(0, image, end), const_view_of<B>(p), 0,
                            s.permuted({1, 2, 0}));
            const auto rows = [](auto x) {  // of writers: their images lie one after the other
              return decltype(x)(x.data(), {x.extent(0), x.extent(1) * x.extent(2)},
                                 {x.stride(0), 1});
            };
            const auto out = record.slice(0, writer, last).slice(1, image, end);
            if (!stream_rows<scalar>(rows(const_view_of<B>(s)), rows(out))) finite = false;
          }
        });
      }
      return finite;
    } else {
      const view_of<B> s = part_.get(be, record.extents());
      map.coefficients(be, routes_, writers, s.permuted({1, 2, 0}));
      be.download(const_view_of<B>(s), record);
      return std::all_of(record.data(), record.data() + record.size(),
                         [](scalar x) { return std::isfinite(x); });
    }
  }

  /// @param s       coefficients of a batch [n_writers, n, n_sources], not all of them finite
  /// @param before  images before the batch
  [[noreturn]] static void refuse_not_finite(host_view<const scalar> s, index_t of_layer,
                                             index_t before, std::span<const std::string> names) {
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
    std::string name = "image " + std::to_string(before + i);
    if (!names.empty()) name += ", " + names[static_cast<std::size_t>(i)];
    throw format_error("analysis", "finite activations", "NaN or infinity",
                       name + ", layer " + std::to_string(of_layer));
  }

  analysis_options options_;
  std::unique_ptr<head_maps<B>> heads_;
  attention_routes<B> routes_;
  std::unique_ptr<record_writer> writer_;  ///< outlives the stores
  std::vector<layer> layers_;
  std::unique_ptr<coefficient_store<scalar>> routes_kept_;
  index_t first_block_ = 0;
  scratch<B> buffer_, part_;
};

}  // namespace solens
