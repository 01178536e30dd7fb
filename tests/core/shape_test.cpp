#include "support/test.hpp"

#include <limits>

#include <solens/core/shape.hpp>

using solens::shape;

TEST_CASE("a shape holds up to six extents") {
  const shape s{2, 3, 4};
  CHECK(s.rank() == 3);
  CHECK(s.size() == 24);
  CHECK(s[1] == 3);
  CHECK(to_string(s) == "[2, 3, 4]");
  CHECK(shape{}.size() == 1);
  CHECK_THROWS_AS((shape{1, 2, 3, 4, 5, 6, 7}), solens::shape_error);
}

TEST_CASE("shapes compare by rank and extents") {
  CHECK(shape{2, 3} == shape{2, 3});
  CHECK_FALSE(shape{2, 3} == shape{3, 2});
  CHECK_FALSE(shape{2, 3} == shape{2, 3, 1});
}

TEST_CASE("an axis can be taken out or added") {
  CHECK(shape{2, 3, 4}.without(1) == shape{2, 4});
  shape s{5};
  s.push_back(7);
  CHECK(s == shape{5, 7});
  shape full{1, 1, 1, 1, 1, 1};
  CHECK_THROWS_AS(full.push_back(1), solens::shape_error);
}

TEST_CASE("row-major strides count elements") {
  CHECK(solens::row_major_strides({2, 3, 4}) == shape{12, 4, 1});
  CHECK(solens::row_major_strides({}) == shape{});
}

TEST_CASE("extents from elsewhere are bounded, those of no elements too") {
  constexpr solens::index_t large = solens::index_t{1} << 40;
  const auto size = [](const shape& s, solens::index_t most) {
    return solens::bounded_size({s.begin(), s.rank()}, most);
  };
  CHECK(size({2, 3, 4}, 24) == 24);
  CHECK(size({}, 24) == 1);
  CHECK(size({5, 0, 4}, 24) == 0);
  CHECK_FALSE(size({2, 3, 4}, 23));
  CHECK_FALSE(size({-1, 0}, 24));
  CHECK_FALSE(size({0, large, large}, std::numeric_limits<solens::index_t>::max()));
  CHECK_FALSE(size({large, large, 0}, std::numeric_limits<solens::index_t>::max()));
}
