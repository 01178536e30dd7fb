#include <algorithm>
#include <set>
#include <vector>

#include <solens/model/prefix_tree.hpp>

#include <support/test.hpp>

using namespace solens;

namespace {

using tokens = std::vector<index_t>;

/// Texts of up to 9 tokens from a small vocabulary, some of them the same, in their order.
std::vector<tokens> many_texts() {
  std::vector<tokens> texts;
  for (index_t i = 0; i < 300; ++i) {
    tokens text{7};
    for (index_t t = 0, left = i * 37 % 211; t < i % 9; ++t, left /= 3) text.push_back(left % 3);
    texts.push_back(text);
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

prefix_tree tree_of(const std::vector<tokens>& texts, index_t max_rows) {
  const std::vector<prefix_tree::text> views(texts.begin(), texts.end());
  return {views, max_rows};
}

/// Where in the paths each leaf's begins, and how many rows it owns.
struct leaf {
  index_t path, length, own;
};
std::vector<leaf> leaves(const prefix_tree& tree) {
  std::vector<leaf> result;
  index_t path = 0;
  for (const prefix_tree::group& g : tree.groups()) {
    for (index_t i = 0; i < g.n; ++i, path += g.length) result.push_back({path, g.length, g.own});
  }
  return result;
}

template <class T>
const T& at(const std::vector<T>& values, index_t i) {
  return values.at(static_cast<std::size_t>(i));
}

}  // namespace

TEST_CASE("a prefix tree has a row for every distinct prefix") {
  const std::vector<tokens> texts = many_texts();
  std::set<tokens> prefixes;
  for (const tokens& t : texts) {
    for (auto end = t.begin(); end != t.end();) prefixes.insert(tokens(t.begin(), ++end));
  }
  const prefix_tree tree = tree_of(texts, 10000);
  CHECK(tree.n_texts() == std::ssize(texts));
  CHECK(tree.n_rows() == std::ssize(prefixes));
  CHECK(std::ssize(leaves(tree)) == std::ssize(std::set<tokens>(texts.begin(), texts.end())));
}

TEST_CASE("a text's path through a prefix tree spells it, and ends with the rows it owns") {
  const std::vector<tokens> texts = many_texts();
  const index_t max_rows = GENERATE(9, 10, 40, 10000);
  CAPTURE(max_rows);
  for (auto rest = texts; !rest.empty();) {
    const prefix_tree tree = tree_of(rest, max_rows);
    REQUIRE(tree.n_texts() > 0);
    CHECK(tree.n_rows() <= max_rows);
    CHECK(std::ssize(tree.positions()) == tree.n_rows());
    const std::vector<leaf> all = leaves(tree);
    index_t row = 0;
    for (const leaf& l : all) {
      for (index_t p = l.length - l.own; p < l.length; ++p) {
        CHECK(at(tree.paths(), l.path + p) == row++);
      }
    }
    CHECK(row == tree.n_rows());
    for (index_t i = 0; i < tree.n_texts(); ++i) {
      const leaf& l = at(all, at(tree.leaf_of(), i));
      tokens spelt;
      for (index_t p = 0; p < l.length; ++p) {
        const index_t at_row = at(tree.paths(), l.path + p);
        spelt.push_back(at(tree.tokens(), at_row));
        CHECK(at(tree.positions(), at_row) == p);
      }
      CHECK(spelt == at(rest, i));
    }
    rest.erase(rest.begin(), rest.begin() + tree.n_texts());
  }
}

TEST_CASE("a prefix tree's groups are of one size, and their paths fit where its rows do") {
  const prefix_tree tree =
      tree_of({{7, 1, 2}, {7, 1, 2, 3}, {7, 1, 2, 4}, {7, 1, 2, 4}, {7, 1, 2, 5}, {7, 3, 3}}, 9);
  CHECK(tree.leaf_of() == tokens{1, 2, 3, 3, 4, 0});
  REQUIRE(tree.groups().size() == 4);
  const std::vector<std::vector<index_t>> sizes{{1, 2, 3}, {1, 3, 3}, {2, 1, 4}, {1, 1, 4}};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const prefix_tree::group& g = tree.groups()[i];
    CHECK(std::vector<index_t>{g.n, g.own, g.length} == sizes[i]);
  }
}

TEST_CASE("a prefix tree of no texts is empty") {
  const prefix_tree tree = tree_of({}, 4);
  CHECK(tree.n_texts() == 0);
  CHECK(tree.n_rows() == 0);
  CHECK(tree.groups().empty());
}
