#pragma once

#include <algorithm>  // std::copy_n, std::find, std::max_element, std::stable_sort
#include <numeric>    // std::iota
#include <string>
#include <utility>  // std::as_const, std::move
#include <vector>

#include <solens/model/config.hpp>
#include <solens/model/transformer.hpp>
#include <solens/model/weights.hpp>

namespace solens {

/// Memory of a text tower's forward pass.
template <tensor_backend B>
struct text_workspace {
  transformer_workspace<B> blocks;
  typename B::index_tensor ids;  ///< [max_rows]
  typename B::tensor features;   ///< [max_rows, d_joint]
};

/// CLIP's text transformer: token ids to features in the joint image-text space.
///
/// A text ends with the token at which its features are read; since attention is causal, what
/// follows changes nothing and is not computed. Texts of one length run together, without
/// padding, as many as the workspace has rows for; so the time goes with the number of tokens,
/// and a text's features do not depend on its company.
///
/// Source: arXiv 2103.00020, section 2.4.
template <tensor_backend B>
class text_tower {
 public:
  using workspace = text_workspace<B>;
  /// Tokens of a batch that keep the products large and the workspace small.
  static constexpr index_t default_rows = 2048;

  /// @throws shape_error when the weights are not of the configuration's shapes
  text_tower(text_config config, text_weights<B> weights)
      : config_(std::move(config)), weights_(std::move(weights)) {
    check_weights();
  }

  const text_config& config() const { return config_; }
  const text_weights<B>& weights() const { return weights_; }
  index_t d_joint() const { return weights_.projection.view().extent(1); }

  /// @param max_rows  tokens of a batch; raised to the context length where it is less
  workspace make_workspace(const B& be, index_t max_rows = default_rows) const {
    const index_t rows = std::max(max_rows, config_.context_length);
    return {{be, config_, rows, config_.context_length, rows, 0, true},
            be.allocate_indices({rows}),
            be.allocate({rows, d_joint()})};
  }

  /// How many tokens of a text count: up to the one at which its features are read.
  /// @throws argument_error for a text without the configuration's end token
  index_t length(host_view<const index_t> text) const {
    const index_t* begin = text.data();
    const index_t* end = begin + text.size();
    const index_t* at = config_.end_token ? std::find(begin, end, *config_.end_token)
                                          : std::max_element(begin, end);
    if (at == end) {
      throw argument_error("text_tower", "an end token in every text", "none");
    }
    return at - begin + 1;
  }

  /// The features of any number of texts.
  ///
  /// @param tokens    [n_texts, at most context_length], contiguous
  /// @param features  overwritten, [n_texts, d_joint], not normalised
  /// @throws shape_error, argument_error for a token that the vocabulary has not
  void forward(const B& be, host_view<const index_t> tokens, workspace& work,
               view_of<B> features) const {
    check_tokens(tokens);
    const index_t n = tokens.extent(0);
    checks::same("text_tower", shape{n, d_joint()}, features.extents(), "features");
    std::vector<index_t> lengths(static_cast<std::size_t>(n)), order(lengths.size());
    for (index_t i = 0; i < n; ++i) lengths[static_cast<std::size_t>(i)] = length(tokens[i]);
    std::iota(order.begin(), order.end(), index_t{0});
    const auto length_of = [&](index_t i) { return lengths[static_cast<std::size_t>(i)]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](index_t i, index_t j) { return length_of(i) < length_of(j); });
    for (auto from = order.begin(); from != order.end();) {
      const index_t t = length_of(*from);
      const auto most = std::min<index_t>(work.blocks.max_rows() / t, order.end() - from);
      auto to = from;
      while (to != from + most && length_of(*to) == t) ++to;
      batch(be, tokens, {from, to}, t, work, features);
      from = to;
    }
  }

 private:
  using scalar = typename B::scalar;

  /// Texts of `t` tokens each.
  void batch(const B& be, host_view<const index_t> tokens, const std::vector<index_t>& texts,
             index_t t, workspace& work, view_of<B> features) const {
    const auto n = static_cast<index_t>(texts.size());
    host_tensor<index_t> ids({n, t});
    for (index_t i = 0; i < n; ++i) {
      std::copy_n(tokens[texts[static_cast<std::size_t>(i)]].data(), t, ids.data() + i * t);
    }
    const index_view_of<B> rows = work.ids.view().slice(0, 0, n * t).reshaped({n, t});
    be.upload(std::as_const(ids).view(), rows);
    const view_of<B> x = work.blocks.residual({n, t, config_.d_model});
    be.gather(weights_.token_embedding.view(), rows, x);
    be.axpby(1, weights_.positional_embedding.view().slice(0, 0, t).repeated(n), 1, x);

    transformer_pass<B> pass(be, config_, weights_.blocks, work.blocks, x, t - 1, true, nullptr);
    pass.run(0);
    const view_of<B> out = work.features.view().slice(0, 0, n);
    pass.finish(weights_.ln_final_weight.view(), weights_.ln_final_bias.view(),
                weights_.projection.view(), out);
    // Back into the caller's order, neighbours together.
    for (index_t i = 0, end = 0; i < n; i = end) {
      const index_t first = texts[static_cast<std::size_t>(i)];
      for (end = i + 1; end < n && texts[static_cast<std::size_t>(end)] == first + end - i;) ++end;
      be.copy(out.slice(0, i, end), features.slice(0, first, first + end - i));
    }
  }

  void check_tokens(host_view<const index_t> tokens) const {
    if (tokens.rank() != 2 || tokens.extent(1) < 1 || tokens.extent(1) > config_.context_length ||
        !tokens.contiguous()) {
      throw shape_error(
          "text_tower",
          "[n_texts, 1 to " + std::to_string(config_.context_length) + "], contiguous",
          to_string(tokens.extents()), "tokens");
    }
    for (index_t i = 0; i < tokens.size(); ++i) {
      if (tokens.data()[i] < 0 || tokens.data()[i] >= config_.vocab_size) {
        throw argument_error("text_tower", "a token below " + std::to_string(config_.vocab_size),
                             std::to_string(tokens.data()[i]),
                             "text " + std::to_string(i / tokens.extent(1)));
      }
    }
  }

  void check_weights() const {
    const index_t c = config_.d_model;
    const auto same = [](const typename B::tensor& tensor, const shape& expected,
                         const char* name) {
      checks::same("text_tower", expected, tensor.view().extents(), name);
    };
    same(weights_.token_embedding, {config_.vocab_size, c}, "token_embedding");
    same(weights_.positional_embedding, {config_.context_length, c}, "positional_embedding");
    check_blocks<B>("text_tower", config_, weights_.blocks);
    same(weights_.ln_final_weight, {c}, "ln_final_weight");
    same(weights_.ln_final_bias, {c}, "ln_final_bias");
    if (weights_.projection.view().rank() != 2) {
      throw shape_error("text_tower", "[d_model, d_joint]",
                        to_string(weights_.projection.view().extents()), "projection");
    }
    same(weights_.projection, {c, d_joint()}, "projection");
  }

  text_config config_;
  text_weights<B> weights_;
};

}  // namespace solens
