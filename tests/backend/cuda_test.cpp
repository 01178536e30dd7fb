#include "support/test.hpp"

#include <cmath>  // std::isfinite, std::isnan, std::ldexp
#include <limits>
#include <type_traits>
#include <utility>  // std::as_const
#include <vector>

#include <solens/backend/cuda.hpp>
#include <solens/backend/ops.hpp>
#include <solens/backend/reference.hpp>
#include <solens/core/dtype.hpp>
#include <solens/testing/backend_conformance.hpp>

#include "support/backends.hpp"

using namespace solens;

using test::on_backend;
using test::on_host;

TEMPLATE_TEST_CASE("the CUDA backend conforms", "", float, double) {
  const test::shared_cuda_backend<TestType> be;
  for (const auto& result : testing::backend_conformance(be)) {
    INFO(to_string(result));
    CHECK(result.what == testing::outcome::ok);
  }
}

TEST_CASE("transfers of more than all slots hold keep order and strides") {
  const test::shared_cuda_backend<float> be;
  const auto x = test::random_tensor<float>({3, 750, 2048}, 1);  // 18 MB: five slots
  auto there = be.allocate({3, 2048, 750});
  be.upload(x.view(), there.view().transposed());
  CHECK(test::relative_difference<float, float>(
            on_host(be, const_view_of<cuda_backend<float>>(there.view().transposed())), x.view()) ==
        0);
}

TEST_CASE("the host's memory is free again when upload returns") {
  const test::shared_cuda_backend<float> be;
  auto x = test::random_tensor<float>({100}, 1);
  const auto before = x.clone();
  const auto there = on_backend(be, std::as_const(x).view());
  for (float& value : x) value = 0;
  CHECK(test::relative_difference<float, float>(on_host(be, there.view()), before.view()) == 0);
}

#if defined(SOLENS_CUDA_EMULATION)

TEST_CASE("the host goes on while the device works") {
  // The emulated device works only while somebody waits for it, and its memory starts as NaN.
  const cuda_backend<float> be;
  const auto numbers = test::random_tensor<float>({2, 40, 40}, 1);
  auto memory = be.allocate({2, 40, 40});
  for (int slot = 0; slot < 4; ++slot) be.upload(numbers.view(), memory.view());
  const const_view_of<cuda_backend<float>> x = memory.view();
  const auto unit = on_backend(be, host_tensor<float>({40}, 1.0F).view());
  auto a = be.allocate({2, 40, 40}), l = be.allocate({2, 40, 40}), y = be.allocate({2, 40, 40});
  auto scores = be.allocate({2, 40, 40}), solved = be.allocate({2, 40, 40});
  auto norms = be.allocate({2, 40}), values = be.allocate({2, 40}), top = be.allocate({2, 40, 7});
  auto pair = be.allocate({2, 1}), vector = be.allocate({2, 1, 40});
  auto pairs = be.allocate({2, 2}), vectors = be.allocate({2, 2, 40});
  auto at = be.allocate_indices({2, 40}), of_top = be.allocate_indices({2, 40, 7});
  be.batched_gemm(1, x, x.transposed(), 0, a.view());
  be.gemm(1, x[0], x[1], 0, y.view()[0]);
  be.layer_norm(x[1], unit.view(), unit.view(), 0.5F, y.view()[1], {}, {});
  be.softmax(1, a.view(), scores.view());
  be.activate(activation::gelu, scores.view(), scores.view());
  be.row_norms(a.view(), norms.view());
  be.argmax_abs(a.view(), values.view(), at.view());
  be.top_k(a.view(), top.view(), of_top.view());
  be.cholesky(a.view(), l.view());
  be.copy(x, solved.view());
  be.cholesky_solve(a.view(), solved.view());
  be.symmetric_eigen(a.view(), pair.view(), vector.view());
  be.symmetric_eigen(a.view(), pairs.view(), vectors.view());
  const auto more = on_backend(be, host_tensor<float>({40}, 1.0F).view());
  const std::vector<const cuda_tensor<float>*> outputs{
      &a, &y, &scores, &norms, &values, &top, &l, &solved, &pair, &vector, &pairs, &vectors};
  for (const auto* out : outputs) CHECK(std::isnan(*out->view().data()));
  be.synchronize();
  for (const auto* out : outputs) CHECK(std::isfinite(*out->view().data()));
}

#endif

