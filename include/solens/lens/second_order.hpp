#pragma once

#include <algorithm>  // std::clamp, std::max, std::min
#include <optional>
#include <span>
#include <string>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/lens/attention_routes.hpp>
#include <solens/lens/head_map.hpp>
#include <solens/lens/reference_shares.hpp>
#include <solens/lens/scratch.hpp>
#include <solens/lens/writer_selection.hpp>
#include <solens/model/lens_inputs.hpp>

namespace solens {

/// The second-order effects of the writers of one layer, in factored form.
///
/// What a writer adds to the residual stream, later heads read as values and move to the class
/// token, from where it reaches the representation. For source k = (later block, head), later
/// block outermost, and writer n,
///   phi[n] = sum_k s[k, n] D[n, k] (+ rho)      s[k, n] = sum_t u[k, t] p[t, n]
/// The coefficients s hold all that an image brings, the directions D all that the weights do;
/// rho is there in the reference convention only. An image is one small GEMM, and neither
/// [tokens, writers, d_model] nor, unless asked for, [writers, d_joint] is ever formed.
///
/// Neurons are the usual writers, but any activations [n_images, n_tokens, n_writers] with
/// directions [n_writers, d_model] will do: features of a sparse autoencoder, say.
/// Source: arXiv 2406.04341, eq. 5 and 11.
template <tensor_backend B>
class second_order_map {
 public:
  /// @param heads    of the same weights; kept by reference, so it must outlive the map
  /// @param weights  of which the writer directions and bias of `layer` are read
  /// @param writers  the ones to look at, in this order; none for all
  /// @throws argument_error for a layer without later blocks or a writer that is not there
  template <lens_weights_for<B> W>
  second_order_map(const B& be, const head_maps<B>& heads, const W& weights, index_t layer,
                   std::span<const index_t> writers = {})
      : heads_(&heads), layer_(layer), selection_(be, heads, weights, layer, writers) {
    if (layer + 1 >= heads.n_layers()) {
      throw argument_error(
          "second_order_map",
          "a layer with later blocks, 0 to " + std::to_string(heads.n_layers() - 2),
          std::to_string(layer), "layer");
    }
    if (heads.how() == convention::reference) {
      shares_.emplace(be, heads, layer, selection_.all(), selection_.bias());
    }
  }
  second_order_map(const B&, head_maps<B>&&, const auto&, index_t,
                   std::span<const index_t> = {}) = delete;

  index_t layer() const { return layer_; }
  index_t n_later() const { return heads_->n_layers() - 1 - layer_; }
  index_t n_sources() const { return n_later() * heads_->n_heads(); }  ///< later heads
  index_t n_writers() const { return selection_.size(); }              ///< the selected ones
  index_t d_joint() const { return heads_->d_joint(); }
  convention how() const { return heads_->how(); }

  /// The coefficients of a batch.
  ///
  /// @param routes   of the same batch, from block layer + 1 or an earlier one on
  /// @param writers  activations [n_images, n_tokens, all writers of the layer]
  /// @param out      overwritten, [n_images, n_sources, n_writers] in any strides: a permuted
  ///                 view of [n_writers, n_images, n_sources] suits `effect_norms` and what
  ///                 else goes writer by writer; in units of `scale / scale of the norms`
  /// @throws shape_error when routes, activations and map do not fit together
  /// @note costs 2 * n_sources * n_tokens * n_writers flops an image; allocates nothing, or,
  ///       with selected writers, a copy of their activations kept from call to call
  void coefficients(const B& be, const attention_routes<B>& routes, const_view_of<B> writers,
                    view_of<B> out) {
    const const_view_of<B> u = routes_from_here(routes, writers);
    checks::same("coefficients", shape{u.extent(0), n_sources(), n_writers()}, out.extents(),
                 "out");
    be.batched_gemm(1, u, selected(be, writers), 0, out);
  }

  /// The directions of the writers begin to end - 1.
  ///
  /// @param out  overwritten, [end - begin, n_sources, d_joint], so that D[n] is a matrix whose
  ///             rows are the directions of one writer: effects S D, Gram matrix D D^T
  /// @note costs 2 * n_heads * d_head * (d_model + d_joint) flops a writer and later block: two
  ///       thin GEMMs, never a [d_model, d_model] product
  void directions(const B& be, index_t begin, index_t end, view_of<B> out) {
    const index_t n_heads = heads_->n_heads(), d_head = heads_->d_head();
    const const_view_of<B> w = selection_.directions().slice(0, begin, end);
    checks::same("directions", shape{end - begin, n_sources(), d_joint()}, out.extents(), "out");
    const view_of<B> values = values_.get(be, shape{end - begin, n_heads * d_head});
    for (index_t i = 0; i < n_later(); ++i) {
      const index_t block = layer_ + 1 + i;
      const const_view_of<B> map = heads_->values(block).map();
      be.gemm(1, w, map.reshaped(shape{n_heads * d_head, map.extent(2)}).transposed(), 0, values);
      be.batched_gemm(1, const_view_of<B>(values).split(1, d_head).permuted({1, 0, 2}),
                      heads_->outputs(block).transposed(), 0,
                      out.slice(1, i * n_heads, (i + 1) * n_heads).permuted({1, 0, 2}));
    }
  }

