#include "support/test.hpp"

#include <utility>  // std::as_const
#include <vector>

#include <solens/backend/cuda.hpp>
#include <solens/backend/ops.hpp>
#include <solens/backend/reference.hpp>
#include <solens/testing/backend_conformance.hpp>
#if defined(SOLENS_CUDA_EMULATION)
#include <solens/backend/cuda/kernels.cuh>
#endif

#include "support/backends.hpp"

using namespace solens;

namespace {

template <class B>
typename B::tensor on_device(const B& be, host_view<const typename B::scalar> x) {
  auto result = be.allocate(x.extents());
  be.upload(x, result.view());
  return result;
}

template <class B>
host_tensor<typename B::scalar> from_device(const B& be, const_view_of<B> x) {
  host_tensor<typename B::scalar> result(x.extents());
  be.download(x, result.view());
  return result;
}

}  // namespace

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
            from_device(be, const_view_of<cuda_backend<float>>(there.view().transposed())),
            x.view()) == 0);
}

TEST_CASE("the host's memory is free again when upload returns") {
  const test::shared_cuda_backend<float> be;
  auto x = test::random_tensor<float>({100}, 1);
  const auto before = x.clone();
  const auto there = on_device(be, std::as_const(x).view());
  for (float& value : x) value = 0;
  CHECK(test::relative_difference<float, float>(from_device(be, there.view()), before.view()) == 0);
}

TEST_CASE("memory comes back, stays in its budget, and says what to do when it is short") {
  constexpr index_t megabyte = 1 << 20;
  const cuda_backend<float> be({.memory = 40 * megabyte});
  const auto kept = on_device(be, test::random_tensor<float>({1000}, 1).view());
  for (int i = 0; i < 20; ++i) be.allocate({4 * megabyte});  // 16 MB, the same ones
  const float* first = be.allocate({megabyte}).view().data();
  CHECK(be.allocate({megabyte}).view().data() == first);
  CHECK_THROWS_WITH(be.allocate({20 * megabyte}),
                    Catch::Contains("expected the budget's 42 MB to be enough") &&
                        Catch::Contains("fewer images") && Catch::Contains("84 MB asked for"));
  CHECK_THROWS_AS(be.allocate({20 * megabyte}), cuda::out_of_memory);
  // What was not in use went back, what was is as it was.
  const auto large = be.allocate({6 * megabyte});
  CHECK(test::relative_difference<float, float>(from_device(be, kept.view()),
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
    const auto x = on_device(be, test::random_tensor<TestType>(extents, 1).view());
    auto a = be.allocate({batch, n, n});
    auto values = be.allocate({batch, 2}), vectors = be.allocate({batch, 2, n});
    be.batched_gemm(1, x.view(), x.view().transposed(), 0, a.view());
    be.symmetric_eigen(std::as_const(a).view(), values.view(), vectors.view());
    // a v = value v
    auto image = be.allocate({batch, 2, n});
    be.batched_gemm(1, std::as_const(vectors).view(), std::as_const(a).view(), 0, image.view());
    const auto v = from_device(be, std::as_const(vectors).view());
    const auto got = from_device(be, std::as_const(image).view());
    const auto value = from_device(be, std::as_const(values).view());
    auto want = v.clone();
    for (index_t i = 0; i < want.size(); ++i) want.data()[i] *= value.data()[i / n];
    CHECK(test::relative_difference<TestType, TestType>(got.view(), want.view()) <
          test::bound<TestType>(1e-12, 1e-4));
  }
}

TEST_CASE("a search in tiles keeps the first of the largest") {
  const test::shared_cuda_backend<double> be;
  auto x = test::random_tensor<double>({4, 1000}, 1);
  x(0, 10) = x(0, 700) = -50;
  x(1, 999) = 50;
  const auto there = on_device(be, std::as_const(x).view());
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
  CHECK(from_device(be, std::as_const(values).view())(1) == 50);
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
