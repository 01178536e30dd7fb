#include "support/test.hpp"

#if defined(SOLENS_WITH_XTENSOR)

#include <solens/backend/reference.hpp>
#include <solens/backend/xtensor_view.hpp>
#if __has_include(<xtensor/views/xview.hpp>)
#include <xtensor/misc/xmanipulation.hpp>
#include <xtensor/views/xview.hpp>
#else
#include <xtensor/xmanipulation.hpp>
#include <xtensor/xview.hpp>
#endif

using namespace solens;

namespace {

xt::xtensor<float, 3> counting() {
  auto x = xt::xtensor<float, 3>::from_shape({2, 3, 4});
  float next = 0;
  for (float& v : x) v = next++;
  return x;
}

}  // namespace

TEST_CASE("xtensor's containers are seen where they lie, whatever their layout") {
  xt::xtensor<float, 3> x = counting();
  const host_view<float> seen = from_xt(x);
  CHECK(seen.data() == x.data());
  CHECK(seen.extents() == shape{2, 3, 4});
  CHECK(seen.contiguous());
  seen(1, 2, 3) = -5;
  CHECK(x(1, 2, 3) == -5);

  const xt::xarray<float, xt::layout_type::column_major> columns = x;
  const host_view<const float> seen_by_columns = from_xt(columns);
  CHECK(seen_by_columns.data() == columns.data());
  CHECK(seen_by_columns.strides() == shape{1, 2, 6});
  CHECK(seen_by_columns(1, 0, 2) == x(1, 0, 2));

  std::vector<double> buffer(6, 2.5);
  auto adaptor = xt::adapt(buffer, std::vector<std::size_t>{2, 3});
  CHECK(from_xt(adaptor).data() == buffer.data());
}

TEST_CASE("xtensor's views are seen with their offsets and strides") {
  xt::xtensor<float, 3> x = counting();
  auto part = xt::view(x, 1, xt::range(0, 3, 2), xt::range(1, 3));
  const host_view<float> seen = from_xt(part);
  CHECK(seen.extents() == shape{2, 2});
  CHECK(seen.data() == x.data() + 13);
  CHECK(seen(1, 1) == x(1, 2, 2));

  auto turned = xt::transpose(x);
  CHECK(from_xt(turned).extents() == shape{4, 3, 2});
  CHECK(from_xt(turned)(3, 1, 0) == x(0, 1, 3));

  auto backwards = xt::strided_view(x, {0, xt::all(), xt::range(3, 0, -1)});
  CHECK(from_xt(backwards)(2, 0) == x(0, 2, 3));
}

TEST_CASE("More axes than a view has are refused") {
  const auto x = xt::xarray<float>::from_shape({1, 1, 1, 1, 1, 1, 1});
  CHECK_THROWS_AS(from_xt(x), shape_error);
}

TEST_CASE("A view is an xtensor expression over its own memory") {
  host_tensor<double> memory({3, 4}, 1.0);
  const auto inner = memory.view().slice(0, 1, 3).slice(1, 1, 3);
  to_xt(inner) = 2 * to_xt(inner) + 3;
  double sum = 0;
  for (double v : memory) sum += v;
  CHECK(sum == 8 * 1 + 4 * 5);
  CHECK(memory(1, 0) == 1);
  CHECK(memory(2, 2) == 5);

  const host_tensor<double> row({4}, 7.0);
  const xt::xarray<double> all = to_xt(row.view().repeated(2));
  CHECK(all.dimension() == 2);
  CHECK(all(1, 3) == 7);

  to_xt(memory.view().transposed().select(1, 2)) = to_xt(row.view());
  CHECK(memory(2, 0) == 7);
  CHECK(memory(1, 0) == 1);
  CHECK(to_xt(host_view<double>()).size() == 0);
}

TEST_CASE("A backend computes on the caller's containers") {
  xt::xtensor<float, 2> a{{1, 2, 3}, {4, 5, 6}};
  const xt::xarray<float, xt::layout_type::column_major> b{{1, 0}, {0, 1}, {1, 1}};
  xt::xtensor<float, 2> c = xt::xtensor<float, 2>::from_shape({2, 2});
  reference_backend<float>().gemm(1, from_xt(a), from_xt(b), 0, from_xt(c));
  CHECK((c == xt::xtensor<float, 2>{{4, 5}, {10, 11}}));
}

TEST_CASE("The tensor of the xtensor backend is an xt::xarray") {
  xt_tensor<float> x({2, 3});
  CHECK(x.view().data() == x.array().data());
  x.array() = xt::xarray<float>{{1, 2, 3}, {4, 5, 6}};
  CHECK(x.view()(1, 2) == 6);
  CHECK_THROWS_AS(xt_tensor<float>({2, -1}), shape_error);
  CHECK(xt_tensor<float>().view().empty());
  CHECK(xt_tensor<float>(shape{}).view().empty());

  xt::xarray<float> mine{{1, 2}};
  const float* place = mine.data();
  xt_tensor<float> taken;
  taken.array() = std::move(mine);
  CHECK(taken.view().data() == place);
  xt_tensor<float> moved = std::move(taken);
  CHECK(moved.view().data() == place);
  CHECK(taken.view().empty());  // NOLINT: what a move leaves is part of the contract
  x = std::move(moved);
  CHECK(x.view().data() == place);
  CHECK(moved.view().empty());  // NOLINT
}

#else

TEST_CASE("Views of xtensor's containers") { WARN("not run: xtensor is not here"); }

#endif
