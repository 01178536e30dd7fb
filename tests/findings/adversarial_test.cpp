#include "support/test.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "findings/concepts_oracle.hpp"
#include "support/backends.hpp"

#include <solens/findings/adversarial.hpp>
#include <solens/testing/archetypes.hpp>

using namespace solens;
using namespace solens::test;

namespace {

using words = std::vector<std::string>;

std::vector<index_t> numbers_of(const std::vector<said_word>& said) {
  std::vector<index_t> numbers;
  for (const said_word& w : said) numbers.push_back(w.word);
  return numbers;
}

/// Words of the top writers by plain loops: score by word.
template <class T>
std::map<index_t, double> expected_scores(const std::vector<host_tensor<T>>& directions,
                                          const std::vector<layer_codes<T>>& codes,
                                          const host_tensor<T>& difference, std::size_t n) {
  struct writer {
    std::size_t layer;
    index_t w;
    double pull;
  };
  std::vector<writer> all;
  for (std::size_t l = 0; l < directions.size(); ++l) {
    for (index_t w = 0; w < directions[l].extent(0); ++w) {
      double pull = 0;
      for (index_t j = 0; j < difference.size(); ++j) {
        pull += static_cast<double>(directions[l](w, j)) * static_cast<double>(difference(j));
      }
      all.push_back({l, w, pull});
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const writer& a, const writer& b) {
    return std::abs(a.pull) > std::abs(b.pull);
  });
  std::map<index_t, double> scores;
  for (std::size_t i = 0; i < n; ++i) {
    const auto& code = codes[all[i].layer];
    for (index_t a = 0; a < code.atoms.extent(1); ++a) {
      if (code.atoms(all[i].w, a) < 0) continue;
      scores[code.atoms(all[i].w, a)] +=
          static_cast<double>(code.weights(all[i].w, a)) * all[i].pull;
    }
  }
  return scores;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("spurious words are those of the writers that tell two classes apart", "",
                        cpu_backends) {
  using B = TestType;
  using scalar = typename B::scalar;
  const B be{};
  std::vector<host_tensor<scalar>> directions;
  directions.push_back(random_tensor<scalar>({30, 16}, 1));
  directions.push_back(random_tensor<scalar>({20, 16}, 2));
  const auto difference = random_tensor<scalar>({16}, 3);
  const made_up_codes<scalar> first(30, 4), last(20, 5);
  const std::vector<layer_codes<scalar>> codes{first.of(3), last.of(7)};
  const std::vector<layer_directions<scalar>> layers{{3, directions[0]}, {7, directions[1]}};
  const auto all = pulls<B>(be, layers, difference);
  REQUIRE(all.size() == 50);
  for (const index_t n : {index_t{1}, index_t{12}, index_t{50}, index_t{1000}}) {
    const auto expected = expected_scores(directions, codes, difference,
                                          static_cast<std::size_t>(std::min(n, index_t{50})));
    const auto found = spurious_words<scalar>(foremost(all, n), codes);
    std::size_t n_positive = 0;
    for (const auto& [word, score] : expected) n_positive += score > 0;
    REQUIRE(found.size() == n_positive);
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (i > 0) CHECK(found[i].score <= found[i - 1].score);
      CHECK(found[i].score == Approx(expected.at(found[i].word)).epsilon(1e-5).margin(1e-5));
    }
  }
}

TEST_CASE("other keys choose other writers, whose weights stay") {
  const std::vector<weighted_writer> writers{{0, 0, 3}, {0, 1, -5}, {1, 0, 1}};
  const auto writers_of = [](const std::vector<weighted_writer>& chosen) {
    std::vector<double> weights;
    for (const auto& w : chosen) weights.push_back(w.weight);
    return weights;
  };
  CHECK(writers_of(foremost(writers, 2)) == std::vector<double>{-5, 3});
  CHECK(writers_of(foremost(writers, 2, {1, 0, 2})) == std::vector<double>{1, 3});
  CHECK(writers_of(foremost(writers, 3, {1, 1, 1})) == std::vector<double>{3, -5, 1});
  CHECK(foremost(writers, 0).empty());
  CHECK_THROWS_AS(foremost(writers, 2, {1, 2}), argument_error);
}

TEMPLATE_LIST_TEST_CASE("words along a difference are ranked by cosine", "", cpu_backends) {
  using B = TestType;
  using scalar = typename B::scalar;
  const B be{};
  auto dictionary = random_tensor<scalar>({40, 8}, 1);
  for (index_t j = 0; j < 8; ++j) dictionary(5, j) = 0;
  const auto difference = random_tensor<scalar>({8}, 2);
  std::map<index_t, double> expected;
  for (index_t w = 0; w < 40; ++w) {
    double product = 0, a = 0, b = 0;
    for (index_t j = 0; j < 8; ++j) {
      const auto x = static_cast<double>(dictionary(w, j)), y = static_cast<double>(difference(j));
      product += x * y, a += x * x, b += y * y;
    }
    if (product > 0) expected[w] = product / std::sqrt(a * b);
  }
  const auto found = words_along<B>(be, on_backend(be, dictionary.view()).view(), difference);
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (i > 0) CHECK(found[i].score <= found[i - 1].score);
    CHECK(found[i].score == Approx(expected.at(found[i].word)).epsilon(1e-5));
  }
}

