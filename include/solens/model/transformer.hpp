#pragma once

#include <algorithm>  // std::max
#include <cmath>      // std::sqrt
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>  // std::move
#include <vector>

#include <solens/backend/checks.hpp>
#include <solens/backend/ops.hpp>
#include <solens/model/activation_cache.hpp>
#include <solens/model/config.hpp>
#include <solens/model/weights.hpp>

namespace solens {

/// @throws shape_error naming the weight when blocks do not have a configuration's shapes
template <tensor_backend B>
void check_blocks(std::string_view operation, const transformer_config& c,
                  const std::vector<block_weights<B>>& blocks) {
  if (static_cast<index_t>(blocks.size()) != c.n_layers) {
    throw shape_error(operation, std::to_string(c.n_layers) + " blocks",
                      std::to_string(blocks.size()), "blocks");
  }
  if (c.n_heads <= 0 || c.d_model % c.n_heads != 0) {
    throw shape_error(operation, "a width that the heads divide", std::to_string(c.d_model),
                      "d_model");
  }
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    const block_weights<B>& b = blocks[l];
    const auto same = [&](const typename B::tensor& tensor, const shape& expected,
                          const char* name) {
      checks::same(operation, expected, tensor.view().extents(),
                   "blocks." + std::to_string(l) + "." + name);
    };
    same(b.ln_1_weight, {c.d_model}, "ln_1_weight");
    same(b.ln_1_bias, {c.d_model}, "ln_1_bias");
    same(b.qkv_weight, {3 * c.d_model, c.d_model}, "qkv_weight");
    same(b.qkv_bias, {3 * c.d_model}, "qkv_bias");
    same(b.out_weight, {c.d_model, c.d_model}, "out_weight");
    same(b.out_bias, {c.d_model}, "out_bias");
    same(b.ln_2_weight, {c.d_model}, "ln_2_weight");
    same(b.ln_2_bias, {c.d_model}, "ln_2_bias");
    same(b.fc_weight, {c.d_mlp, c.d_model}, "fc_weight");
    same(b.fc_bias, {c.d_mlp}, "fc_bias");
    same(b.proj_weight, {c.d_model, c.d_mlp}, "proj_weight");
    same(b.proj_bias, {c.d_model}, "proj_bias");
  }
}

/// Memory of a tower's forward pass: allocated once, used for every batch.
///
/// Sized in rows of the residual stream: a batch of n sequences of t tokens takes n * t of them,
/// fewer where sequences share some. A workspace serves one forward pass at a time.
template <tensor_backend B>
class transformer_workspace {
 public:
  /// @param max_sequences  of a batch
  /// @param max_tokens     of a sequence
  /// @param max_rows       of a batch
  /// @param wide           the widest row that the owner writes to `wide`, beside what blocks do
  /// @param causal         whether each token sees but those up to its own
  transformer_workspace(const B& be, const transformer_config& c, index_t max_sequences,
                        index_t max_tokens, index_t max_rows, index_t wide, bool causal)
      : max_sequences_(max_sequences),
        max_rows_(max_rows),
        residual_(be.allocate({max_rows * c.d_model})),
        normed_(be.allocate({max_rows * c.d_model})),
        wide_(be.allocate({max_rows * std::max({3 * c.d_model, c.d_mlp, wide})})),
        pooled_(be.allocate({max_sequences * c.d_model})) {
    if (causal) seen_.emplace(be.allocate({max_rows * 2 * c.d_model}));
    if constexpr (!contains(B::fused, fused_op::attention)) {
      scores_.emplace(be.allocate({max_rows * c.n_heads * max_tokens}));
      if (causal) mask_.emplace(causal_mask(be, max_tokens));
    }
  }

  index_t max_sequences() const { return max_sequences_; }
  index_t max_rows() const { return max_rows_; }

  view_of<B> residual(const shape& s) { return part(residual_, 0, s); }
  view_of<B> normed(const shape& s) { return part(normed_, 0, s); }
  view_of<B> wide(const shape& s, index_t offset = 0) { return part(wide_, offset, s); }
  view_of<B> pooled(const shape& s) { return part(pooled_, 0, s); }
  view_of<B> seen(const shape& s) { return part(*seen_, 0, s); }

  /// Empty where the backend's attention keeps its scores to itself.
  view_of<B> scores(const shape& s) { return scores_ ? part(*scores_, 0, s) : view_of<B>{}; }
  /// What the last `n_queries` of `n_tokens` see.
  const_view_of<B> mask(index_t n_queries, index_t n_tokens) const {
    if (!mask_) return {};
    const const_view_of<B> whole = mask_->view();
    return whole.slice(0, n_tokens - n_queries, n_tokens).slice(1, 0, n_tokens);
  }

