#include "support/test.hpp"

#include <cmath>  // std::nanf
#include <set>

#include <solens/stats/segmentation_scores.hpp>

using namespace solens;
using namespace solens::test;

namespace {

/// Average precision by its definition: at every score that occurs, everything from it on counted
/// anew.
double plain_average_precision(const std::vector<std::pair<float, bool>>& items) {
  std::set<float, std::greater<>> scores;
  double all = 0, sum = 0, before = 0;
  for (const auto& [score, right] : items) scores.insert(score), all += right ? 1 : 0;
  for (const float least : scores) {
    double taken = 0, right = 0;
    for (const auto& [score, is_right] : items) {
      if (score < least) continue;
      ++taken;
      right += is_right ? 1 : 0;
    }
    sum += (right / all - before) * (right / taken);
    before = right / all;
  }
  return all == 0 ? 0 : sum;
}

/// Some images with heat in steps of 1/8, so that scores tie, and truths of all shares.
struct scene {
  host_tensor<float> heat{shape{6, 7}};
  host_tensor<std::uint8_t> truth{shape{6, 7}};

  explicit scene(unsigned seed) {
    std::mt19937 draw(seed);
    for (index_t i = 0; i < heat.size(); ++i) {
      heat.data()[i] = static_cast<float>(draw() % 9) / 8;
      truth.data()[i] = static_cast<std::uint8_t>(draw() % 10 < seed ? draw() % 255 + 1 : 0);
    }
  }
};

}  // namespace

TEST_CASE("average precision is the area under steps of precision over recall") {
  std::vector<std::pair<float, bool>> items{{0.9F, true}, {0.8F, false}, {0.7F, true}};
  CHECK(stats::average_precision(items) == Approx(0.5 * 1 + 0.5 * 2 / 3));
  items = {{0.5F, true}, {0.5F, false}, {0.1F, true}};  // one step for the two that tie
  CHECK(stats::average_precision(items) == Approx(0.5 * 0.5 + 0.5 * 2 / 3));
  items = {{0.5F, false}};
  CHECK(stats::average_precision(items) == 0);
  items.clear();
  CHECK(stats::average_precision(items) == 0);
}

TEST_CASE("scores are those of their definitions, counted plainly") {
  const float threshold = GENERATE(0.5F, 0.2F);
  stats::segmentation_scores scores;
  double right = 0, pixels = 0, precisions = 0;
  std::array<double, 2> both{}, either{};
  constexpr unsigned n = 11;
  for (unsigned seed = 0; seed < n; ++seed) {
    const scene s(seed);
    std::vector<std::pair<float, bool>> items;
    double own_right = 0, own_both = 0, own_either = 0;
    for (index_t i = 0; i < s.heat.size(); ++i) {
      const float h = s.heat.data()[i];
      const bool found = h > threshold, there = s.truth.data()[i] != 0;
      own_right += found == there ? 1 : 0;
      own_both += found && there ? 1 : 0;
      own_either += found || there ? 1 : 0;
      both[0] += !found && !there ? 1 : 0;
      either[0] += !found || !there ? 1 : 0;
      items.emplace_back(h, there);
      items.emplace_back(1 - h, !there);
    }
    const double precision = plain_average_precision(items);
    const auto of = scores.add(s.heat, s.truth, threshold);
    CHECK(of.pixel_accuracy == Approx(own_right / 42));
    CHECK(of.object_iou == Approx(own_either == 0 ? 0 : own_both / own_either));
    CHECK(of.average_precision == Approx(precision));
    right += own_right, pixels += 42, precisions += precision;
    both[1] += own_both, either[1] += own_either;
  }
  CHECK(scores.n() == n);
  CHECK(scores.pixel_accuracy() == Approx(right / pixels));
  CHECK(scores.background_iou() == Approx(both[0] / either[0]));
  CHECK(scores.object_iou() == Approx(both[1] / either[1]));
  CHECK(scores.mean_iou() == Approx((both[0] / either[0] + both[1] / either[1]) / 2));
  CHECK(scores.mean_average_precision() == Approx(precisions / n));
}

TEST_CASE("IoU is of all images together, not a mean over them") {
  stats::segmentation_scores scores;
  host_tensor<float> heat({1, 4}, 0);
  host_tensor<std::uint8_t> truth({1, 4}, 0);
  heat(0, 0) = 1, truth(0, 0) = 1;
  scores.add(heat, truth, 0.5F);  // 1 of 1
  heat(0, 1) = heat(0, 2) = 1;
  scores.add(heat, truth, 0.5F);  // 1 of 3
  CHECK(scores.object_iou() == Approx(2.0 / 4));
}

TEST_CASE("nothing scored, nothing there, and what does not fit") {
  stats::segmentation_scores scores;
  CHECK(scores.pixel_accuracy() == 0);
  CHECK(scores.mean_average_precision() == 0);
  const host_tensor<float> heat({2, 3}, 0);
  const host_tensor<std::uint8_t> none({2, 3}, 0), other({3, 2}, 0);
  const auto of = scores.add(heat, none, 0.5F);
  CHECK(of.pixel_accuracy == 1);
  CHECK(of.object_iou == 0);
  CHECK(of.average_precision == 1);
  CHECK_THROWS_WITH(scores.add(heat, other, 0.5F), Catch::Contains("[2, 3]"));
  for (const float wrong : {std::nanf(""), -0.5F, 2.0F}) {
    host_tensor<float> broken({2, 3}, wrong);
    CHECK_THROWS_AS(scores.add(broken, host_tensor<std::uint8_t>({2, 3}, 1), 0.5F), argument_error);
  }
  CHECK_THROWS_AS(scores.add(host_view<const float>(), host_view<const std::uint8_t>(), 0.5F),
                  shape_error);
  CHECK(scores.n() == 1);
}