TEST_CASE("memory comes back, stays in its budget, and says what to do when it is short") {
  constexpr index_t megabyte = 1 << 20;
  const cuda_backend<float> be({.memory = 40 * megabyte});
  const auto kept = on_backend(be, test::random_tensor<float>({1000}, 1).view());
  for (int i = 0; i < 20; ++i) be.allocate({4 * megabyte});  // 16 MB, the same ones
  const float* first = be.allocate({megabyte}).view().data();
  CHECK(be.allocate({megabyte}).view().data() == first);
  CHECK_THROWS_WITH(be.allocate({20 * megabyte}),
                    Catch::Contains("expected the budget's 42 MB to be enough") &&
                        Catch::Contains("fewer images") && Catch::Contains("84 MB asked for"));
  CHECK_THROWS_AS(be.allocate({20 * megabyte}), cuda::out_of_memory);
  // What was not in use went back, what was is as it was.
  const auto large = be.allocate({6 * megabyte});
  CHECK(test::relative_difference<float, float>(on_host(be, kept.view()),
                                                test::random_tensor<float>({1000}, 1).view()) == 0);
}

TEST_CASE("a device that is not there is refused") {
  CHECK_THROWS_AS(cuda_backend<float>({.device = 1000}), not_supported);
  CHECK_THROWS_AS(cuda_backend<float>({.memory = -1}), argument_error);
  const test::shared_cuda_backend<float> be;
  CHECK_THROWS_AS(be.allocate({2, -1}), shape_error);
}

TEMPLATE_TEST_CASE("matrices beyond a batch of small ones have the same eigenpairs", "", float,
                   double) {
  const test::shared_cuda_backend<TestType> be;
  for (const shape& extents : {shape{1, 40, 60}, shape{2, 130, 140}}) {
    const index_t batch = extents[0], n = extents[1];
    const auto x = on_backend(be, test::random_tensor<TestType>(extents, 1).view());
    auto a = be.allocate({batch, n, n});
    auto values = be.allocate({batch, 2}), vectors = be.allocate({batch, 2, n});
    be.batched_gemm(1, x.view(), x.view().transposed(), 0, a.view());
    be.symmetric_eigen(std::as_const(a).view(), values.view(), vectors.view());
    // a v = value v
    auto image = be.allocate({batch, 2, n});
    be.batched_gemm(1, std::as_const(vectors).view(), std::as_const(a).view(), 0, image.view());
    const auto v = on_host(be, std::as_const(vectors).view());
    const auto got = on_host(be, std::as_const(image).view());
    const auto value = on_host(be, std::as_const(values).view());
    auto want = v.clone();
    for (index_t i = 0; i < want.size(); ++i) want.data()[i] *= value.data()[i / n];
    CHECK(test::relative_difference<TestType, TestType>(got.view(), want.view()) <
          test::bound<TestType>(1e-12, 1e-4));
  }
}

TEMPLATE_TEST_CASE("the first pairs are those that Jacobi's rotations find", "", float, double) {
  const test::shared_cuda_backend<TestType> be;
  const reference_backend<TestType> exact;
  const index_t rank = GENERATE(index_t{1}, index_t{7}, index_t{60});
  host_tensor<TestType> a({3, 45, 45}), value({3, 1}), vector({3, 1, 45}), all({3, 45}),
      vectors({3, 45, 45});
  const auto x = test::random_tensor<TestType>({3, 45, rank}, 1);
  exact.batched_gemm(1, x.view(), x.view().transposed(), 0, a);
  for (index_t i = 0; i < 45; ++i) {
    for (index_t j = 0; j < 45; ++j) a(2, i, j) = i == j ? TestType(i == 20 ? 5 : -1) : TestType(0);
    a(1, i, i) -= 100;  // the largest is not the largest by magnitude
  }
  exact.symmetric_eigen(std::as_const(a).view(), all, vectors);
  auto values = be.allocate({3, 1}), found = be.allocate({3, 1, 45});
  be.symmetric_eigen(on_backend(be, a.view()).view(), values.view(), found.view());
  be.download(std::as_const(values).view(), value.view());
  be.download(std::as_const(found).view(), vector.view());
  for (index_t g = 0; g < 3; ++g) {
    const double size = std::max(std::abs(double(all(g, 0))), std::abs(double(all(g, 44))));
    const double bound = 8 * 45 * double(std::numeric_limits<TestType>::epsilon()) * size;
    CAPTURE(g, rank);
    CHECK(std::abs(double(value(g, 0)) - double(all(g, 0))) <= bound);
    double length = 0;
    for (index_t i = 0; i < 45; ++i) {
      double rest = -double(value(g, 0)) * double(vector(g, 0, i));
      for (index_t j = 0; j < 45; ++j) rest += double(a(g, i, j)) * double(vector(g, 0, j));
      CHECK(std::abs(rest) <= bound);
      length += double(vector(g, 0, i)) * double(vector(g, 0, i));
    }
    CHECK(length == Approx(1).epsilon(1e-6));
  }
}

