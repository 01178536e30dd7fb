#include "support/test.hpp"

#include <limits>

#include "support/backends.hpp"

#include <solens/backend/ops.hpp>

using namespace solens;

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
  auto x = test::random_tensor<scalar>({7, 33}, 1);
  const auto bias = test::random_tensor<scalar>({33}, 2);
  auto expected = in_double(x);
  oracle.add_bias(in_double(bias).view(), expected);
  oracle.activate(kind, expected.view(), expected);
  ops::bias_activation(be, kind, bias.view(), x.view());
  CHECK(test::relative_difference<scalar, double>(x, expected) < bound<scalar>);
}

TEMPLATE_LIST_TEST_CASE("bias_layer_norm keeps the sum and norms it", "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  const bool with_bias = GENERATE(false, true);
  auto x = test::random_tensor<scalar>({5, 24}, 1);
  const auto bias = test::random_tensor<scalar>({24}, 2),
             weight = test::random_tensor<scalar>({24}, 3),
             shift = test::random_tensor<scalar>({24}, 4);
  auto sum = in_double(x);
  host_tensor<double> y({5, 24}), mean({5}), scale({5});
  if (with_bias) oracle.add_bias(in_double(bias).view(), sum);
  oracle.layer_norm(sum.view(), in_double(weight).view(), in_double(shift).view(), 1e-5, y, mean,
                    scale);

  host_tensor<scalar> found({5, 24}), found_mean({5}), found_scale({5});
  ops::bias_layer_norm(
      be, with_bias ? const_view_of<TestType>(bias.view()) : const_view_of<TestType>{}, x.view(),
      weight.view(), shift.view(), static_cast<scalar>(1e-5), found, found_mean, found_scale);
  CHECK(test::relative_difference<scalar, double>(x, sum) < bound<scalar>);
  CHECK(test::relative_difference<scalar, double>(found, y) < bound<scalar>);
  CHECK(test::relative_difference<scalar, double>(found_mean, mean) < bound<scalar>);
  CHECK(test::relative_difference<scalar, double>(found_scale, scale) < bound<scalar>);
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
  host_tensor<scalar> out(asked), first({images, heads, tokens}),
      scores({images, heads, queries, tokens});
  ops::attention(be, static_cast<scalar>(0.3), q.view(), k.view(), v.view(), causal, out.view(),
                 first.view(), scores.view(),
                 causal ? const_view_of<TestType>(mask.view()) : const_view_of<TestType>{});

  host_tensor<double> pattern({images, heads, queries, tokens}), expected(asked);
  oracle.batched_gemm(0.3, in_double(q).view(), in_double(k).view().transposed(), 0, pattern);
  if (causal) {
    const auto m = in_double(mask);
    oracle.axpby(1, std::as_const(m).view().repeated(heads).repeated(images), 1, pattern);
  }
  oracle.softmax(1, pattern.view(), pattern);
  oracle.batched_gemm(1, pattern.view(), in_double(v).view(), 0, expected);
  CHECK(test::relative_difference<scalar, double>(out, expected) < bound<scalar>);
  CHECK(test::relative_difference<scalar, double>(scores, pattern) < bound<scalar>);
  CHECK(test::relative_difference<scalar, double>(
            first.view(), std::as_const(pattern).view().select(2, 0)) < bound<scalar>);
}
