#include "support/test.hpp"

#include <algorithm>
#include <cmath>

#include <solens/backend/normalize_rows.hpp>
#include <solens/findings/head_removal.hpp>
#include <solens/findings/text_span.hpp>
#include <solens/lens/decomposition.hpp>

#include "findings/forward_in_double.hpp"
#include "lens/backends.hpp"

using namespace solens;
using namespace solens::test;

namespace {

using plain = reference_backend<double>;

/// What every head contributes to every image, from the whole decomposition, in double:
/// [images, layers, heads, d_joint].
matrix contributions(const forward_in_double& f) {
  const forward_in_double::backend be{};
  const head_maps<forward_in_double::backend> heads(be, f.weights(), convention::centered);
  residual_decomposer<forward_in_double::backend> decomposer(heads);
  const auto parts = decomposer.decompose(be, f.activations());
  const auto by_token = std::as_const(parts.attention).view();
  matrix sum({by_token.extent(0), by_token.extent(1), by_token.extent(3), by_token.extent(4)}, 0.0);
  for (index_t t = 0; t < by_token.extent(2); ++t) be.axpby(1, by_token.select(2, t), 1, sum);
  return sum;
}

matrix random_texts(index_t n, index_t d) {
  matrix texts = random_tensor<double>({n, d}, 3);
  normalize_rows(plain{}, texts.view());
  return texts;
}

double dot(const double* a, const double* b, index_t n) {
  double sum = 0;
  for (index_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// x -= (x . u / u . u) u for every row of x [n, d].
void project_out(matrix& x, const matrix& u) {
  const index_t d = x.extent(1);
  const double squared = dot(u.data(), u.data(), d);
  for (index_t i = 0; i < x.extent(0); ++i) {
    const double share = dot(&x(i, 0), u.data(), d) / squared;
    for (index_t j = 0; j < d; ++j) x(i, j) -= share * u(j);
  }
}

/// TextSpan the plain way, with every image's contribution and every text in memory.
struct text_span_oracle {
  matrix data, texts;  ///< [images, d_joint], centered; [n, d_joint], in the head's image
  double whole = 0;

  /// @param map  [d_joint, d_head]
  text_span_oracle(matrix of_head, const matrix& map, const matrix& all_texts)
      : data(std::move(of_head)), texts(all_texts.extents()) {
    const index_t d = data.extent(1), h = map.extent(1), n = texts.extent(0);
    for (index_t j = 0; j < d; ++j) {
      double mean = 0;
      for (index_t i = 0; i < data.extent(0); ++i) {
        mean += data(i, j) / static_cast<double>(data.extent(0));
      }
      for (index_t i = 0; i < data.extent(0); ++i) data(i, j) -= mean;
    }
    // W (W^T W)^-1 W^T t
    matrix gram({1, h, h}), coordinates({1, h, n});
    const plain be;
    be.gemm(1, map.view().transposed(), map, 0, gram.view()[0]);
    be.gemm(1, map.view().transposed(), all_texts.view().transposed(), 0, coordinates.view()[0]);
    be.cholesky_solve(gram, coordinates);
    be.gemm(1, std::as_const(coordinates).view()[0].transposed(), map.view().transposed(), 0,
            texts);
    whole = variance();
  }

  double variance() const {
    return dot(data.data(), data.data(), data.size()) / static_cast<double>(data.extent(0));
  }

  /// Of the contributions' inner products with every text.
  std::vector<double> variances() const {
    std::vector<double> result;
    for (index_t t = 0; t < texts.extent(0); ++t) {
      double sum = 0;
      for (index_t i = 0; i < data.extent(0); ++i) {
        sum += std::pow(dot(&data(i, 0), &texts(t, 0), data.extent(1)), 2);
      }
      result.push_back(sum / static_cast<double>(data.extent(0)));
    }
    return result;
  }

  void take(index_t text) {
    matrix u({texts.extent(1)});
    std::copy_n(&texts(text, 0), u.size(), u.data());
    project_out(data, u);
    project_out(texts, u);
  }
};

matrix of_head(const matrix& all, const head_place& p) {
  matrix result({all.extent(0), all.extent(3)});
  for (index_t i = 0; i < all.extent(0); ++i) {
    std::copy_n(&all(i, p.layer, p.head, 0), all.extent(3), &result(i, 0));
  }
  return result;
}

/// Moments of the coordinates of heads, in batches of `step` images.
template <class B>
stats::second_moments<typename B::scalar> moments_of(const B& be, const forward_in_double& f,
                                                     head_outputs<B>& outputs, index_t step) {
  stats::second_moments<typename B::scalar> moments(outputs.n_sources(), outputs.d_head());
  for (index_t i = 0; i < f.n_images(); i += step) {
    const auto in = f.on(be, i, std::min(f.n_images(), i + step));
    const auto x = outputs.coordinates(be, in.activations);
    const auto host = on_host(be, x);
    moments.add(host.view());
  }
  return moments;
}

struct a_case {
  const forward_in_double& forward;
  std::vector<head_place> places;
};

/// Heads of a model with random weights and of a trained one.
a_case case_of(const std::string& name) {
  if (name == "tiny-a") return {forward_in_double::tiny_a(), heads_of({1, 3}, 4)};
  return {forward_in_double::toyland(), {{2, 1}, {5, 0}, {5, 3}, {4, 2}}};
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("text spans are those with every contribution in memory", "",
                        test::backends) {
  using B = TestType;
  using scalar = typename B::scalar;
  const B be = make_backend<B>();
  const auto of = case_of(GENERATE(as<std::string>{}, "tiny-a", "toyland"));
  constexpr index_t n_texts = 9;
  const matrix all = contributions(of.forward);
  const matrix texts = random_texts(200, all.extent(3));
  const auto in = of.forward.on(be, 0, 1);
  const head_maps<B> heads(be, in.weights, convention::centered);
  head_outputs<B> outputs(heads, of.places);
  const auto moments = moments_of(be, of.forward, outputs, 20);
  const auto on_device = put(be, texts);
  index_t done = 0;
  const auto found = text_span(be, outputs, moments, std::as_const(on_device).view(), n_texts,
                               [&](index_t n) { CHECK(n == ++done); });
  CHECK(done == outputs.n_sources());

  // A float's rounding may decide between texts that are as good.
  const double tolerance = test::bound<scalar>(1e-10, 1e-5);
  for (index_t k = 0; k < outputs.n_sources(); ++k) {
    const head_place& p = of.places[static_cast<std::size_t>(k)];
    text_span_oracle oracle(of_head(all, p), get(be, outputs.map(k)), texts);
    CAPTURE(p.layer, p.head);
    CHECK(static_cast<double>(found.variance(k)) == Approx(oracle.whole).epsilon(tolerance));
    for (index_t i = 0; i < n_texts; ++i) {
      const index_t text = found.texts(k, i);
      CAPTURE(i, text);
      REQUIRE(text >= 0);
      const auto variances = oracle.variances();
      CHECK(variances[static_cast<std::size_t>(text)] >=
            *std::max_element(variances.begin(), variances.end()) - tolerance * oracle.whole);
      const double before = oracle.variance();
      oracle.take(text);
      CHECK(std::abs(static_cast<double>(found.shares(k, i)) -
                     (before - oracle.variance()) / oracle.whole) < tolerance);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a span is whole when no other text explains anything", "",
                        test::backends) {
  using B = TestType;
  const B be = make_backend<B>();
  const auto& f = forward_in_double::tiny_a();
  const auto in = f.on(be, 0, 1);
  const head_maps<B> heads(be, in.weights, convention::centered);
  head_outputs<B> outputs(heads, heads_of({3}, 4));
  const auto moments = moments_of(be, f, outputs, 64);
  const auto sum = [](const auto& shares, index_t k) {
    double total = 0;
    for (index_t i = 0; i < shares.extent(1); ++i) total += static_cast<double>(shares(k, i));
    return total;
  };
  const index_t d_head = outputs.d_head();
  const auto many = put(be, random_texts(200, outputs.d_joint()));
  const auto all = text_span(be, outputs, moments, std::as_const(many).view(), d_head + 4);
  // Two texts, one of them twice: nothing is left for the second of the two.
  matrix pair = random_texts(2, outputs.d_joint()), three({3, outputs.d_joint()});
  for (index_t t = 0; t < 3; ++t) std::copy_n(&pair(t / 2, 0), pair.extent(1), &three(t, 0));
  const auto few = put(be, three);
  const auto some = text_span(be, outputs, moments, std::as_const(few).view(), 3);
  for (index_t k = 0; k < 4; ++k) {
    CHECK(sum(all.shares, k) == Approx(1).epsilon(1e-4));
    CHECK(all.texts(k, d_head - 1) >= 0);
    for (index_t i = d_head; i < d_head + 4; ++i) {
      CHECK(all.texts(k, i) == -1);
      CHECK(all.shares(k, i) == 0);
    }
    CHECK((some.texts(k, 0) == 2 || some.texts(k, 0) == 0));
    CHECK(some.texts(k, 0) + some.texts(k, 1) == 2);
    CHECK(some.texts(k, 2) == -1);
  }

  // One image does not vary.
  const auto one = f.on(be, 0, 1);
  const auto x = outputs.coordinates(be, one.activations);
  const auto host = on_host(be, x);
  stats::second_moments<typename B::scalar> single(4, d_head);
  single.add(host.view());
  const auto none = text_span(be, outputs, single, std::as_const(many).view(), 2);
  for (index_t k = 0; k < 4; ++k) {
    CHECK(none.variance(k) == 0);
    CHECK(none.texts(k, 0) == -1);
  }
}

TEMPLATE_LIST_TEST_CASE("removed heads leave their mean", "", test::backends) {
  using B = TestType;
  const B be = make_backend<B>();
  const auto of = case_of(GENERATE(as<std::string>{}, "tiny-a", "toyland"));
  const auto& f = of.forward;
  const matrix all = contributions(f);
  const index_t n = f.n_images(), e = all.extent(3);
  matrix expected({n, e});
  const auto representation = f.activations().representation;
  for (index_t i = 0; i < n; ++i) {
    const double norm = std::sqrt(dot(&representation(i, 0), &representation(i, 0), e));
    for (index_t j = 0; j < e; ++j) expected(i, j) = 100 / norm * representation(i, j);
  }
  for (const head_place& p : of.places) {
    for (index_t j = 0; j < e; ++j) {
      double mean = 0;
      for (index_t i = 0; i < n; ++i) {
        mean += all(i, p.layer, p.head, j) / static_cast<double>(n);
      }
      for (index_t i = 0; i < n; ++i) expected(i, j) += mean - all(i, p.layer, p.head, j);
    }
  }

  const head_maps<B> heads(be, f.on(be, 0, 1).weights, convention::centered);
  head_outputs<B> outputs(heads, of.places);
  head_removal<B> removal(be, outputs);
  CHECK_THROWS_AS(removal.mean(), argument_error);
  matrix left({n, e});
  for (index_t i = 0; i < n; i += 13) {
    const index_t end = std::min(n, i + 13);
    const auto in = f.on(be, i, end);
    auto out = be.allocate({end - i, e});
    removal(be, in.activations, out.view());
    const matrix host = get(be, std::as_const(out).view());
    std::copy(host.begin(), host.end(), &left(i, 0));
  }
  const matrix mean = removal.mean();
  for (index_t i = 0; i < n; ++i) {
    for (index_t j = 0; j < e; ++j) left(i, j) += mean(j);
  }
  CHECK(relative_difference<double, double>(left, expected) < identity_bound<typename B::scalar>);
}

TEMPLATE_LIST_TEST_CASE("where no head is removed, the representation stays", "", test::backends) {
  using B = TestType;
  using scalar = typename B::scalar;
  const B be = make_backend<B>();
  const auto in = forward_in_double::tiny_a().on(be, 0, 5);
  const head_maps<B> heads(be, in.weights, convention::centered);
  head_outputs<B> none(heads, {});
  head_removal<B> removal(be, none);
  auto out = be.allocate({5, heads.d_joint()});
  removal(be, in.activations, out.view());
  const matrix left = get(be, std::as_const(out).view()),
               whole = get(be, in.activations.representation);
  for (index_t i = 0; i < 5; ++i) {
    const double norm = std::sqrt(dot(&whole(i, 0), &whole(i, 0), whole.extent(1)));
    for (index_t j = 0; j < whole.extent(1); ++j) {
      CHECK(std::abs(left(i, j) - 100 / norm * whole(i, j)) < test::bound<scalar>(1e-12, 1e-4));
    }
  }
  for (const double x : removal.mean()) CHECK(x == 0);
}

TEST_CASE("a span of what does not fit is refused") {
  using B = reference_backend<float>;
  const B be{};
  const auto& f = forward_in_double::tiny_a();
  const auto in = f.on(be, 0, 1);
  const head_maps<B> heads(be, in.weights, convention::centered);
  const head_outputs<B> outputs(heads, {{0, 0}, {0, 1}});
  stats::second_moments<float> moments(2, outputs.d_head()), other(1, outputs.d_head());
  const auto texts = put(be, random_texts(5, 32)), narrow = put(be, random_texts(5, 31));
  const auto of = [&](const auto& m, const auto& t, index_t n) {
    return text_span(be, outputs, m, std::as_const(t).view(), n);
  };
  CHECK_THROWS_AS(of(moments, texts, 2), argument_error);  // no image
  moments.add(random_tensor<float>({3, 2, outputs.d_head()}, 1).view());
  other.add(random_tensor<float>({3, 1, outputs.d_head()}, 1).view());
  CHECK_NOTHROW(of(moments, texts, 2));
  CHECK_THROWS_AS(of(moments, texts, 0), argument_error);
  CHECK_THROWS_WITH(of(other, texts, 2), Catch::Contains("moments"));
  CHECK_THROWS_WITH(of(moments, narrow, 2), Catch::Contains("texts"));
}
