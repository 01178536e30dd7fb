#include "support/test.hpp"

#include <solens/lens/effect_norms.hpp>

#include "lens/backends.hpp"
#include "lens/tiny_clip.hpp"

using namespace solens;
using namespace solens::test;

TEMPLATE_LIST_TEST_CASE("norms of effects come from their coefficients", "", backends) {
  using B = TestType;
  const auto [name, layer] =
      GENERATE(table<std::string, index_t>({{"tiny-a", 2}, {"tiny-b", 0}, {"tiny-c", 1}}));
  const auto& f = tiny(name);
  const B be = make_backend<B>();
  const auto in = upload(be, f.model, f.trace);
  const head_maps<B> heads(be, in.weights, convention::centered);
  second_order_map<B> map(be, heads, in.weights, layer);
  effect_norms<B> norms(be, map);
  attention_routes<B> routes;
  routes.update(be, in.activations, layer + 1);
  const index_t images = f.trace.images(), n = map.n_writers(), k = map.n_sources();
  auto memory = be.allocate(shape{n, images, k});
  const auto s = memory.view().permuted({1, 2, 0});
  map.coefficients(be, routes, in.activations.blocks[static_cast<std::size_t>(layer)].writers, s);
  auto effects = be.allocate(shape{images, n, map.d_joint()});
  map.effects(be, s, {}, effects.view());
  auto from_effects = be.allocate(shape{images, n}), from_coefficients = be.allocate({images, n});
  be.row_norms(std::as_const(effects).view(), from_effects.view());
  norms.norms(be, s, from_coefficients.view());
  CHECK(relative_difference<double, double>(get(be, std::as_const(from_coefficients).view()),
                                            get(be, std::as_const(from_effects).view())) <
        identity_bound<typename B::scalar>);
}
