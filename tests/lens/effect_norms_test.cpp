#include "support/test.hpp"

#include <solens/lens/effect_norms.hpp>

#include "lens/backends.hpp"
#include "lens/tiny_clip.hpp"

using namespace solens;
using namespace solens::test;

namespace {

/// Coefficients and effects of a layer, all in memory.
template <class B>
struct layer_effects {
  layer_effects(const B& be, const tiny_fixture& f, index_t layer, convention how)
      : in(upload(be, f.model, f.trace)),
        heads(be, in.weights, how),
        map(be, heads, in.weights, layer),
        memory(be.allocate({map.n_writers(), f.trace.images(), map.n_sources()})),
        rest(be.allocate({f.trace.images(), map.d_joint()})),
        effects(be.allocate({f.trace.images(), map.n_writers(), map.d_joint()})),
        norms(be.allocate({f.trace.images(), map.n_writers()})) {
    attention_routes<B> routes;
    routes.update(be, in.activations, layer + 1);
    map.coefficients(be, routes, in.activations.blocks[static_cast<std::size_t>(layer)].writers,
                     s());
    map.rest(be, routes, in.activations, rest.view());
    map.effects(be, s(), std::as_const(rest).view(), effects.view());
    be.row_norms(std::as_const(effects).view(), norms.view());
  }
  view_of<B> s() { return memory.view().permuted({1, 2, 0}); }

  lens_inputs<B> in;
  head_maps<B> heads;
  second_order_map<B> map;
  typename B::tensor memory, rest, effects, norms;
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("norms of effects come from their coefficients", "", backends) {
  using B = TestType;
  const auto [name, layer] =
      GENERATE(table<std::string, index_t>({{"tiny-a", 2}, {"tiny-b", 0}, {"tiny-c", 1}}));
  const B be = make_backend<B>();
  layer_effects<B> of(be, tiny(name), layer, convention::centered);
  effect_norms<B> norms(be, of.map);
  CHECK(norms.width() == std::min(of.map.n_sources(), of.map.d_joint()));
  auto from_coefficients = be.allocate(of.norms.view().extents());
  norms.norms(be, of.s(), from_coefficients.view());
  CHECK(relative_difference<double, double>(get(be, std::as_const(from_coefficients).view()),
                                            get(be, std::as_const(of.norms).view())) <
        identity_bound<typename B::scalar>);
}

TEMPLATE_LIST_TEST_CASE("norms and inner products of blocks of effects, with a rest", "",
                        backends) {
  using B = TestType;
  using scalar = typename B::scalar;
  const auto how = GENERATE(convention::centered, convention::reference);
  const B be = make_backend<B>();
  layer_effects<B> of(be, tiny("tiny-a"), 1, how);
  const index_t n = of.map.n_writers(), e = of.map.d_joint(), images = of.rest.view().extent(0);
  const auto numbers = random_tensor<scalar>({2, n, e}, 1);
  const auto vectors = on_backend(be, numbers.view());
  effect_norms<B> measures(be, of.map, vectors.view());
  CHECK(measures.n_vectors() == 2);
  auto norms = be.allocate({n, images}), products = be.allocate({2, n, images});
  const bool has_rest = how == convention::reference;
  CHECK(measures.width() == (has_rest ? e : of.map.n_sources()));
  const auto rest = has_rest ? std::as_const(of.rest).view() : const_view_of<B>{};
  for (index_t begin = 0; begin < n; begin += 100) {
    const index_t end = std::min(n, begin + 100);
    measures.measure(be, begin, of.memory.view().slice(0, begin, end), rest,
                     norms.view().slice(0, begin, end), products.view().slice(1, begin, end));
  }
  CHECK(relative_difference<double, double>(get(be, std::as_const(norms).view()),
                                            get(be, std::as_const(of.norms).view().transposed())) <
        identity_bound<scalar>);
  const matrix effects = get(be, std::as_const(of.effects).view()),
               rests = get(be, std::as_const(of.rest).view());
  matrix expected({2, n, images}, 0.0);
  for (index_t r = 0; r < 2; ++r) {
    for (index_t w = 0; w < n; ++w) {
      for (index_t i = 0; i < images; ++i) {
        for (index_t j = 0; j < e; ++j) {
          expected(r, w, i) +=
              (effects(i, w, j) - rests(i, j)) * static_cast<double>(numbers(r, w, j));
        }
      }
    }
  }
  CHECK(relative_difference<double, double>(get(be, std::as_const(products).view()), expected) <
        identity_bound<scalar>);
}