TEMPLATE_TEST_CASE("the largest of long rows, with ties, zeros of both signs and NaN", "", float,
                   double) {
  const test::shared_cuda_backend<TestType> be;
  const index_t n = GENERATE(index_t{300}, index_t{2000});  // places of one and two digits
  const index_t k = GENERATE(index_t{1}, index_t{100}, index_t{299}, index_t{300});
  auto x = test::random_tensor<TestType>({6, n}, 1);
  for (index_t i = 0; i < n; ++i) {
    x(1, i) = TestType(i % 3);
    x(2, i) = i % 2 == 0 ? TestType(0) : -TestType(0);
    if (i % 5 != 0) x(3, i) = std::numeric_limits<TestType>::quiet_NaN();
    x(4, i) = TestType(1) + TestType(i % 7) * std::numeric_limits<TestType>::epsilon();
    if (i % 4 == 1) x(5, i) = -std::numeric_limits<TestType>::infinity();
  }
  host_tensor<TestType> values({6, k}), expected({6, k});
  host_tensor<index_t> at({6, k}), places({6, k});
  reference_backend<TestType>().top_k(std::as_const(x).view(), expected, places);
  auto found = be.allocate({6, k});
  auto indices = be.allocate_indices({6, k});
  be.top_k(on_backend(be, x.view()).view(), found.view(), indices.view());
  be.download(std::as_const(found).view(), values.view());
  be.download(std::as_const(indices).view(), at.view());
  for (index_t i = 0; i < 6 * k; ++i) {
    CAPTURE(n, k, i / k, i % k);
    CHECK(at.data()[i] == places.data()[i]);
    const TestType a = values.data()[i], b = expected.data()[i];
    CHECK((a == b || (std::isnan(a) && std::isnan(b))));
  }
}

TEST_CASE("a search in tiles keeps the first of the largest") {
  const test::shared_cuda_backend<double> be;
  auto x = test::random_tensor<double>({4, 1000}, 1);
  x(0, 10) = x(0, 700) = -50;
  x(1, 999) = 50;
  const auto there = on_backend(be, std::as_const(x).view());
  auto values = be.allocate({4});
  auto indices = be.allocate_indices({4});
  for (index_t begin = 0; begin < 1000; begin += 300) {
    const index_t end = std::min<index_t>(1000, begin + 300);
    be.search({.magnitude = true, .first = begin, .more = begin > 0},
              there.view().slice(1, begin, end), values.view(), indices.view());
  }
  host_tensor<double> value({4});
  host_tensor<index_t> index({4}), at({4});
  reference_backend<double>().argmax_abs(x, value, at);
  be.download(std::as_const(indices).view(), index.view());
  for (index_t i = 0; i < 4; ++i) CHECK(index(i) == at(i));
  CHECK(index(0) == 10);
  CHECK(on_host(be, std::as_const(values).view())(1) == 50);
}

TEMPLATE_TEST_CASE("attention without its scores in memory is attention", "", float, double) {
  using B = test::shared_cuda_backend<TestType>;
  const B be;
  struct sizes {
    index_t queries, tokens, d;
  };
  const auto [queries, tokens, d] = GENERATE(sizes{1, 50, 64}, sizes{50, 50, 64}, sizes{17, 77, 33},
                                             sizes{6, 90, 80}, sizes{5, 5, 130}, sizes{16, 32, 32});
  const bool causal = GENERATE(false, true);
  CAPTURE(queries, tokens, d, causal);
  const auto q = test::random_tensor<TestType>({2, queries, 3, d}, 1),
             k = test::random_tensor<TestType>({2, tokens, 3, d}, 2),
             v = test::random_tensor<TestType>({2, tokens, 3, d}, 3);
  const auto heads = [](auto&& x) { return x.view().permuted({0, 2, 1, 3}); };
  const TestType scale = TestType(0.2);

  using exact = reference_backend<TestType>;
  host_tensor<TestType> out({2, queries, 3, d}), first({2, 3, tokens}),
      scores({2, 3, queries, tokens}), mask({queries, tokens}, 0);
  for (index_t i = 0; i < queries * tokens; ++i) {
    const index_t last = tokens - queries + i / tokens;
    if (causal && i % tokens > last) mask.data()[i] = -std::numeric_limits<TestType>::infinity();
  }
  ops::attention<exact>({}, scale, heads(q), heads(k), heads(v), causal, heads(out), first, scores,
                        mask);

  const auto dq = on_backend(be, q.view()), dk = on_backend(be, k.view()),
             dv = on_backend(be, v.view());
  auto got = be.allocate({2, queries, 3, d}), pattern = be.allocate({2, 3, tokens});
  be.attention(scale, heads(dq), heads(dk), heads(dv), causal, heads(got), pattern.view(), {});
  const double bound = test::bound<TestType>(1e-14, 1e-6);
  CHECK(test::relative_difference<TestType, TestType>(on_host(be, std::as_const(got).view()).view(),
                                                      out.view()) < bound);
  CHECK(test::relative_difference<TestType, TestType>(
            on_host(be, std::as_const(pattern).view()).view(), first.view()) < bound);
}

