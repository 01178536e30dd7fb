#include "support/test.hpp"

#include <cmath>
#include <vector>

#include <toyland/observation.hpp>
#include <toyland/truth.hpp>

using namespace toyland;
using solens::index_t;

namespace {

const std::filesystem::path model = TOYLAND_MODEL;

/// Mean score of the first words, over the neurons of a layer.
double first_words(const truth& t, const std::string& method, index_t layer,
                   std::vector<word_score> judged_descriptions::*of) {
  for (const auto& d : t.descriptions) {
    if (d.method != method || d.layer != layer) continue;
    double sum = 0;
    for (const word_score& s : d.*of) sum += s.first;
    return sum / static_cast<double>((d.*of).size());
  }
  FAIL("no descriptions by " << method);
  return 0;
}

double explained(const truth& t, const std::string& kind, index_t layer) {
  for (const auto& f : t.effects) {
    if (f.kind == kind && f.layer == layer) return f.explained_variance;
  }
  FAIL("no effects of kind " << kind);
  return 0;
}

}  // namespace

TEST_CASE("descriptions are truer than random words, and none truer than the best") {
  const truth t = hold_against_truth(clip(model, 2),
                                     {.scenes = {.n = 400, .seed = 1},
                                      .fresh = {.n = 600, .seed = 98, .how = {.planted = false}},
                                      .layers = {0, 4},
                                      .indirect = 2,
                                      .indirect_scenes = 100});
  for (const auto of : {&judged_descriptions::effect, &judged_descriptions::activation}) {
    for (const index_t layer : {0, 4}) {
      CAPTURE(layer);
      const double random = first_words(t, "random words", layer, of);
      const double ours = first_words(t, "second order", layer, of);
      const double dissected = first_words(t, "soft WPMI, largest activation", layer, of);
      const double best = first_words(t, "best word", layer, of);
      CHECK(random == Approx(0.5).margin(0.04));
      CHECK(ours > random + 0.05);
      CHECK(dissected > random + 0.08);
      CHECK(best > ours);
      CHECK(best > dissected);
    }
  }
  CHECK(first_words(t, "second order, surest tenth", 4, &judged_descriptions::effect) > 0.7);
  CHECK(explained(t, "second order", 4) > 0.85);
  CHECK(explained(t, "second order", 0) > explained(t, "indirect", 0) + 0.1);
}

TEST_CASE("areas under the curve are shares of pairs") {
  const clip toyland_clip(model, 1);
  const index_t n = 3, m = 60, n_words = 4;
  auto values = solens::test::random_tensor<float>({n, m}, 1);
  auto holds = solens::test::random_tensor<float>({m, n_words}, 2);
  for (float& v : values) v = std::round(4 * v);  // many ties
  for (float& h : holds) h = h > 0.6F ? 1.0F : 0.0F;
  const auto areas = areas_under_roc(toyland_clip.be(), values, holds);
  for (index_t i = 0; i < n; ++i) {
    for (index_t w = 0; w < n_words; ++w) {
      double won = 0, pairs = 0;
      for (index_t a = 0; a < m; ++a) {
        for (index_t b = 0; b < m; ++b) {
          if (holds(a, w) == 0 || holds(b, w) == 1) continue;
          won += values(i, a) > values(i, b) ? 1 : values(i, a) == values(i, b) ? 0.5 : 0;
          ++pairs;
        }
      }
      CHECK(areas(i, w) == Approx(won / pairs).margin(1e-6));
    }
  }
}

TEST_CASE("effects in memory are those of their directions") {
  const clip toyland_clip(model, 1);
  const auto& be = toyland_clip.be();
  // Two neurons with two directions each: one on a line, one that turns.
  const index_t m = 100, e = 5;
  solens::host_tensor<float> s({2, m, 2}), d({2, 2, e}, 0.0F);
  d(0, 0, 1) = 2, d(0, 1, 1) = -1, d(1, 0, 0) = 1, d(1, 1, 3) = 1;
  for (index_t i = 0; i < m; ++i) {
    for (index_t k = 0; k < 2; ++k) {
      s(0, i, k) = static_cast<float>(i * (k + 1) % 7);
      s(1, i, k) = i % 2 == k ? 3.0F : 1.0F;
    }
  }
  s(0, 40, 0) = 100, s(0, 41, 0) = 90;
  const auto found = find_directions(be, s.view(), d.view());
  CHECK(found.direction(0, 1) == Approx(1));
  CHECK(found.explained_variance(0) == Approx(1));
  CHECK(found.explained_variance_all(0) == Approx(1));
  CHECK(found.top_share(0) > 0.3);
  CHECK(found.explained_variance_all(1) == Approx(1));  // about its mean it is on a line, too
  CHECK(found.direction(1, 0) == Approx(-found.direction(1, 3)));
}
