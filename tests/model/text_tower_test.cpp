#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <solens/model/text_tower.hpp>

#include <support/backends.hpp>
#include <support/test.hpp>

#include "fixture.hpp"

using namespace solens;
using namespace solens::test;

namespace {

/// tiny-a's text tower and texts.
template <class B>
struct text_run {
  using scalar = typename B::scalar;

  explicit text_run(activation act = activation::quick_gelu,
                    std::optional<index_t> end_token = std::nullopt)
      : file(data("tiny-a.ref.safetensors")),
        tower(make_tower(act, end_token)),
        tokens(file.tensor<index_t>("text_tokens")) {}

  text_tower<B> make_tower(activation act, std::optional<index_t> end_token) const {
    clip_model<B> model = fixture_model(be, "tiny-a");
    model.config.text->act = act;
    model.config.text->end_token = end_token;
    return {*model.config.text, std::move(*model.weights.text)};
  }

  host_tensor<scalar> features(host_view<const index_t> texts,
                               index_t max_rows = text_tower<B>::default_rows) const {
    auto work = tower.make_workspace(be, max_rows);
    auto out = be.allocate({texts.extent(0), tower.d_joint()});
    tower.forward(be, texts, work, out.view());
    return on_host(be, out.view());
  }

  B be;
  safetensors_file file;
  text_tower<B> tower;
  host_tensor<index_t> tokens;
};

/// Texts that share 1 to 31 tokens with others and have up to 4 of their own; some are the same.
host_tensor<index_t> texts_that_begin_alike() {
  host_tensor<index_t> texts({80, 40}, 5);
  for (index_t i = 0; i < texts.extent(0); ++i) {
    const index_t shared = std::array<index_t, 4>{0, 1, 12, 30}[static_cast<std::size_t>(i % 4)];
    const index_t own = i / 4 % 5;
    texts(i, 0) = 998;
    for (index_t t = 1; t <= shared; ++t) texts(i, t) = 20 + t;
    for (index_t t = 1; t <= own; ++t) texts(i, shared + t) = 300 + i * 7 % 3;
    texts(i, shared + own + 1) = 999;
  }
  return texts;
}

/// Texts each of which, with its end, is what the next one begins with.
host_tensor<index_t> nested_texts() {
  host_tensor<index_t> texts({20, 20}, 5);
  for (index_t i = 0; i < texts.extent(0); ++i) {
    for (index_t t = 0; t <= i; ++t) texts(i, t) = 20 + t;
  }
  return texts;
}

/// The same sums in another order, through a few layers.
template <class T>
constexpr double reordering = bound<T>(1e-13, 1e-5);

}  // namespace

TEMPLATE_LIST_TEST_CASE("the text tower gives the published model's numbers", "", cpu_backends) {
  using scalar = typename TestType::scalar;
  const auto [stage, act] =
      GENERATE(std::pair<std::string, activation>{"text_features", activation::quick_gelu},
               std::pair<std::string, activation>{"text_features_plain_gelu", activation::gelu});
  const text_run<TestType> run(act);
  const auto ours = run.features(run.tokens);
  const auto fixture = run.file.template tensor<scalar>(stage);
  check_stage<scalar>("tiny-a", stage, ours, fixture);
}

TEMPLATE_LIST_TEST_CASE("what follows a text's end changes nothing", "", cpu_backends) {
  using scalar = typename TestType::scalar;
  const text_run<TestType> run;
  const auto padded = run.features(run.tokens);
  host_tensor<index_t> other = run.tokens.clone();
  for (index_t i = 0; i < other.extent(0); ++i) {
    const index_t length = run.tower.length(run.tokens.view()[i]);
    for (index_t t = length; t < other.extent(1); ++t) other(i, t) = 1 + (i + t) % 7;
    host_tensor<index_t> alone({1, length});
    for (index_t t = 0; t < length; ++t) alone(0, t) = run.tokens(i, t);
    INFO("text " << i << " of " << length << " tokens");
    CHECK(relative_difference<scalar, scalar>(run.features(alone),
                                              std::as_const(padded).view().slice(0, i, i + 1)) <=
          reordering<scalar>);
  }
  CHECK(relative_difference<scalar, scalar>(run.features(other), padded) == 0);
}