  /// Calls f(begin, end, D) for all writers, block by block, with D [end - begin, n_sources,
  /// d_joint] the directions of the writers begin to end - 1, about 32 MB of them, until it
  /// returns.
  template <class F>
  void for_directions(const B& be, F&& f) {
    constexpr index_t numbers = index_t{8} << 20;
    const index_t step = std::clamp(numbers / std::max<index_t>(1, n_sources() * d_joint()),
                                    index_t{1}, std::max<index_t>(1, n_writers()));
    for (index_t begin = 0; begin < n_writers(); begin += step) {
      const index_t end = std::min(begin + step, n_writers());
      const view_of<B> d = chunk_.get(be, shape{end - begin, n_sources(), d_joint()});
      directions(be, begin, end, d);
      f(begin, end, const_view_of<B>(d));
    }
  }

  /// The Gram matrices D[n] D[n]^T, with which norms and angles of effects are those of
  /// coefficients: phi_a . phi_b = s_a^T G s_b.
  ///
  /// @param out  overwritten, [n_writers, n_sources, n_sources]
  /// @note costs the directions and 2 * n_sources^2 * d_joint flops a writer
  void grams(const B& be, view_of<B> out) {
    checks::same("grams", shape{n_writers(), n_sources(), n_sources()}, out.extents(), "out");
    for_directions(be, [&](index_t begin, index_t end, const_view_of<B> d) {
      be.batched_gemm(1, d, d.transposed(), 0, out.slice(0, begin, end));
    });
  }

  /// D[n] r[n], so that the inner product of an effect with the writer's own direction r[n] is
  /// s . (D[n] r[n]) (+ rho . r[n]).
  ///
  /// @param r    [n_writers, d_joint]
  /// @param out  overwritten, [n_writers, n_sources]
  void project(const B& be, const_view_of<B> r, view_of<B> out) {
    checks::same("project", shape{n_writers(), d_joint()}, r.extents(), "r");
    checks::same("project", shape{n_writers(), n_sources()}, out.extents(), "out");
    for_directions(be, [&](index_t begin, index_t end, const_view_of<B> d) {
      be.batched_gemm(1, d, r.slice(0, begin, end).split(1, 1), 0,
                      out.slice(0, begin, end).split(1, 1));
    });
  }

  /// Where on an image the inner products of effects with one direction a writer arise: their
  /// terms by token, sum_k u[k, t] p[t, n] q[n, k], which sum over tokens to s . q.
  ///
  /// @param routes, writers  as for `coefficients`, all writers of the layer selected
  /// @param q                [n_writers, n_sources], such as `project` gives
  /// @param out              overwritten, [n_images, n_writers, n_tokens]
  /// @note costs 2 * n_sources * n_tokens * n_writers flops an image; allocates nothing
  void project_by_token(const B& be, const attention_routes<B>& routes, const_view_of<B> writers,
                        const_view_of<B> q, view_of<B> out) const {
    const const_view_of<B> u = routes.after(layer_);
    const index_t images = u.extent(0), tokens = u.extent(2);
    checks::same("project_by_token", shape{n_writers(), n_sources()}, q.extents(), "q");
    checks::same("project_by_token", shape{images, tokens, n_writers()}, writers.extents(),
                 "blocks." + std::to_string(layer_) + ".writers");
    checks::same("project_by_token", shape{images, n_writers(), tokens}, out.extents(), "out");
    be.batched_gemm(1, q.repeated(images), u, 0, out);
    be.multiply(out, writers.transposed(), out);
  }

  /// D[n] r for vectors r that all writers share, such as class embeddings: r is pulled back to
  /// the residual stream, where the writers' own directions meet it.
  ///
  /// @param r    [n, d_joint]
  /// @param out  overwritten, [n, n_sources, n_writers]
  /// @note costs 2 * n * n_sources * (d_head * (d_joint + d_model) + d_model * n_writers) flops
  void pull_back(const B& be, const_view_of<B> r, view_of<B> out) {
    const index_t n = r.extent(0), n_heads = heads_->n_heads(), d_model = heads_->d_model();
    checks::same("pull_back", shape{n, d_joint()}, r.extents(), "r");
    checks::same("pull_back", shape{n, n_sources(), n_writers()}, out.extents(), "out");
    const view_of<B> inner = inner_.get(be, shape{n_heads, n, heads_->d_head()});
    const view_of<B> stream = stream_.get(be, shape{n, n_heads, d_model});
    for (index_t i = 0; i < n_later(); ++i) {
      const index_t block = layer_ + 1 + i;
      be.batched_gemm(1, r.repeated(n_heads), heads_->outputs(block), 0, inner);
      be.batched_gemm(1, inner, heads_->values(block).map(), 0, stream.permuted({1, 0, 2}));
      be.batched_gemm(1, stream, selection_.directions().transposed().repeated(n), 0,
                      out.slice(1, i * n_heads, (i + 1) * n_heads));
    }
  }

