#include "support/test.hpp"

#include "findings/effects_oracle.hpp"
#include "support/backends.hpp"

#include <solens/findings/direction.hpp>
#include <solens/findings/selectivity.hpp>

using namespace solens;

namespace {

/// Three writers on 40 images; one of them writes nothing, one the same to every image.
template <tensor_backend B>
struct example {
  using scalar = typename B::scalar;
  static constexpr index_t n = 5, m = 40, top = 7;
  host_tensor<scalar> coefficients, directions, shared;

  example(index_t n_heads, index_t d_joint, bool with_shared)
      : coefficients(test::random_tensor<scalar>({n, m, n_heads}, 1)),
        directions(test::random_tensor<scalar>({n, n_heads, d_joint}, 2)),
        shared(with_shared ? test::random_tensor<scalar>({m, d_joint}, 3) : host_tensor<scalar>{}) {
    for (index_t i = 0; i < m; ++i) {
      for (index_t k = 0; k < n_heads; ++k) {
        coefficients(3, i, k) = 0;
        coefficients(4, i, k) = 1;
        // a heavy tail: a few images matter much more than the others
        coefficients(0, i, k) *= static_cast<scalar>(i % 9 == 0 ? 6 : 1);
      }
    }
  }

  test::effects_oracle oracle(index_t writer) const {
    const index_t k = coefficients.extent(2), e = directions.extent(2);
    host_tensor<double> effects({m, e}, 0.0);
    for (index_t i = 0; i < m; ++i) {
      for (index_t j = 0; j < e; ++j) {
        if (!shared.empty()) effects(i, j) = static_cast<double>(shared(i, j));
        for (index_t h = 0; h < k; ++h) {
          effects(i, j) += static_cast<double>(coefficients(writer, i, h)) *
                           static_cast<double>(directions(writer, h, j));
        }
      }
    }
    return {std::move(effects), top};
  }

  /// x [n, m, c] less its mean over the images.
  static void subtract_mean(host_view<scalar> x) {
    for (index_t w = 0; w < x.extent(0); ++w) {
      for (index_t j = 0; j < x.extent(2); ++j) {
        double sum = 0;
        for (index_t i = 0; i < x.extent(1); ++i) sum += static_cast<double>(x(w, i, j));
        const auto mean = static_cast<scalar>(sum / static_cast<double>(x.extent(1)));
        for (index_t i = 0; i < x.extent(1); ++i) x(w, i, j) -= mean;
      }
    }
  }

  /// The mean over the top images of what each head brings of the direction.
  /// @param centered  coefficients [m, n_heads]
  void check_by_head(const direction_of_writers<scalar>& found, index_t writer,
                     host_view<const scalar> centered, const std::vector<index_t>& images) const {
    std::vector<double> expected(static_cast<std::size_t>(centered.extent(1)));
    for (index_t h = 0; h < centered.extent(1); ++h) {
      double projection = 0, mean = 0;
      for (index_t j = 0; j < directions.extent(2); ++j) {
        projection += static_cast<double>(directions(writer, h, j)) *
                      static_cast<double>(found.direction(writer, j));
      }
      for (const index_t i : images) mean += static_cast<double>(centered(i, h)) / top;
      expected[static_cast<std::size_t>(h)] = mean * projection;
    }
    CHECK(test::relative_difference<scalar, double>(found.by_head.view()[writer],
                                                    {expected.data(), {centered.extent(1)}}) <
          test::bound<scalar>(1e-12, 1e-5));
  }