 private:
  using scalar = typename B::scalar;
  using tensor = typename B::tensor;

  static view_of<B> part(tensor& memory, index_t offset, const shape& s) {
    return memory.view().slice(0, offset, offset + s.size()).reshaped(s);
  }

  static tensor causal_mask(const B& be, index_t n) {
    host_tensor<scalar> mask({n, n}, scalar{0});
    for (index_t q = 0; q < n; ++q) {
      for (index_t k = q + 1; k < n; ++k) mask(q, k) = -std::numeric_limits<scalar>::infinity();
    }
    tensor result = be.allocate({n, n});
    be.upload(mask, result.view());
    return result;
  }

  index_t max_sequences_, max_rows_;
  tensor residual_, normed_, wide_, pooled_;
  std::optional<tensor> seen_, scores_, mask_;
};

/// Sequences of a batch whose attention is one operation. Their rows stand together in the stream,
/// one sequence after the other; so do the groups of a batch.
template <tensor_backend B>
struct sequence_group {
  index_t n;    ///< sequences
  index_t own;  ///< rows of each
  /// [n, n_tokens]: the rows of the stream that each sequence sees, its own ones last; empty where
  /// it sees no others.
  const_index_view_of<B> seen;
};

/// One pass through the pre-LN blocks of a tower, up to the row that is pooled: a sequence's first
/// where every token sees all, its last where attention is causal.
///
/// A short-lived object: it holds views of the streams on their way. Biases of the residual
/// stream are added by the LayerNorm that reads it next; until then they are `pending_`.
/// The last block computes the pooled token alone where nothing else was asked for.
template <tensor_backend B>
class transformer_pass {
 public:
  /// @param x       residual stream [n, n_tokens, d_model], or [n_rows, 1, d_model] where
  ///                sequences differ or share rows; overwritten
  /// @param groups  all rows of it
  /// @param causal  whether each token sees but those up to its own
  /// @param cache   where to keep the activations of a single group; null for none
  transformer_pass(const B& be, const transformer_config& config,
                   const std::vector<block_weights<B>>& blocks, transformer_workspace<B>& work,
                   view_of<B> x, std::vector<sequence_group<B>> groups, bool causal,
                   activation_cache<B>* cache)
      : be_(be),
        config_(config),
        blocks_(blocks),
        work_(work),
        cache_(cache),
        x_(x),
        groups_(std::move(groups)),
        causal_(causal) {}

  /// From the stream that enters block `first`.
  void run(index_t first) {
    for (index_t l = first; l < config_.n_layers; ++l) {
      attend(l);
      think(l);
    }
    pool();
  }

  /// From the stream between attention and MLP of block `first`.
  void run_from_mlp(index_t first) {
    if (only_pooled(first)) pool();
    think(first);
    run(first + 1);
  }

  /// LayerNorm of the pooled token, and its projection.
  /// @param out  [n, d_joint]
  void finish(const_view_of<B> weight, const_view_of<B> bias, const_view_of<B> projection,
              view_of<B> out) {
    const view_of<B> one = x_.select(1, 0);
    view_of<B> normed = slot(site_kind::ln_final_normalized, 0);
    if (normed.empty()) normed = work_.normed(one.extents());
    ops::bias_layer_norm<B>(be_, pending_, one, weight, bias, eps(), normed,
                            slot(site_kind::ln_final_mean, 0), slot(site_kind::ln_final_scale, 0));
    be_.gemm(1, normed, projection, 0, out);
    keep(site_kind::representation, 0, out);
  }

 private:
  using scalar = typename B::scalar;

  /// x += attention(ln_1(x))
  void attend(index_t layer) {
    const block_weights<B>& w = blocks_[static_cast<std::size_t>(layer)];
    const index_t n = x_.extent(0), t = x_.extent(1), c = config_.d_model;
    view_of<B> normed = slot(site_kind::ln_1_normalized, layer);
    if (normed.empty()) normed = work_.normed(x_.extents());
    ops::bias_layer_norm<B>(be_, pending_, x_, w.ln_1_weight.view(), w.ln_1_bias.view(), eps(),
                            normed, slot(site_kind::ln_1_mean, layer),
                            slot(site_kind::ln_1_scale, layer));
    pending_ = {};
    keep_stream(site_kind::resid_pre, layer);

    // [n, t, part, head, d_head], as one product for all tokens; where only the pooled token
    // asks, its queries are a product of their own.
    const bool narrow = only_pooled(layer);
    const index_t parts = narrow ? 2 : 3;
    const view_of<B> wide = work_.wide({n, t, parts * c});
    project(normed, w.qkv_weight, w.qkv_bias, (3 - parts) * c, wide);
    const view_of<B> heads = wide.split(2, c).split(3, config_.d_head());
    view_of<B> q = rows_of(wide).slice(1, 0, c);
    if (narrow) {
      const view_of<B> one = work_.wide({n_sequences(), 1, c}, wide.size());
      project(pooled(normed), w.qkv_weight, w.qkv_bias, 0, one);
      q = rows_of(one);
      pool();
    } else {
      keep(site_kind::queries, layer, heads.select(2, 0));
    }
    keep(site_kind::keys, layer, heads.select(2, parts - 2));
    keep(site_kind::values, layer, heads.select(2, parts - 1));
    mix(layer, q, rows_of(wide).slice(1, (parts - 2) * c, parts * c), narrow);
  }

