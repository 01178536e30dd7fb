#include "support/test.hpp"

#include <solens/lens/head_map.hpp>

#include "lens/backends.hpp"
#include "lens/oracle.hpp"
#include "lens/tiny_clip.hpp"

using namespace solens;
using namespace solens::test;

TEMPLATE_LIST_TEST_CASE("a head moves a vector of the residual stream to the representation", "",
                        backends) {
  using B = TestType;
  const auto how = GENERATE(convention::centered, convention::reference);
  const auto& f = tiny("tiny-b");
  const auto& m = f.model;
  const B be = make_backend<B>();
  const auto in = upload(be, m, f.trace);
  const head_maps<B> heads(be, in.weights, how);
  CHECK(heads.n_layers() == 6);
  CHECK(heads.n_heads() == 3);
  CHECK(heads.d_head() == 32);
  CHECK_THROWS_AS(heads.head(6, 0), argument_error);
  CHECK_THROWS_AS(heads.head(0, 3), shape_error);

  const index_t block = 4, h = 2, n = 3;
  const matrix x = random_tensor<double>(shape{n, m.width()}, 5);
  const auto map = heads.head(block, h);
  auto out = be.allocate(shape{n, m.d_joint()});
  auto dense = be.allocate(shape{m.d_joint(), m.width()});
  scratch<B> work;
  apply(be, map, put(be, x.view()).view(), work, out.view());
  multiply_out(be, map, dense.view());
  const matrix product = get(be, std::as_const(dense).view());

  matrix expected(shape{n, m.d_joint()}), from_dense(shape{n, m.d_joint()}, 0.0);
  for (index_t i = 0; i < n; ++i) {
    const vector source(&x(i, 0), &x(i, 0) + m.width());
    const vector normed =
        through_norm(source, m.at(block).ln_1_weight, m.at(block).ln_1_bias, 0, 1, 0, how);
    // to_representation scales by 100 / (||M|| sigma) of an image; a map has neither.
    const double scale = 100 / norm_of(f.trace.representation, 0) / f.trace.post_scale(0);
    const vector y = to_representation(m, f.trace, 0, through_head(m, block, h, normed, 0), 0, how);
    for (index_t e = 0; e < m.d_joint(); ++e) {
      expected(i, e) = y[static_cast<std::size_t>(e)] / scale;
      for (index_t c = 0; c < m.width(); ++c) from_dense(i, e) += product(e, c) * x(i, c);
    }
  }
  CHECK(relative_difference<double, double>(get(be, std::as_const(out).view()), expected) <
        identity_bound<typename B::scalar>);
  CHECK(relative_difference<double, double>(from_dense, expected) <
        identity_bound<typename B::scalar>);
}

TEMPLATE_LIST_TEST_CASE("factored maps compose without being multiplied out", "", backends) {
  using B = TestType;
  const B be = make_backend<B>();
  const auto first_left = put(be, random_tensor<double>(shape{9, 2}, 1).view());
  const auto first_right = put(be, random_tensor<double>(shape{2, 7}, 2).view());
  const auto second_left = put(be, random_tensor<double>(shape{5, 3}, 3).view());
  const auto second_right = put(be, random_tensor<double>(shape{3, 9}, 4).view());
  const auto x = put(be, random_tensor<double>(shape{4, 7}, 5).view());
  const factored_map<B> first{first_left.view(), first_right.view()};
  const factored_map<B> second{second_left.view(), second_right.view()};

  scratch<B> work;
  auto right = be.allocate(shape{3, 7}), at_once = be.allocate(shape{4, 5});
  auto between = be.allocate(shape{4, 9}), in_turn = be.allocate(shape{4, 5});
  apply(be, compose(be, second, first, work, right.view()), x.view(), work, at_once.view());
  apply(be, first, x.view(), work, between.view());
  apply(be, second, std::as_const(between).view(), work, in_turn.view());
  CHECK(relative_difference<double, double>(get(be, std::as_const(at_once).view()),
                                            get(be, std::as_const(in_turn).view())) <
        identity_bound<typename B::scalar>);
}