  void check(const B& be) const {
    const index_t k = coefficients.extent(2), e = directions.extent(2);
    // about their means, in parts of writers and images, and then the chosen ones
    auto centered = coefficients.clone();
    auto rest = shared.clone();
    subtract_mean(centered.view());
    if (!rest.empty()) subtract_mean(rest.view().split(0, m));
    auto there = test::on_backend(be, centered), added = test::on_backend(be, centered);
    const auto of_heads = test::on_backend(be, directions);
    const auto rest_there = rest.empty() ? typename B::tensor{} : test::on_backend(be, rest);
    centered_effects<B> effects;
    scratch<B> memory;
    effects.begin(be, of_heads.view(), m, !rest.empty());
    for (const auto& [writer, end_writer] : {std::pair{0, 2}, {2, 5}}) {
      for (index_t i = 0; i < m; i += 13) {
        const index_t end = std::min(m, i + 13);
        effects.add(be, writer, i, added.view().slice(0, writer, end_writer).slice(1, i, end),
                    rest.empty() ? const_view_of<B>{} : rest_there.view().slice(0, i, end), memory);
      }
    }
    const auto selective = selectivity(be, effects.norms(), top);
    auto chosen = be.allocate({n, top, k});
    auto chosen_rest = be.allocate(rest.empty() ? shape{} : shape{n, top, e});
    for (index_t w = 0; w < n; ++w) {
      for (index_t i = 0; i < top; ++i) {
        const index_t image = selective.top_images(w, i);
        be.copy(there.view()[w][image], chosen.view()[w][i]);
        if (!rest.empty()) be.copy(rest_there.view()[image], chosen_rest.view()[w][i]);
      }
    }
    const auto found = principal_direction(be, effects, chosen.view(), chosen_rest.view());
    const auto norms = test::on_host(be, effects.norms());
    const double tolerance = test::bound<scalar>(1e-10, 2e-5);
    for (index_t w = 0; w < n; ++w) {
      const auto expected = oracle(w);
      CAPTURE(w);
      const auto vector = [](const std::vector<double>& v) {
        return host_view<const double>(v.data(), {static_cast<index_t>(v.size())});
      };
      if (shared.empty() && w >= 3) {  // the same effect on every image
        CHECK(found.explained_variance(w) <= 1);
        continue;
      }
      CHECK(test::relative_difference<scalar, double>(norms.view()[w], vector(expected.norms)) <
            tolerance);
      for (index_t i = 0; i < top; ++i)
        CHECK(selective.top_images(w, i) == expected.top[static_cast<std::size_t>(i)]);
      CHECK(selective.threshold(w) == selective.top_norms(w, top - 1));
      CHECK(selective.n_significant(w) == top - 1);
      CHECK(std::abs(static_cast<double>(found.explained_variance(w)) - expected.explained) <
            tolerance);
      CHECK(std::abs(static_cast<double>(found.explained_variance_all(w)) -
                     expected.explained_all) < tolerance);
      double cosine = 0;
      for (index_t j = 0; j < directions.extent(2); ++j) {
        cosine += static_cast<double>(found.direction(w, j)) *
                  expected.direction[static_cast<std::size_t>(j)];
      }
      CHECK(cosine > 1 - test::bound<scalar>(1e-8, 1e-5));
      check_by_head(found, w, centered.view()[w], expected.top);
    }
  }
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("findings equal those with every effect in memory", "",
                        test::cpu_backends) {
  const TestType be{};
  SECTION("fewer heads than dimensions: a Cholesky frame") {
    example<TestType>(6, 16, false).check(be);
  }
  SECTION("more heads than dimensions: the joint space itself") {
    example<TestType>(12, 8, false).check(be);
  }
  SECTION("with a vector that all writers share") { example<TestType>(6, 16, true).check(be); }
  SECTION("directions of low rank, whose Gram matrices have no Cholesky factor but for rounding") {
    example<TestType> low(6, 16, false);
    for (index_t w = 0; w < low.n; ++w) {
      for (index_t h = 2; h < 6; ++h) {
        for (index_t j = 0; j < 16; ++j) {
          low.directions(w, h, j) =
              low.directions(w, 0, j) -
              static_cast<typename TestType::scalar>(h) * low.directions(w, 1, j);
        }
      }
    }
    low.check(be);
  }
  SECTION("one head") { example<TestType>(1, 16, false).check(be); }
}

TEMPLATE_TEST_CASE("projections are turned to be mostly positive", "", float, double) {
  host_tensor<TestType> p({3, 4});
  const TestType rows[3][4] = {{-1, -2, -3, 9}, {1, 2, -9, 3}, {5, 1, -2, -3}};
  for (index_t w = 0; w < 3; ++w) std::copy_n(rows[w], 4, p.data() + 4 * w);
  detail::orient(p.view());
  CHECK(p(0, 0) == 1);  // three of four were negative
  CHECK(p(1, 0) == 1);  // three of four are positive
  CHECK(p(2, 0) == 5);  // two and two: their sum decides
}
