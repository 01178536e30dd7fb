#include "support/test.hpp"

#include <limits>

#include "support/backends.hpp"

#include <solens/backend/ops.hpp>

using namespace solens;
using test::on_backend;
using test::on_host;

namespace {

/// What the fused operations have to be: their parts, on the oracle, from the same numbers.
template <class T>
constexpr double bound = test::bound<T>(1e-13, 2e-6);

template <class T>
host_tensor<double> in_double(const host_tensor<T>& x) {
  host_tensor<double> y(x.extents());
  for (index_t i = 0; i < x.size(); ++i) y.data()[i] = static_cast<double>(x.data()[i]);
  return y;
}

const reference_backend<double> oracle;

}  // namespace

TEMPLATE_LIST_TEST_CASE("bias_activation is add_bias, then activate", "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  const auto kind = GENERATE(activation::gelu, activation::quick_gelu, activation::gelu_tanh);
  const auto x = test::random_tensor<scalar>({7, 33}, 1);
  const auto bias = test::random_tensor<scalar>({33}, 2);
  auto expected = in_double(x);
  oracle.add_bias(in_double(bias).view(), expected);
  oracle.activate(kind, expected.view(), expected);
  auto found = on_backend(be, x);
  ops::bias_activation<TestType>(be, kind, on_backend(be, bias).view(), found.view());
  CHECK(test::relative_difference<scalar, double>(on_host(be, found.view()), expected) <
        bound<scalar>);
}

TEMPLATE_LIST_TEST_CASE("bias_layer_norm keeps the sum and norms it", "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  const bool with_bias = GENERATE(false, true);
  const auto x = test::random_tensor<scalar>({5, 24}, 1);
  const auto bias = test::random_tensor<scalar>({24}, 2),
             weight = test::random_tensor<scalar>({24}, 3),
             shift = test::random_tensor<scalar>({24}, 4);
  auto sum = in_double(x);
  host_tensor<double> y({5, 24}), mean({5}), scale({5});
  if (with_bias) oracle.add_bias(in_double(bias).view(), sum);
  oracle.layer_norm(sum.view(), in_double(weight).view(), in_double(shift).view(), 1e-5, y, mean,
                    scale);

  auto found_x = on_backend(be, x), found = be.allocate({5, 24}), found_mean = be.allocate({5}),
       found_scale = be.allocate({5});
  const auto added = on_backend(be, bias);
  ops::bias_layer_norm<TestType>(be, with_bias ? added.view() : const_view_of<TestType>{},
                                 found_x.view(), on_backend(be, weight).view(),
                                 on_backend(be, shift).view(), static_cast<scalar>(1e-5),
                                 found.view(), found_mean.view(), found_scale.view());
  const auto check = [&](const_view_of<TestType> ours, const host_tensor<double>& expected) {
    CHECK(test::relative_difference<scalar, double>(on_host(be, ours), expected) < bound<scalar>);
  };
  check(found_x.view(), sum);
  check(found.view(), y);
  check(found_mean.view(), mean);
  check(found_scale.view(), scale);
}

TEMPLATE_LIST_TEST_CASE("attention is softmax(scale q k^T) v, causal or not", "",
                        test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  const bool causal = GENERATE(false, true);
  const index_t queries = GENERATE(9, 4, 1);
  constexpr index_t images = 2, heads = 3, tokens = 9, d = 8;
  const shape asked{images, heads, queries, d}, extents{images, heads, tokens, d};
  const auto q = test::random_tensor<scalar>(asked, 1), k = test::random_tensor<scalar>(extents, 2),
             v = test::random_tensor<scalar>(extents, 3);
  host_tensor<scalar> mask({queries, tokens}, 0);
  for (index_t i = 0; i < queries; ++i) {
    for (index_t j = tokens - queries + i + 1; j < tokens; ++j) {
      mask(i, j) = -std::numeric_limits<scalar>::infinity();
    }
  }
  auto out = be.allocate(asked), first = be.allocate({images, heads, tokens}),
       scores = be.allocate({images, heads, queries, tokens});
  const auto hidden = on_backend(be, mask);
  ops::attention<TestType>(be, static_cast<scalar>(0.3), on_backend(be, q).view(),
                           on_backend(be, k).view(), on_backend(be, v).view(), causal, out.view(),
                           first.view(), scores.view(),
                           causal ? hidden.view() : const_view_of<TestType>{});

  host_tensor<double> pattern({images, heads, queries, tokens}), expected(asked);
  oracle.batched_gemm(0.3, in_double(q).view(), in_double(k).view().transposed(), 0, pattern);
  if (causal) {
    const auto m = in_double(mask);
    oracle.axpby(1, std::as_const(m).view().repeated(heads).repeated(images), 1, pattern);
  }
  oracle.softmax(1, pattern.view(), pattern);
  oracle.batched_gemm(1, pattern.view(), in_double(v).view(), 0, expected);
  const auto check = [&](const_view_of<TestType> ours, host_view<const double> wanted) {
    CHECK(test::relative_difference<scalar, double>(on_host(be, ours), wanted) < bound<scalar>);
  };
  check(out.view(), expected);
  check(scores.view(), pattern);
  check(first.view(), std::as_const(pattern).view().select(2, 0));
}
