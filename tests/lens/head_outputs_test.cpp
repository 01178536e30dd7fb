#include "support/test.hpp"

#include <solens/lens/decomposition.hpp>
#include <solens/lens/head_outputs.hpp>

#include "lens/backends.hpp"
#include "lens/tiny_clip.hpp"

using namespace solens;
using namespace solens::test;

TEMPLATE_LIST_TEST_CASE("outputs of heads are the decomposition's, summed over tokens", "",
                        backends) {
  using B = TestType;
  const auto name = GENERATE(as<std::string>{}, "tiny-a", "tiny-b", "tiny-c");
  const bool raw = GENERATE(false, true);
  const auto& f = tiny(name);
  const B be = make_backend<B>();
  const auto in = upload(be, f.model, f.trace);
  const head_maps<B> heads(be, in.weights, convention::centered);
  const std::optional<double> coefficient = raw ? std::nullopt : std::optional(100.0);
  residual_decomposer<B> decomposer(heads, coefficient);
  const auto decomposed = decomposer.decompose(be, in.activations);
  const matrix parts = get(be, decomposed.attention.view());
  std::vector<head_place> places = heads_of({f.model.layers() - 1, 0}, f.model.heads);
  CHECK(places.front() == head_place{f.model.layers() - 1, 0});
  std::swap(places.front(), places.back());
  head_outputs<B> outputs(heads, places, coefficient);
  REQUIRE(outputs.n_sources() == 2 * f.model.heads);
  for (int batch = 0; batch < 2; ++batch) {  // the second one reuses the workspace
    const auto x = outputs.coordinates(be, in.activations);
    for (index_t k = 0; k < outputs.n_sources(); ++k) {
      const auto [layer, head] = places[static_cast<std::size_t>(k)];
      auto out = be.allocate({x.extent(0), outputs.d_joint()});
      be.gemm(1, x.select(1, k), outputs.map(k).transposed(), 0, out.view());
      matrix expected({x.extent(0), outputs.d_joint()}, 0.0);
      for (index_t i = 0; i < x.extent(0); ++i) {
        for (index_t t = 0; t < f.trace.tokens(); ++t) {
          for (index_t e = 0; e < outputs.d_joint(); ++e) {
            expected(i, e) += parts(i, layer, t, head, e);
          }
        }
      }
      CHECK(relative_difference<double, double>(get(be, std::as_const(out).view()), expected) <
            identity_bound<typename B::scalar>);
    }
  }
}

TEST_CASE("outputs of heads that are not there are refused") {
  using B = reference_backend<double>;
  const B be{};
  const auto& f = tiny("tiny-a");
  const auto in = upload(be, f.model, f.trace);
  const head_maps<B> heads(be, in.weights, convention::centered),
      shared(be, in.weights, convention::reference);
  const auto refused = [&](const head_place& place) {
    CHECK_THROWS_WITH(
        head_outputs<B>(heads, {place}),
        Catch::Contains("0.0 to 3.3") &&
            Catch::Contains(std::to_string(place.layer) + "." + std::to_string(place.head)));
  };
  refused({4, 0});
  refused({-1, 0});
  refused({0, 4});
  refused({0, -1});
  CHECK_THROWS_WITH(head_outputs<B>(shared, {{0, 0}}), Catch::Contains("centered"));

  head_outputs<B> outputs(heads, {{1, 2}});
  auto lacking = in.activations;
  lacking.blocks[1].values = {};
  CHECK_THROWS_WITH(outputs.coordinates(be, lacking), Catch::Contains("blocks.1.values"));
  lacking = in.activations;
  lacking.blocks[1].class_attention = {};
  CHECK_THROWS_WITH(outputs.coordinates(be, lacking), Catch::Contains("blocks.1.class_attention"));
}
