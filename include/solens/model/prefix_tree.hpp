#pragma once

#include <algorithm>  // std::copy_n, std::mismatch, std::stable_sort
#include <cstddef>    // std::size_t
#include <iterator>   // std::ssize
#include <numeric>    // std::iota
#include <span>
#include <utility>  // std::pair
#include <vector>

#include <solens/core/shape.hpp>

namespace solens {

/// Texts as the tree of their prefixes: the rows that a causal transformer has to compute.
///
/// Where attention is causal, what becomes of a token depends on the tokens up to it alone. So a
/// distinct prefix is one row, however many texts begin with it, and a distinct text is a leaf: it
/// owns the rows from where it parts with the texts before it, and reads those of its prefix.
class prefix_tree {
 public:
  using text = std::span<const index_t>;

  /// Leaves that are alike in their numbers of rows.
  struct group {
    index_t n;       ///< leaves
    index_t own;     ///< rows that each of them owns
    index_t length;  ///< rows on the way to its end, its own among them
  };

  /// @param texts     none of them empty, in lexicographic order; taken from the first on, as many
  ///                  as there is room for
  /// @param max_rows  of the tree, and of the paths of a group; the longest text has to fit
  prefix_tree(std::span<const text> texts, index_t max_rows) {
    std::vector<leaf> leaves = take(texts, max_rows);
    arrange(leaves, max_rows);
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      const auto path = paths_.begin() + leaves[i].path;
      const index_t shared = leaves[i].shared;
      if (shared > 0) std::copy_n(paths_.begin() + leaves[i - 1].path, shared, path);
      std::iota(path + shared, path + leaves[i].length(), leaves[i].row);
    }
  }

  index_t n_texts() const { return std::ssize(leaf_of_); }  ///< that were taken
  index_t n_rows() const { return std::ssize(tokens_); }

  /// In the order of the rows.
  const std::vector<group>& groups() const { return groups_; }
  /// [n_rows]
  const std::vector<index_t>& tokens() const { return tokens_; }
  /// [n_rows], where in its text a token stands
  const std::vector<index_t>& positions() const { return positions_; }
  /// [n, length] of each group, one after the other: the rows from a leaf's first token to its last
  const std::vector<index_t>& paths() const { return paths_; }
  /// [n_texts], among the leaves of all groups
  const std::vector<index_t>& leaf_of() const { return leaf_of_; }

 private:
  struct leaf {
    text tokens;
    index_t shared;     ///< rows of its path that are the leaf's before it as well
    index_t row = 0;    ///< the first of its own
    index_t path = 0;   ///< where its path begins
    index_t place = 0;  ///< among the leaves of all groups
    index_t length() const { return std::ssize(tokens); }
    index_t own() const { return length() - shared; }
  };

  /// The leaves in the order of the texts.
  std::vector<leaf> take(std::span<const text> texts, index_t max_rows) {
    std::vector<leaf> leaves;
    index_t n_rows = 0;
    for (const text& t : texts) {
      index_t shared = 0;
      if (!leaves.empty()) {
        const text& before = leaves.back().tokens;
        shared = std::mismatch(t.begin(), t.end(), before.begin(), before.end()).first - t.begin();
      }
      n_rows += std::ssize(t) - shared;
      if (n_rows > max_rows) break;
      if (shared < std::ssize(t)) leaves.push_back({t, shared});
      leaf_of_.push_back(std::ssize(leaves) - 1);
    }
    return leaves;
  }

  /// Groups the leaves and numbers their rows.
  void arrange(std::vector<leaf>& leaves, index_t max_rows) {
    std::vector<leaf*> order;
    for (leaf& l : leaves) order.push_back(&l);
    const auto sizes = [](const leaf* l) { return std::pair(l->length(), l->own()); };
    std::stable_sort(order.begin(), order.end(),
                     [&](const leaf* a, const leaf* b) { return sizes(a) < sizes(b); });
    index_t place = 0, path = 0;
    for (leaf* l : order) {
      const group* last = groups_.empty() ? nullptr : &groups_.back();
      if (last == nullptr || last->length != l->length() || last->own != l->own() ||
          (last->n + 1) * last->length > max_rows) {
        groups_.push_back({0, l->own(), l->length()});
      }
      ++groups_.back().n;
      l->place = place++;
      l->path = path;
      l->row = n_rows();
      path += l->length();
      tokens_.insert(tokens_.end(), l->tokens.begin() + l->shared, l->tokens.end());
      for (index_t p = l->shared; p < l->length(); ++p) positions_.push_back(p);
    }
    paths_.resize(static_cast<std::size_t>(path));
    for (index_t& i : leaf_of_) i = leaves[static_cast<std::size_t>(i)].place;
  }

  std::vector<group> groups_;
  std::vector<index_t> tokens_, positions_, paths_, leaf_of_;
};

}  // namespace solens
