#include "support/test.hpp"

#include <numeric>

#include <solens/core/tensor_view.hpp>

using namespace solens;

namespace {

struct elsewhere {};

/// 0, 1, 2, ... as [2, 3, 4].
struct counted {
  std::vector<int> numbers = std::vector<int>(24);
  host_view<int> view{numbers.data(), {2, 3, 4}};
  counted() { std::iota(numbers.begin(), numbers.end(), 0); }
};

}  // namespace

TEST_CASE("a view is row-major unless strides say otherwise") {
  counted c;
  CHECK(c.view(1, 2, 3) == 23);
  CHECK(c.view.contiguous());
  CHECK(c.view.strides() == shape{12, 4, 1});
  const host_view<int> every_second(c.numbers.data(), {12}, {2});
  CHECK(every_second(5) == 10);
  CHECK_FALSE(every_second.contiguous());
  CHECK_THROWS_AS((host_view<int>(c.numbers.data(), {2, 3}, {1})), shape_error);
  CHECK_THROWS_AS(c.view.extent(3), shape_error);
  CHECK_THROWS_AS(c.view.stride(3), shape_error);
}

TEST_CASE("a default-constructed view is empty, one without axes holds one element") {
  CHECK(host_view<float>().empty());
  int one = 7;
  const host_view<int> scalar(&one, {});
  CHECK(scalar.size() == 1);
  CHECK(scalar() == 7);
  CHECK(row_count(scalar) == 1);
  CHECK(row_count(host_view<int>()) == 0);
}

TEST_CASE("extents of 1 do not keep a view from being contiguous") {
  counted c;
  CHECK(host_view<int>(c.numbers.data(), {1, 4}, {99, 1}).contiguous());
  CHECK(host_view<int>(c.numbers.data(), {4, 1}, {1, 99}).contiguous());
  CHECK_FALSE(host_view<int>(c.numbers.data(), {4, 1}, {2, 1}).contiguous());
}

TEST_CASE("parts of a view share its memory") {
  counted c;
  CHECK(c.view.slice(1, 1, 3)(0, 0, 0) == 4);
  CHECK(c.view.slice(1, 1, 3).extents() == shape{2, 2, 4});
  CHECK(c.view.slice(2, 4, 4).empty());
  CHECK(c.view.select(1, 2)(1, 3) == 23);
  CHECK(c.view[1].extents() == shape{3, 4});
  CHECK_THROWS_AS(c.view.slice(1, -1, 2), shape_error);
  CHECK_THROWS_AS(c.view.slice(1, 2, 1), shape_error);
  CHECK_THROWS_AS(c.view.slice(1, 0, 4), shape_error);
  CHECK_THROWS_AS(c.view.select(0, 2), shape_error);
}

TEST_CASE("axes are permuted, swapped, split and repeated without a copy") {
  counted c;
  CHECK(c.view.permuted({2, 0, 1})(3, 1, 2) == 23);
  CHECK_THROWS_AS(c.view.permuted({0, 1}), shape_error);
  CHECK_THROWS_AS(c.view.permuted({0, 1, 1}), shape_error);
  CHECK_THROWS_AS(c.view.permuted({0, 1, 2, 3}), shape_error);
  CHECK(c.view.transposed()(1, 3, 2) == 23);
  CHECK_THROWS_AS(c.view[0][0].transposed(), shape_error);
  CHECK(c.view.split(2, 2).extents() == shape{2, 3, 2, 2});
  CHECK(c.view.split(2, 2)(1, 2, 1, 1) == 23);
  CHECK(c.view.transposed().split(1, 2)(1, 1, 1, 2) == 23);
  CHECK_THROWS_AS(c.view.split(2, 3), shape_error);
  CHECK_THROWS_AS(c.view.split(2, 0), shape_error);
  const auto five = c.view[1].repeated(5);
  CHECK(five.extents() == shape{5, 3, 4});
  CHECK(&five(0, 2, 3) == &five(4, 2, 3));
}

TEST_CASE("a contiguous view takes other extents of the same size") {
  counted c;
  CHECK(c.view.reshaped({6, 4})(5, 3) == 23);
  CHECK_THROWS_AS(c.view.reshaped({5, 5}), shape_error);
  CHECK_THROWS_AS(c.view.transposed().reshaped({24}), shape_error);
}

TEST_CASE("rows and elements are numbered in row-major order, whatever the strides") {
  counted c;
  const auto view = c.view.permuted({1, 0, 2});
  CHECK(row_count(view) == 6);
  const auto row = row_of(view, 3);  // [1, 1]
  CHECK(row.size == 4);
  CHECK(row[2] == view(1, 1, 2));
  CHECK(element_of(view, 14) == view(1, 1, 2));
  CHECK(row_count(host_view<int>(c.numbers.data(), {0, 4})) == 0);
}

TEST_CASE("views convert to const elements and to nothing else") {
  CHECK(std::is_convertible_v<host_view<int>, host_view<const int>>);
  CHECK_FALSE(std::is_convertible_v<host_view<const int>, host_view<int>>);
  CHECK_FALSE(std::is_convertible_v<tensor_view<int, elsewhere>, host_view<int>>);
  CHECK_FALSE(std::is_invocable_v<tensor_view<int, elsewhere>, int>);
}
