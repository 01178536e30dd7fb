#include "support/test.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <solens/findings/head_pairs.hpp>

#include "findings/forward_in_double.hpp"
#include "lens/backends.hpp"

using namespace solens;
using namespace solens::test;

namespace {

/// Effects by later head in double, every one in memory, and what a run would know of them.
struct all_terms {
  matrix effects;            ///< [images, sources, writers, d_joint]
  matrix mean_coefficients;  ///< [writers, sources]

  all_terms(const forward_in_double& f, index_t layer, convention how) {
    using B = forward_in_double::backend;
    const B be{};
    const auto weights = f.weights();
    const auto activations = f.activations();
    const head_maps<B> heads(be, weights, how);
    second_order_map<B> map(be, heads, weights, layer);
    attention_routes<B> routes;
    routes.update(be, activations, layer + 1);
    const index_t images = f.n_images(), k = map.n_sources(), n = map.n_writers();
    matrix s({images, k, n});
    map.coefficients(be, routes, activations.blocks[static_cast<std::size_t>(layer)].writers, s);
    effects = matrix({images, k, n, map.d_joint()});
    map.effect_terms(be, s, {}, effects);
    mean_coefficients = matrix({n, k}, 0.0);
    for (index_t i = 0; i < images; ++i) {
      be.axpby(1.0 / static_cast<double>(images), std::as_const(s).view()[i].transposed(), 1,
               mean_coefficients);
    }
  }
};

/// Some images a writer, never the same twice: [writers, top].
host_tensor<index_t> some_images(index_t writers, index_t top, index_t n_images) {
  host_tensor<index_t> images({writers, top});
  for (index_t w = 0; w < writers; ++w) {
    for (index_t i = 0; i < top; ++i) images(w, i) = (7 * w + 3 * i) % n_images;
  }
  return images;
}

/// What the oracle finds of a writer, each head's effects about their mean, on its top images.
struct pairs_oracle {
  std::vector<double> norms;  ///< by source
  std::vector<std::vector<double>>
      directions;    ///< by source: first direction of the centered effects
  double total = 0;  ///< sum of squared norms

