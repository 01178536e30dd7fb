#include "support/test.hpp"

#include <cstdint>
#include <limits>

using namespace solens;

TEST_CASE("a tensor is contiguous and aligned to a cache line") {
  for (index_t n : {1, 3, 17, 1000}) {
    const host_tensor<float> x(shape{n, 3}, 2.5F);
    CHECK(reinterpret_cast<std::uintptr_t>(x.data()) % 64 == 0);
    CHECK(x.size() == 3 * n);
    CHECK(x(n - 1, 2) == 2.5F);
    CHECK(x.view().contiguous());
  }
}

TEST_CASE("tensors without elements hold no memory") {
  CHECK(host_tensor<float>().empty());
  const host_tensor<float> x(shape{4, 0});
  CHECK(x.empty());
  CHECK(x.extents() == shape{4, 0});
  CHECK(x.data() == nullptr);
  CHECK(x.clone().extents() == shape{4, 0});
}

TEST_CASE("extents that no memory holds are refused before memory is asked for") {
  constexpr index_t most = std::numeric_limits<index_t>::max();
  CHECK_THROWS_AS(host_tensor<float>(shape{-1}), shape_error);
  CHECK_THROWS_AS(host_tensor<float>(shape{most}), shape_error);
  CHECK_THROWS_AS(host_tensor<double>(shape{most / 4}), shape_error);
  CHECK_THROWS_AS(host_tensor<char>(shape{most / 2, 3}), shape_error);
  CHECK_THROWS_AS(host_tensor<float>(shape{0, -5}), shape_error);
}

TEST_CASE("moving hands the memory over and leaves nothing") {
  host_tensor<int> a(shape{2, 2}, 7);
  const int* memory = a.data();
  host_tensor<int> b = std::move(a);
  CHECK(b.data() == memory);
  CHECK(a.empty());
  CHECK(a.extents() == shape{});
  host_tensor<int> c(shape{5}, 1);
  c = std::move(b);
  CHECK(c.data() == memory);
  CHECK(c.extents() == shape{2, 2});
  CHECK(b.empty());
}

TEST_CASE("a clone is a copy") {
  host_tensor<int> a(shape{3}, 1);
  host_tensor<int> b = a.clone();
  b(1) = 5;
  CHECK(a(1) == 1);
  CHECK(b(0) == 1);
}
