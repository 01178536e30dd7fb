#pragma once

#include <algorithm>  // std::find, std::lexicographical_compare, std::max_element, std::sort
#include <cstddef>    // std::size_t
#include <iterator>   // std::ssize
#include <span>
#include <string>
#include <utility>  // std::move
#include <vector>

#include <solens/model/config.hpp>
#include <solens/model/prefix_tree.hpp>
#include <solens/model/transformer.hpp>
#include <solens/model/weights.hpp>

namespace solens {

/// Memory of a text tower's forward pass.
template <tensor_backend B>
struct text_workspace {
  transformer_workspace<B> blocks;
  typename B::index_tensor rows;   ///< [2, max_rows]: token and position of each
  typename B::index_tensor paths;  ///< [max_rows * context_length]
  typename B::tensor features;     ///< [max_rows, d_joint]
};

/// CLIP's text transformer: token ids to features in the joint image-text space.
///
/// A text ends with the token at which its features are read; since attention is causal, what
/// follows changes nothing and is not computed, and what precedes it is computed once for all
/// texts of a batch that begin with it. So a text costs the tokens after those that it shares with
/// its neighbours in lexicographic order; the more texts at once, the fewer. Features depend on the
/// company by rounding alone.
///
/// Source: arXiv 2103.00020, section 2.4.
template <tensor_backend B>
class text_tower {
 public:
  using workspace = text_workspace<B>;
  /// Rows of a batch that keep the products large and the workspace small.
  static constexpr index_t default_rows = 2048;

  /// @throws shape_error when the weights are not of the configuration's shapes
  text_tower(text_config config, text_weights<B> weights)
      : config_(std::move(config)), weights_(std::move(weights)) {
    check_weights();
  }

  const text_config& config() const { return config_; }
  const text_weights<B>& weights() const { return weights_; }
  index_t d_joint() const { return weights_.projection.view().extent(1); }

  /// @param max_rows  distinct prefixes of a batch; raised to the context length where it is less
  workspace make_workspace(const B& be, index_t max_rows = default_rows) const {
    const index_t rows = std::max(max_rows, config_.context_length);
    return {{be, config_, rows, config_.context_length, rows, 0, true},
            be.allocate_indices({2, rows}),
            be.allocate_indices({rows * config_.context_length}),
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
    using text = prefix_tree::text;
    // Texts that begin alike become neighbours.
    std::vector<text> texts;
    for (index_t i = 0; i < n; ++i) {
      texts.emplace_back(tokens[i].data(), static_cast<std::size_t>(length(tokens[i])));
    }
    std::sort(texts.begin(), texts.end(), [](const text& a, const text& b) {
      return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
    });
    for (std::span<const text> left = texts; !left.empty();) {
      const prefix_tree tree(left, work.blocks.max_rows());
      const const_view_of<B> found = batch(be, tree, work);
      const auto n_taken = static_cast<std::size_t>(tree.n_texts());
      for (std::size_t i = 0; i < n_taken; ++i) {
        const index_t row = (left[i].data() - tokens.data()) / tokens.extent(1);
        be.copy(found[tree.leaf_of()[i]], features[row]);
      }
      left = left.subspan(n_taken);
    }
  }

 private:
  /// The features of a tree's leaves, in the workspace.
  const_view_of<B> batch(const B& be, const prefix_tree& tree, workspace& work) const {
    const index_t n = tree.n_rows(), c = config_.d_model;
    const index_view_of<B> rows = work.rows.view().slice(1, 0, n);
    const index_view_of<B> paths = work.paths.view().slice(0, 0, std::ssize(tree.paths()));
    const auto upload = [&](const std::vector<index_t>& from, index_view_of<B> to) {
      be.upload(host_view<const index_t>(from.data(), {std::ssize(from)}), to);
    };
    upload(tree.tokens(), rows[0]);
    upload(tree.positions(), rows[1]);
    upload(tree.paths(), paths);

    const view_of<B> x = work.blocks.residual({n, 1, c}), at = work.blocks.normed({n, 1, c});
    be.gather(weights_.token_embedding.view(), rows[0], x.select(1, 0));
    be.gather(weights_.positional_embedding.view(), rows[1], at.select(1, 0));
    be.axpby(1, at, 1, x);

    std::vector<sequence_group<B>> groups;
    index_t path = 0, leaves = 0;
    for (const prefix_tree::group& g : tree.groups()) {
      const index_t end = path + g.n * g.length;
      groups.push_back({g.n, g.own, paths.slice(0, path, end).reshaped({g.n, g.length})});
      path = end;
      leaves += g.n;
    }
    transformer_pass<B> pass(be, config_, weights_.blocks, work.blocks, x, std::move(groups), true,
                             nullptr);
    pass.run(0);
    const view_of<B> out = work.features.view().slice(0, 0, leaves);
    pass.finish(weights_.ln_final_weight.view(), weights_.ln_final_bias.view(),
                weights_.projection.view(), out);
    return out;
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