TEMPLATE_TEST_CASE("products of less precision keep its bound", "", bf16, f16) {
  constexpr bool is_bf16 = std::is_same_v<TestType, bf16>;
  const test::shared_cuda_backend<float> be;
  const auto narrow =
      be.with(is_bf16 ? cuda::product_precision::bf16 : cuda::product_precision::f16);
  // Every kind of number, by its rounding in core/dtype.hpp: a product with 1 shows it.
  host_tensor<float> x({300, 1}), one({1, 1}, 1), y({300, 1});
  for (index_t i = 0; i < 300; ++i) {
    x(i, 0) = static_cast<float>(
                  std::ldexp(1 + 0.618 * static_cast<double>(i % 2) + static_cast<double>(i) / 2048,
                             static_cast<int>(i / 7) - 27)) *
              (i % 3 == 0 ? -1.0F : 1.0F);
  }
  const auto dx = on_backend(be, std::as_const(x).view()),
             d1 = on_backend(be, std::as_const(one).view());
  auto dy = be.allocate({300, 1});
  narrow.gemm(1, dx.view(), d1.view(), 0, dy.view());
  be.download(std::as_const(dy).view(), y.view());
  for (index_t i = 0; i < 300; ++i) CHECK(y(i, 0) == static_cast<float>(TestType(x(i, 0))));

  const auto a = test::random_tensor<float>({20, 30}, 1),
             b = test::random_tensor<float>({40, 30}, 2);
  const auto da = on_backend(be, a.view()), db = on_backend(be, b.view());
  auto dc = be.allocate({40, 20});
  narrow.gemm(1, da.view(), db.view().transposed(), 0, dc.view().transposed());
  const auto c = on_host(be, std::as_const(dc).view());
  for (index_t i = 0; i < 20; ++i) {
    for (index_t j = 0; j < 40; ++j) {
      double want = 0, terms = 0;
      for (index_t l = 0; l < 30; ++l) {
        const double term = static_cast<double>(a(i, l)) * static_cast<double>(b(j, l));
        want += term;
        terms += std::abs(term);
      }
      CHECK(std::abs(c(j, i) - want) <= terms * (is_bf16 ? 0x1p-7 : 0x1p-10));
    }
  }
  CHECK_THROWS_AS(cuda_backend<double>().with(cuda::product_precision::tf32), not_supported);
}

TEST_CASE("what two strides of a matrix leave to cuBLAS") {
  using view = const_view_of<cuda_backend<float>>;
  const auto lies = [](const shape& extents, const shape& strides) {
    const auto found = cuda::blas_layout_of(view(nullptr, extents, strides));
    return found ? std::pair(found->operation, found->ld) : std::pair(CUBLAS_OP_N, index_t{-1});
  };
  CHECK(lies({3, 5}, {5, 1}) == std::pair(CUBLAS_OP_N, index_t{5}));
  CHECK(lies({3, 5}, {9, 1}) == std::pair(CUBLAS_OP_N, index_t{9}));
  CHECK(lies({3, 5}, {1, 4}) == std::pair(CUBLAS_OP_T, index_t{4}));
  CHECK(lies({1, 5}, {0, 1}) == std::pair(CUBLAS_OP_N, index_t{5}));
  CHECK(lies({1, 5}, {7, 2}) == std::pair(CUBLAS_OP_T, index_t{2}));
  CHECK(lies({3, 1}, {2, 7}) == std::pair(CUBLAS_OP_N, index_t{2}));
  for (const auto& [extents, strides] : {std::pair{shape{3, 5}, shape{10, 2}}, {{3, 5}, {0, 1}}}) {
    CHECK(lies(extents, strides).second == -1);
  }
}

TEST_CASE("a walk joins the axes that nest, in the order of what is written") {
  const cuda::walk plain({2, 3, 4}, {{12, 4, 1}, {12, 4, 1}});
  CHECK((plain.rank == 1 && plain.extents[0] == 24 && plain.strides[0][1] == 1));
  const cuda::walk transposed({2, 3, 4}, {{12, 4, 1}, {1, 2, 6}});
  CHECK((transposed.rank == 3 && transposed.extents[0] == 4 && transposed.strides[2][1] == 1 &&
         transposed.strides[2][0] == 12));
  const cuda::walk repeated({5, 1, 4}, {{0, 9, 1}, {4, 9, 1}});
  CHECK((repeated.rank == 2 && repeated.size == 20));
}