  /// z = softmax(q k^T / sqrt(d_head)) v, and what it adds to the stream.
  /// @param q   [n_rows, d_model], or [n_sequences, d_model] where `narrow`: the pooled tokens'
  /// @param kv  [n_rows, 2 d_model], keys before values
  void mix(index_t layer, view_of<B> q, view_of<B> kv, bool narrow) {
    const block_weights<B>& w = blocks_[static_cast<std::size_t>(layer)];
    const index_t c = config_.d_model, h = config_.n_heads;
    view_of<B> z = slot(site_kind::z, layer);
    if (z.empty()) z = work_.normed(x_.extents()).split(2, config_.d_head());
    const view_of<B> out = z.reshaped({q.extent(0), c});
    each_group([&](const sequence_group<B>& g, index_t row, index_t sequence) {
      const index_t queries = narrow ? 1 : g.own, first = narrow ? sequence : row;
      const view_of<B> seen = seen_by(g, row, kv);
      const index_t t = seen.extent(1);
      view_of<B> pattern = slot(site_kind::pattern, layer);
      if (pattern.empty()) pattern = work_.scores({g.n, h, queries, t});
      const bool causal = causal_ && queries > 1;
      ops::attention<B>(be_, scalar{1} / std::sqrt(static_cast<scalar>(config_.d_head())),
                        by_head(part(q, first, g.n, queries)), by_head(seen.slice(2, 0, c)),
                        by_head(seen.slice(2, c, 2 * c)), causal,
                        by_head(part(out, first, g.n, queries)),
                        slot(site_kind::pattern, layer, true), pattern,
                        causal ? work_.mask(queries, t) : const_view_of<B>{});
    });
    if (!slot(site_kind::z, layer, true).empty()) {
      be_.copy(z.select(1, 0), slot(site_kind::z, layer, true));
    }
    add(site_kind::attn_out, layer, z.reshaped(x_.extents()), w.out_weight, w.out_bias);
  }

  /// The keys and values that a group sees: [n, n_tokens, 2 d_model].
  view_of<B> seen_by(const sequence_group<B>& g, index_t row, view_of<B> kv) {
    if (g.seen.empty()) return part(kv, row, g.n, g.own);
    const view_of<B> seen = work_.seen({g.n, g.seen.extent(1), kv.extent(1)});
    be_.gather(kv, g.seen, seen);
    return seen;
  }

  /// x += MLP(ln_2(x))
  void think(index_t layer) {
    const block_weights<B>& w = blocks_[static_cast<std::size_t>(layer)];
    view_of<B> normed = slot(site_kind::ln_2_normalized, layer);
    if (normed.empty()) normed = work_.normed(x_.extents());
    ops::bias_layer_norm<B>(be_, pending_, x_, w.ln_2_weight.view(), w.ln_2_bias.view(), eps(),
                            normed, slot(site_kind::ln_2_mean, layer),
                            slot(site_kind::ln_2_scale, layer));
    pending_ = {};
    keep_stream(site_kind::resid_mid, layer);

    view_of<B> hidden = slot(site_kind::mlp_post, layer);
    if (hidden.empty()) hidden = work_.wide({x_.extent(0), x_.extent(1), config_.d_mlp});
    be_.gemm(1, rows_of(normed), w.fc_weight.view().transposed(), 0, rows_of(hidden));
    ops::bias_activation<B>(be_, config_.act, w.fc_bias.view(), hidden);
    if (!slot(site_kind::mlp_post, layer, true).empty()) {
      be_.copy(hidden.select(1, 0), slot(site_kind::mlp_post, layer, true));
    }
    add(site_kind::mlp_out, layer, hidden, w.proj_weight, w.proj_bias);
    const view_of<B> all = slot(site_kind::resid_post, layer);
    const view_of<B> one = slot(site_kind::resid_post, layer, true);
    if (!all.empty() || !one.empty()) {
      settle();
      keep_stream(site_kind::resid_post, layer);
    }
  }

