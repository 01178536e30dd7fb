#include "support/test.hpp"

#include <solens/lens/head_readout.hpp>
#include <solens/lens/second_order.hpp>

#include "lens/backends.hpp"
#include "lens/tiny_clip.hpp"

using namespace solens;
using namespace solens::test;

TEMPLATE_LIST_TEST_CASE("a sum over writers may be taken in the residual stream", "", backends) {
  using B = TestType;
  const auto how = GENERATE(convention::centered, convention::reference);
  const auto [name, layer] =
      GENERATE(table<std::string, index_t>({{"tiny-a", 2}, {"tiny-b", 0}, {"tiny-c", 1}}));
  const auto& f = tiny(name);
  const B be = make_backend<B>();
  const auto in = upload(be, f.model, f.trace);
  const head_maps<B> heads(be, in.weights, how);
  second_order_map<B> map(be, heads, in.weights, layer);
  const index_t k = map.n_sources(), n = map.n_writers(), d = heads.d_model();
  constexpr index_t rows = 3;
  const auto numbers = random_tensor<typename B::scalar>({rows, k, n}, 1);
  const auto s = on_backend(be, numbers.view());
  auto effects = be.allocate({rows, n, map.d_joint()});
  map.effects(be, s.view(), {}, effects.view());
  const matrix each = get(be, std::as_const(effects).view());
  matrix expected({rows, map.d_joint()}, 0.0);
  for (index_t w = 0; w < n; ++w) {
    reference_backend<double>{}.axpby(1, each.view().select(1, w), 1, expected);
  }

  auto z = be.allocate({rows, k, d}), out = be.allocate({rows, map.d_joint()});
  const auto& w = in.weights.blocks[static_cast<std::size_t>(layer)].writer_directions;
  be.batched_gemm(1, s.view(), w.repeated(rows), 0, z.view());
  const auto first = GENERATE_COPY(layer + 1, index_t{0});
  head_readout<B> readout(be, heads, first);
  readout(be, std::as_const(z).view(), out.view());
  CHECK(relative_difference<double, double>(get(be, std::as_const(out).view()), expected) <
        identity_bound<typename B::scalar>);
  const auto cut = std::as_const(z).view().slice(1, 0, k - 1);
  CHECK_THROWS_AS(readout(be, cut, out.view()), shape_error);
}