  /// rho, what each effect holds beside its coefficients; 0 in the centered convention.
  ///
  /// @param activations  of the batch that `routes` holds; ln_1_mean of the later blocks and
  ///                     ln_post_mean are read in the reference convention only
  /// @param out          overwritten, [n_images, d_joint]
  template <lens_activations_for<B> A>
  void rest(const B& be, const attention_routes<B>& routes, const A& activations, view_of<B> out) {
    checks::same("rest", shape{routes.n_images(), d_joint()}, out.extents(), "out");
    if (!shares_) return be.fill(0, out);
    shares_->total(be, routes, activations, out);
  }

  /// The same for each later head: [n_images, n_sources, d_joint].
  template <lens_activations_for<B> A>
  void rest_terms(const B& be, const attention_routes<B>& routes, const A& activations,
                  view_of<B> out) {
    checks::same("rest_terms", shape{routes.n_images(), n_sources(), d_joint()}, out.extents(),
                 "out");
    if (!shares_) return be.fill(0, out);
    shares_->terms(be, routes, activations, out);
  }

  /// The effects themselves, for those who ask for them.
  ///
  /// @param s     coefficients [n_images, n_sources, n_writers]
  /// @param rest  [n_images, d_joint], or an empty view for none
  /// @param out   overwritten, [n_images, n_writers, d_joint], norm `coefficient` being that of
  ///              the whole representation
  void effects(const B& be, const_view_of<B> s, const_view_of<B> rest, view_of<B> out) {
    checks::same("effects", shape{s.extent(0), n_sources(), n_writers()}, s.extents(), "s");
    checks::same("effects", shape{s.extent(0), n_writers(), d_joint()}, out.extents(), "out");
    for_directions(be, [&](index_t begin, index_t end, const_view_of<B> d) {
      be.batched_gemm(1, s.slice(2, begin, end).permuted({2, 0, 1}), d, 0,
                      out.slice(1, begin, end).permuted({1, 0, 2}));
    });
    if (!rest.empty()) {
      be.axpby(1, rest.repeated(n_writers()).permuted({1, 0, 2}), 1, out);
    }
  }

  /// The effects through each later head, whose sum is the effect.
  ///
  /// @param rest_terms  [n_images, n_sources, d_joint], or an empty view for none
  /// @param out         overwritten, [n_images, n_sources, n_writers, d_joint]
  void effect_terms(const B& be, const_view_of<B> s, const_view_of<B> rest_terms, view_of<B> out) {
    const index_t images = s.extent(0);
    checks::same("effect_terms", shape{images, n_sources(), n_writers()}, s.extents(), "s");
    checks::same("effect_terms", shape{images, n_sources(), n_writers(), d_joint()}, out.extents(),
                 "out");
    for_directions(be, [&](index_t begin, index_t end, const_view_of<B> d) {
      be.multiply(s.slice(2, begin, end).repeated(d_joint()).permuted({1, 2, 3, 0}),
                  d.repeated(images).permuted({0, 2, 1, 3}), out.slice(2, begin, end));
    });
    if (!rest_terms.empty()) {
      be.axpby(1, rest_terms.repeated(n_writers()).permuted({1, 2, 0, 3}), 1, out);
    }
  }

 private:
  /// The routes through the later heads [n_images, n_sources, n_tokens], checked.
  const_view_of<B> routes_from_here(const attention_routes<B>& routes,
                                    const_view_of<B> writers) const {
    const const_view_of<B> u = routes.after(layer_);
    checks::same("coefficients", shape{n_sources()}, shape{u.extent(1)}, "routes");
    checks::same("coefficients", shape{u.extent(0), u.extent(2), selection_.all()},
                 writers.extents(), "blocks." + std::to_string(layer_) + ".writers");
    return u;
  }

  /// The activations of the selected writers: [n_images, n_tokens, n_writers].
  const_view_of<B> selected(const B& be, const_view_of<B> writers) {
    if (selection_.is_all()) return writers;
    const view_of<B> chosen =
        chosen_.get(be, shape{writers.extent(0), n_writers(), writers.extent(1)});
    for (index_t image = 0; image < writers.extent(0); ++image) {
      selection_.pick(be, writers[image], chosen[image].transposed());
    }
    return chosen.transposed();
  }

  const head_maps<B>* heads_;
  index_t layer_;
  writer_selection<B> selection_;
  std::optional<reference_shares<B>> shares_;
  scratch<B> chosen_, values_, chunk_, inner_, stream_;
};

}  // namespace solens
