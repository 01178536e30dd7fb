#include "support/test.hpp"

#include <limits>

#include <solens/findings/stream_rows.hpp>

using namespace solens;

TEMPLATE_TEST_CASE("rows are streamed to any place, and nothing beside them is touched", "", float,
                   double) {
  constexpr index_t rows = 3, width = 40;
  const auto x = test::random_tensor<TestType>({rows, width}, 1);
  for (index_t begin : {0, 1, 2, 3, 7}) {
    for (index_t n : {0, 1, 2, 3, 5, 16, 33}) {
      CAPTURE(begin, n);
      host_tensor<TestType> y({rows, width}, 7);
      // from an odd place, so that the two are not aligned alike
      CHECK(stream_rows(x.view().slice(1, 3, 3 + n), y.view().slice(1, begin, begin + n)));
      for (index_t r = 0; r < rows; ++r) {
        for (index_t i = 0; i < width; ++i) {
          const bool within = i >= begin && i < begin + n;
          CHECK(y(r, i) == (within ? x(r, i - begin + 3) : TestType{7}));
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("what is not finite is noticed wherever it stands", "", float, double) {
  using limits = std::numeric_limits<TestType>;
  for (TestType bad : {limits::quiet_NaN(), limits::infinity(), -limits::infinity()}) {
    for (index_t at : {0, 5, 36, 37, 73}) {
      host_tensor<TestType> x({2, 37}, limits::max()), y({2, 37});
      CHECK(stream_rows(std::as_const(x).view(), y.view()));
      x.data()[at] = bad;
      CHECK_FALSE(stream_rows(std::as_const(x).view(), y.view()));
    }
  }
}