  /// x += y weight^T + bias, straight into the stream unless the sum's second part is wanted.
  void add(site_kind kind, index_t layer, view_of<B> y, const typename B::tensor& weight,
           const typename B::tensor& bias) {
    const const_view_of<B> map = weight.view().transposed();
    const view_of<B> all = slot(kind, layer), one = slot(kind, layer, true);
    if (!one.empty()) {
      be_.gemm(1, y.select(1, 0), map, 0, one);
      be_.add_bias(bias.view(), one);
    }
    if (all.empty()) {
      be_.gemm(1, rows_of(y), map, 1, rows_of(x_));
      pending_ = bias.view();
    } else {
      be_.gemm(1, rows_of(y), map, 0, rows_of(all));
      be_.add_bias(bias.view(), all);
      be_.axpby(1, all, 1, x_);
    }
  }

  /// out = x weight[first row ...]^T + bias[first row ...]
  void project(view_of<B> x, const typename B::tensor& weight, const typename B::tensor& bias,
               index_t first, view_of<B> out) {
    const index_t end = first + out.extent(2);
    be_.gemm(1, rows_of(x), weight.view().slice(0, first, end).transposed(), 0, rows_of(out));
    be_.add_bias(bias.view().slice(0, first, end), out);
  }

  /// From here on, the stream is the pooled tokens'.
  void pool() {
    if (!is_pooled_) x_ = pooled(x_);
    is_pooled_ = true;
  }

  /// The pooled tokens' rows of x, as a copy that the next call overwrites.
  view_of<B> pooled(view_of<B> x) {
    const view_of<B> all = work_.pooled({n_sequences(), 1, x.extent(2)});
    each_group([&](const sequence_group<B>& g, index_t row, index_t sequence) {
      be_.copy(part(rows_of(x), row, g.n, g.own).select(1, causal_ ? g.own - 1 : 0),
               rows_of(all).slice(0, sequence, sequence + g.n));
    });
    return all;
  }

  /// f(group, its first row, its first sequence)
  template <class F>
  void each_group(F f) const {
    index_t row = 0, sequence = 0;
    for (const sequence_group<B>& g : groups_) {
      f(g, row, sequence);
      row += g.n * g.own;
      sequence += g.n;
    }
  }

  index_t n_sequences() const {
    index_t n = 0;
    for (const sequence_group<B>& g : groups_) n += g.n;
    return n;
  }

  /// n sequences of `each` rows: [n, each, columns].
  static view_of<B> part(view_of<B> rows, index_t first, index_t n, index_t each) {
    return rows.slice(0, first, first + n * each).split(0, each);
  }

  /// [n, tokens, d_model] as [n, n_heads, tokens, d_head]
  view_of<B> by_head(view_of<B> x) const {
    return x.split(2, config_.d_head()).permuted({0, 2, 1, 3});
  }

  void settle() {
    if (!pending_.empty()) be_.add_bias(pending_, x_);
    pending_ = {};
  }

  /// Whether block `layer` need compute nothing but the pooled token after its values.
  bool only_pooled(index_t layer) const {
    if (layer + 1 < config_.n_layers) return false;
    for (const site_kind kind : {site_kind::queries, site_kind::pattern, site_kind::z,
                                 site_kind::attn_out, site_kind::resid_mid, site_kind::ln_2_mean,
                                 site_kind::ln_2_scale, site_kind::ln_2_normalized,
                                 site_kind::mlp_post, site_kind::mlp_out, site_kind::resid_post}) {
      if (cache_ != nullptr && cache_->keeps({kind, layer, false})) return false;
    }
    return true;
  }

  scalar eps() const { return static_cast<scalar>(config_.eps); }

  static view_of<B> rows_of(view_of<B> x) {
    return x.reshaped({x.extent(0) * x.extent(1), x.extent(2)});
  }

  view_of<B> slot(site_kind kind, index_t layer, bool class_token = false) const {
    return cache_ == nullptr ? view_of<B>{} : cache_->slot({kind, layer, class_token});
  }
  void keep(site_kind kind, index_t layer, const_view_of<B> value) const {
    if (const view_of<B> to = slot(kind, layer); !to.empty()) be_.copy(value, to);
  }
  void keep_stream(site_kind kind, index_t layer) const {
    keep(kind, layer, x_);
    const view_of<B> one = slot(kind, layer, true);
    if (!one.empty()) be_.copy(x_.select(1, 0), one);
  }

  const B& be_;
  const transformer_config& config_;
  const std::vector<block_weights<B>>& blocks_;
  transformer_workspace<B>& work_;
  activation_cache<B>* cache_;
  view_of<B> x_;
  std::vector<sequence_group<B>> groups_;
  bool causal_, is_pooled_ = false;
  const_view_of<B> pending_;  ///< a bias that the stream lacks; empty for none
};

}  // namespace solens
