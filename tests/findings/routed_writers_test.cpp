#include "support/test.hpp"

#include <algorithm>  // std::min
#include <limits>
#include <utility>  // std::as_const

#include <solens/findings/routed_writers.hpp>

#include "lens/backends.hpp"

using namespace solens;

TEMPLATE_TEST_CASE("coefficients made again are those of activations and routes", "", float,
                   double) {
  using B = eigen_backend<TestType>;
  constexpr index_t writers = 70, tokens = 3, all_sources = 5, sources = 4, images = 23;
  const B be{};
  const auto p = test::random_tensor<TestType>({images, tokens, writers}, 1);
  const auto u = test::random_tensor<TestType>({images, tokens, all_sources}, 2);
  host_tensor<double> s({writers, images, sources}, 0.0), mean({writers, sources}, 0.0);
  for (index_t w = 0; w < writers; ++w) {
    for (index_t i = 0; i < images; ++i) {
      for (index_t k = 0; k < sources; ++k) {
        for (index_t t = 0; t < tokens; ++t) {
          s(w, i, k) += double{p(i, t, w)} * double{u(i, t, all_sources - sources + k)};
        }
        mean(w, k) += s(w, i, k) / images;
      }
    }
  }
  test::temporary_folder folder;
  record_writer disk(1 << 20);
  constexpr index_t panel = routed_writers<B>::panel;
  CHECK(routed_writers<B>::n_panels(writers) == 3);
  coefficient_store<TestType> active(disk, folder / "p", 3, tokens * panel);
  coefficient_store<TestType> routes(disk, folder / "u", 1, tokens * all_sources);
  for (index_t i = 0; i < images;) {
    const index_t batch = std::min<index_t>(images - i, 1 + i % 5);
    CHECK(routed_writers<B>::keep(p.view().slice(0, i, i + batch), active.next(batch)));
    std::copy_n(&u(i, 0, 0), batch * tokens * all_sources, routes.next(batch).data());
    active.append();
    routes.append();
    i += batch;
  }
  active.sync();
  routes.sync();
  typename coefficient_store<TestType>::block of_images;
  routes.read(0, 1, of_images);
  const double bound = sizeof(TestType) == 8 ? 1e-14 : 1e-6;

  for (const auto& [first, last] : {std::pair<index_t, index_t>{0, writers}, {32, 64}, {64, 70}}) {
    CAPTURE(first, last);
    typename coefficient_store<TestType>::block panels;
    active.read(first / panel, routed_writers<B>::n_panels(last), panels);
    routed_writers<B> block(be, panels, last - first, of_images, tokens, sources);
    for (index_t w = first; w < last; w += panel) {
      block.measure(w - first, std::min(last, w + panel) - first);
    }
    CHECK(test::relative_difference<TestType, double>(
              block.mean().view(), std::as_const(mean).view().slice(0, first, last)) < bound);
    const auto centered = [&](index_t w, index_t i, index_t k) { return s(w, i, k) - mean(w, k); };
    for (const auto& [begin, end] : {std::pair<index_t, index_t>{0, images}, {0, 1}, {7, 22}}) {
      for (index_t w = first; w < last; w += panel) {
        host_tensor<TestType> out({std::min(last, w + panel) - w, end - begin, sources});
        host_tensor<double> expected(out.extents());
        block.centered(w - first, begin, out.view());
        for (index_t v = 0; v < out.extent(0); ++v) {
          for (index_t i = begin; i < end; ++i) {
            for (index_t k = 0; k < sources; ++k) expected(v, i - begin, k) = centered(w + v, i, k);
          }
        }
        CHECK(test::relative_difference<TestType, double>(out.view(), expected.view()) < bound);
      }
    }
    host_tensor<index_t> chosen({last - first, 2});
    host_tensor<TestType> out({last - first, 2, sources});
    host_tensor<double> expected(out.extents());
    for (index_t w = 0; w < last - first; ++w) {
      for (index_t c = 0; c < 2; ++c) {
        chosen(w, c) = (5 * w + 11 * c) % images;
        for (index_t k = 0; k < sources; ++k) {
          expected(w, c, k) = centered(first + w, chosen(w, c), k);
        }
      }
    }
    block.centered(std::as_const(chosen).view(), out.view());
    CHECK(test::relative_difference<TestType, double>(out.view(), expected.view()) < bound);
  }
}

TEST_CASE("activations that are not finite are noticed where they are kept") {
  using R = routed_writers<eigen_backend<float>>;
  const index_t writers = GENERATE(index_t{3}, index_t{32}, index_t{40});
  const float bad =
      GENERATE(std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity());
  auto p = test::random_tensor<float>({2, 4, writers}, 3);
  host_tensor<float> out({R::n_panels(writers), 2, 4 * R::panel}, bad);
  CHECK(R::keep(std::as_const(p).view(), out.view()));
  for (const float x : out) REQUIRE(std::isfinite(x));
  p(1, 2, writers - 1) = bad;
  CHECK_FALSE(R::keep(std::as_const(p).view(), out.view()));
}