TEST_CASE("adversarial words need nothing of a backend but the contract") {
  const auto run = []<class B>(const B& be) {
    const auto rows = random_tensor<double>({9, 4}, 1);
    const auto difference = random_tensor<double>({4}, 2);
    const auto dictionary = on_backend(be, rows.view());
    const std::vector<layer_directions<double>> layers{{2, rows}};
    std::vector<double> numbers;
    for (const auto& w : pulls<B>(be, layers, difference)) numbers.push_back(w.weight);
    for (const auto& w : words_along<B>(be, dictionary.view(), difference)) {
      numbers.push_back(w.score);
    }
    return numbers;
  };
  CHECK(run(reference_backend<double>{}) == run(testing::archetype_backend<double>{0}));
}

TEST_CASE("random words are all of them, in an order of the seed's") {
  const auto a = numbers_of(words_at_random(50, 1)), b = numbers_of(words_at_random(50, 2));
  CHECK(a == numbers_of(words_at_random(50, 1)));
  CHECK(a != b);
  CHECK(std::set<index_t>(a.begin(), a.end()).size() == 50);
  CHECK(words_at_random(0, 1).empty());
}

TEST_CASE("phrases that hold the name of a class, in the singular or plural") {
  CHECK(names_class("a red boat", "boat"));
  CHECK(names_class("Red BOATS on the sea", "boat"));
  CHECK(names_class("boat", "Boats"));
  CHECK(names_class("two foxes", "fox"));
  CHECK(names_class("ripe cherries", "cherry"));
  CHECK(names_class("the fire-trucks", "fire truck"));
  CHECK_FALSE(names_class("houseboat", "boat"));
  CHECK_FALSE(names_class("boat", "fire boat"));
  CHECK_FALSE(names_class("carpet", "car"));
  CHECK_FALSE(names_class("anything", "..."));
}

TEST_CASE("what gives a class away is left out, by name and by nearness") {
  const words dictionary{"boat", "ship", "sea", "red car", "truck", "sand", "port", "waves"};
  // In two dimensions: class 0 lies along x, class 1 along y.
  const std::map<std::string, std::pair<double, double>> places{
      {"ship", {0.95, 0.31}}, {"sea", {0.8, 0.6}},   {"truck", {0.1, 0.995}},
      {"sand", {0.6, 0.8}},   {"port", {0.9, 0.43}}, {"waves", {0.7, 0.71}}};
  host_tensor<double> rows({2, 2}, 0.0);
  rows(0, 0) = rows(1, 1) = 1;
  std::vector<said_word> ranked;
  for (index_t w = 0; w < 8; ++w) ranked.push_back({w, 8.0 - static_cast<double>(w)});
  const auto embed = [&](std::span<const std::string> texts) {
    host_tensor<double> out({std::ssize(texts), 2});
    for (index_t i = 0; i < out.extent(0); ++i) {
      const auto& at = places.at(texts[static_cast<std::size_t>(i)]);  // names are never asked for
      out(i, 0) = at.first, out(i, 1) = at.second;
    }
    return out;
  };
  const auto kept = [&](index_t n, double near) {
    const class_pair<double> pair{{"boat", "car"}, rows, near};
    return numbers_of(without_giveaways<double>(ranked, dictionary, pair, n, embed));
  };
  using numbers = std::vector<index_t>;
  CHECK(kept(10, 0.9) == numbers{2, 5, 7});
  CHECK(kept(2, 0.9) == numbers{2, 5});
  CHECK(kept(1, 0.9) == numbers{2});
  CHECK(kept(10, 0.94) == numbers{2, 5, 6, 7});
  CHECK(kept(10, 1.1) == numbers{1, 2, 4, 5, 6, 7});
  CHECK(kept(0, 0.9).empty());
}

TEST_CASE("a request for captions names the classes, the words and the number") {
  const std::string text = caption_request("boat", "car", words{"open sea", "gulls"}, 7);
  for (const char* part : {"7 captions", "one car", "any boat", "- open sea\n", "- gulls\n"}) {
    CHECK_THAT(text, Catch::Contains(part));
  }
}