TEMPLATE_LIST_TEST_CASE("a text's features do not depend on its company", "", cpu_backends) {
  using scalar = typename TestType::scalar;
  const text_run<TestType> run;
  const auto few = run.features(run.tokens);
  const index_t n = run.tokens.extent(0), copies = 7, context = run.tokens.extent(1);
  host_tensor<index_t> many({copies * n, context});
  host_tensor<scalar> expected({copies * n, run.tower.d_joint()});
  for (index_t i = 0; i < copies * n; ++i) {
    const index_t text = i * 5 % n;
    for (index_t t = 0; t < context; ++t) many(i, t) = run.tokens(text, t);
    for (index_t e = 0; e < expected.extent(1); ++e) expected(i, e) = few(text, e);
  }
  const index_t max_rows = GENERATE(1, 100, 5000);
  CHECK(relative_difference<scalar, scalar>(run.features(many, max_rows), expected) <=
        reordering<scalar>);
}

TEMPLATE_LIST_TEST_CASE("texts that begin alike have the features of each alone", "",
                        cpu_backends) {
  using scalar = typename TestType::scalar;
  using end = std::optional<index_t>;
  const auto [nested, end_token] =
      GENERATE(std::pair(false, end{999}), std::pair(false, end{}), std::pair(true, end{}));
  const host_tensor<index_t> texts = nested ? nested_texts() : texts_that_begin_alike();
  const text_run<TestType> run(activation::quick_gelu, end_token);
  std::vector<host_tensor<scalar>> alone;
  for (index_t i = 0; i < texts.extent(0); ++i) {
    alone.push_back(run.features(texts.view().slice(0, i, i + 1)));
  }
  for (const index_t max_rows : {1, 100, 2000}) {
    const auto together = run.features(texts, max_rows);
    for (index_t i = 0; i < texts.extent(0); ++i) {
      INFO("text " << i << ", " << max_rows << " rows");
      CHECK(relative_difference<scalar, scalar>(std::as_const(together).view().slice(0, i, i + 1),
                                                alone[static_cast<std::size_t>(i)]) <=
            reordering<scalar>);
    }
  }
}

TEST_CASE("a text ends at the first end token, or at the largest id") {
  const text_run<reference_backend<float>> by_id(activation::gelu, 7), by_largest;
  host_tensor<index_t> text({5});
  const auto set = [&](std::vector<index_t> ids) { std::copy_n(ids.begin(), 5, text.begin()); };
  set({1, 9, 7, 7, 9});
  CHECK(by_id.tower.length(text) == 3);
  CHECK(by_largest.tower.length(text) == 2);
  set({1, 2, 3, 4, 5});
  CHECK_THROWS_AS(by_id.tower.length(text), argument_error);
  CHECK(by_largest.tower.length(text) == 5);
}

TEST_CASE("a text tower names what does not fit") {
  using backend = reference_backend<float>;
  using Catch::Matchers::Contains;
  const text_run<backend> run;
  const auto features = [&](const shape& extents, index_t token) {
    return run.features(host_tensor<index_t>(extents, token));
  };
  CHECK_THROWS_WITH(features({2, 78}, 1), Contains("1 to 77") && Contains("tokens"));
  CHECK_THROWS_AS(features({2, 0}, 1), shape_error);
  CHECK_THROWS_AS(features({77}, 1), shape_error);
  CHECK_THROWS_WITH(features({2, 4}, 1000), Contains("below 1000") && Contains("text 0"));
  CHECK_THROWS_AS(features({2, 4}, -1), argument_error);
  CHECK(features({0, 4}, 1).empty());

  clip_model<backend> model = fixture_model(run.be, "tiny-a");
  model.weights.text->token_embedding = host_tensor<float>({999, 32});
  CHECK_THROWS_WITH(text_tower<backend>(*model.config.text, std::move(*model.weights.text)),
                    Contains("token_embedding"));
}