  pairs_oracle(const matrix& terms, index_t writer, host_view<const index_t> top) {
    const index_t images = terms.extent(0), e = terms.extent(3);
    for (index_t k = 0; k < terms.extent(1); ++k) {
      std::vector<double> mean(static_cast<std::size_t>(e), 0.0), sum = mean, longest = mean;
      for (index_t i = 0; i < images; ++i) {
        for (index_t j = 0; j < e; ++j) {
          mean[static_cast<std::size_t>(j)] += terms(i, k, writer, j) / static_cast<double>(images);
        }
      }
      double squares = 0, largest = 0;
      for (index_t i = 0; i < top.size(); ++i) {
        std::vector<double> centered(static_cast<std::size_t>(e));
        double squared = 0;
        for (std::size_t j = 0; j < centered.size(); ++j) {
          centered[j] = terms(top(i), k, writer, static_cast<index_t>(j)) - mean[j];
          squared += centered[j] * centered[j];
          sum[j] += centered[j];
        }
        squares += squared;
        if (squared <= largest) continue;
        largest = squared;
        longest = centered;
      }
      norms.push_back(std::sqrt(squares / static_cast<double>(top.size())));
      total += norms.back() * norms.back();
      // All effects lie on one line, so the longest gives it; their sum says which way it points.
      const double along = std::inner_product(sum.begin(), sum.end(), longest.begin(), 0.0);
      for (double& x : longest) x *= (along < 0 ? -1 : 1) / std::sqrt(largest);
      directions.push_back(longest);
    }
  }
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("pairs are those with every effect by head in memory", "", test::backends) {
  using B = TestType;
  using scalar = typename B::scalar;
  const B be = make_backend<B>();
  const auto [trained, layer] = GENERATE(table<bool, index_t>({{false, 1}, {true, 3}}));
  const auto how = GENERATE(convention::centered, convention::reference);
  const auto& f = trained ? forward_in_double::toyland() : forward_in_double::tiny_a();
  const index_t n_images = f.n_images(), top = 6, n_heads = 3;
  const all_terms all(f, layer, how);
  const matrix &terms = all.effects, &means = all.mean_coefficients;
  const index_t writers = terms.extent(2), e = terms.extent(3);
  const auto images = some_images(writers, top, n_images);

  const auto weights = f.on(be, 0, 1);
  const head_maps<B> heads(be, weights.weights, how);
  second_order_map<B> map(be, heads, weights.weights, layer);
  host_tensor<scalar> mean(means.extents());
  std::transform(means.begin(), means.end(), mean.begin(),
                 [](double x) { return static_cast<scalar>(x); });
  head_pairs<B> pairs(be, map, mean, images, n_images);
  attention_routes<B> routes;
  scratch<B> work;
  for (index_t i = 0; i < n_images; i += 19) {
    const index_t end = std::min(n_images, i + 19);
    const auto in = f.on(be, i, end);
    std::vector<index_t> numbers(static_cast<std::size_t>(end - i));
    std::iota(numbers.begin(), numbers.end(), i);
    routes.update(be, in.activations, layer + 1);
    pairs.add(be, routes, in.activations.blocks[static_cast<std::size_t>(layer)].writers, numbers,
              work);
  }
  const auto found = pairs.finish(be, n_heads);

  const double tolerance = test::bound<scalar>(1e-9, 1e-5);
  double worst_norm = 0, worst_share = 0, worst_direction = 0, worst_order = 0;
  for (index_t w = 0; w < writers; ++w) {
    const pairs_oracle oracle(terms, w, images.view()[w]);
    std::vector<double> sorted = oracle.norms;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    for (index_t i = 0; i < n_heads; ++i) {
      const auto k = static_cast<std::size_t>(found.sources(w, i));
      const double norm = oracle.norms.at(k);
      worst_order = std::max(worst_order, sorted[static_cast<std::size_t>(i)] - norm);
      worst_norm =
          std::max(worst_norm, std::abs(static_cast<double>(found.norm(w, i)) - norm) / sorted[0]);
      worst_share = std::max(worst_share, std::abs(static_cast<double>(found.share(w, i)) -
                                                   norm * norm / oracle.total));
      double cosine = 0;
      for (index_t j = 0; j < e; ++j) {
        cosine += static_cast<double>(found.direction(w, i, j)) *
                  oracle.directions[k][static_cast<std::size_t>(j)];
      }
      worst_direction = std::max(worst_direction, 1 - cosine);
    }
  }
  CAPTURE(trained, static_cast<int>(how));
  CHECK(worst_norm < tolerance);
  CHECK(worst_share < tolerance);
  CHECK(worst_direction < tolerance);
  CHECK(worst_order < tolerance);
}

TEST_CASE("pairs leave out images that are nobody's, and refuse what does not fit") {
  using B = eigen_backend<float>;
  const B be{};
  const auto& f = forward_in_double::tiny_a();
  const auto in = f.on(be, 0, f.n_images());
  const head_maps<B> heads(be, in.weights, convention::centered);
  second_order_map<B> map(be, heads, in.weights, 2);
  const index_t n = map.n_writers(), k = map.n_sources();
  const host_tensor<float> mean({n, k}, 0), narrow({n, k + 1}, 0);
  host_tensor<index_t> images({n, 2}, 5);
  for (index_t w = 0; w < n; ++w) images(w, 0) = 9;
  head_pairs<B> all(be, map, mean, images, 64), few(be, map, mean, images, 64);
  for (index_t i = 0; i < 64; ++i) CHECK(all.needs(i) == (i == 5 || i == 9));

  attention_routes<B> routes;
  scratch<B> work;
  std::vector<index_t> numbers(64);
  std::iota(numbers.begin(), numbers.end(), index_t{0});
  routes.update(be, in.activations, 3);
  all.add(be, routes, in.activations.blocks[2].writers, numbers, work);
  for (const index_t i : {5, 9}) {
    const auto one = f.on(be, i, i + 1);
    routes.update(be, one.activations, 3);
    few.add(be, routes, one.activations.blocks[2].writers, {i}, work);
  }
  const auto a = all.finish(be, k), b = few.finish(be, k);
  CHECK(relative_difference<float, float>(a.norm, b.norm) < 1e-5);
  for (index_t w = 0; w < n; ++w) {
    float sum = 0;
    for (index_t i = 0; i < k; ++i) sum += a.share(w, i);
    CHECK(sum == Approx(1).epsilon(1e-5));
  }

  CHECK_THROWS_WITH(all.finish(be, k + 1), Catch::Contains("1 to 4 heads"));
  CHECK_THROWS_AS(all.finish(be, 0), argument_error);
  CHECK_THROWS_WITH(head_pairs<B>(be, map, narrow, images, 64),
                    Catch::Contains("layer 2: mean_coefficients"));
  CHECK_THROWS_WITH(head_pairs<B>(be, map, mean, images.view().slice(0, 1, n), 64),
                    Catch::Contains("layer 2: top_images"));
  CHECK_THROWS_WITH(head_pairs<B>(be, map, mean, images, 9), Catch::Contains("images below 9"));
}

TEST_CASE("a writer that does nothing has pairs without direction") {
  using B = reference_backend<double>;
  const B be{};
  const auto& f = forward_in_double::tiny_a();
  auto in = f.on(be, 0, 1);
  const matrix none({256, 64}, 0.0);
  in.weights.blocks[2].writer_directions = none.view();
  const head_maps<B> heads(be, in.weights, convention::centered);
  second_order_map<B> map(be, heads, in.weights, 2);
  const matrix mean({256, 4}, 0.0);
  const host_tensor<index_t> images({256, 1}, 0);
  head_pairs<B> pairs(be, map, mean, images, 1);
  const auto found = pairs.finish(be, 2);
  CHECK(
      std::all_of(found.direction.begin(), found.direction.end(), [](double x) { return x == 0; }));
  CHECK(found.share(3, 0) == 0);
  CHECK(found.sources(3, 0) == 0);
  CHECK(found.sources(3, 1) == 1);
}
