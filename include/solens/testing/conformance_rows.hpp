#pragma once

#include <limits>
#include <string>
#include <utility>  // std::as_const
#include <vector>

#include <solens/backend/ops.hpp>
#include <solens/testing/conformance_arithmetic.hpp>

/// Cases of what goes row by row.
namespace solens::testing {

/// `softmax`: the exponent's rounding, |scale x| eps for scores up to 16, and 8 roundings.
/// `layer_norm`: n + 8 roundings of values up to 8 in a normalised row; of sums, n eps of the
/// largest term. `row_norms`: n / 2 + 2 roundings.
template <tensor_backend B>
void row_operations(conformance_suite<B>& suite) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const auto softmax = [](const auto& b, auto v, auto) { b.softmax(2, v[0], v[1]); };
  const tolerance of_softmax{.of_result = 40};
  const tolerance of_norm{.absolute = 8 * (37 + 8)};
  for (layout how : every_layout) {
    for (layout to : writable_layouts) {
      const std::string name = std::string(to_string(how)) + " to " + to_string(to);
      suite.compare("softmax", name, of_softmax, {in({3, 4, 37}, how), out({3, 4, 37}, to)},
                    softmax);
      suite.compare(
          "layer_norm", name, of_norm,
          {in({3, 4, 37}, how), in({37}, layout::strided, 2), in({37}, layout::strided, 3),
           out({3, 4, 37}, to), out({3, 4}, to), out({3, 4}, to)},
          [](const auto& b, auto v, auto) {
            b.layer_norm(v[0], v[1], v[2], scalar_of<decltype(b)>(0.5), v[3], v[4], v[5]);
          });
    }
    suite.compare("row_norms", to_string(how), {.of_result = 21},
                  {in({3, 4, 37}, how), out({3, 4}, layout::strided)},
                  [](const auto& b, auto v, auto) { b.row_norms(v[0], v[1]); });
  }
  suite.compare("softmax", "in place", of_softmax, {inout({5, 50})},
                [](const auto& b, auto v, auto) { b.softmax(2, v[0], v[0]); });
  suite.compare("softmax", "negative scale", of_softmax, {in({5, 50}), out({5, 50})},
                [](const auto& b, auto v, auto) { b.softmax(-1, v[0], v[1]); });
  suite.compare("softmax", "large scores do not overflow", {.of_result = 8, .absolute = 1},
                {in_values({2, 3}, {3000, 3000, -3000, -2000, -2000, -2000}), out({2, 3})},
                softmax);
  suite.compare("softmax", "-infinity becomes 0", of_softmax,
                {in_values({3, 5}, {-infinity, 1, 2}), out({3, 5})}, softmax);
  suite.compare("softmax", "rows of NaN, of infinity, of -infinity alone", {},
                {in_values({3, 2}, {nan, 1, infinity, 1, -infinity, -infinity}), out({3, 2})},
                softmax);
  for (const shape& extents : {shape{0, 4}, shape{4, 0}, shape{4, 1}, shape{9}}) {
    suite.compare("softmax", to_string(extents), of_softmax, {in(extents), out(extents)}, softmax);
  }
  suite.compare("layer_norm", "in place, no statistics", of_norm,
                {inout({4, 37}), in({37}), in({37})}, [](const auto& b, auto v, auto) {
                  using view = std::remove_cvref_t<decltype(v[0])>;
                  b.layer_norm(v[0], v[1], v[2], scalar_of<decltype(b)>(0.5), v[0], view(), view());
                });
  suite.compare(
      "layer_norm", "a mean far from 0 leaves the variance", {.absolute = 64 * 100},
      {{role::in,
        {2, 64},
        layout::contiguous,
        [](index_t i) { return 100 + static_cast<double>(i * 7 % 13); }},
       in_values({64}, {1}),
       in_values({64}, {0}),
       out({2, 64}),
       out({2}),
       out({2})},
      [](const auto& b, auto v, auto) { b.layer_norm(v[0], v[1], v[2], 0, v[3], v[4], v[5]); });
  suite.compare("row_norms", "NaN, infinity, nothing", {},
                {in_values({3, 1}, {nan, infinity, 0}), out({3})},
                [](const auto& b, auto v, auto) { b.row_norms(v[0], v[1]); });

  const B& be = suite.backend();
  auto x = be.allocate({2, 3});
  auto y = be.allocate({3, 2});
  const const_view_of<B> a = x.view();
  suite.refuses("softmax", "other extents", [&] { be.softmax(1, a, y.view()); });
  suite.refuses("layer_norm", "a weight of another width", [&] {
    be.layer_norm(a, const_view_of<B>(y.view())[0], a[0], 1, x.view(), {}, {});
  });
  suite.refuses("layer_norm", "statistics of other extents",
                [&] { be.layer_norm(a, a[0], a[0], 1, x.view(), x.view()[0], {}); });
  suite.refuses("row_norms", "a norm too many", [&] { be.row_norms(a, x.view()[0]); });
}

/// `top_k`, `argmax_abs`, `gather`: exact, positions included.
template <tensor_backend B>
void choices(conformance_suite<B>& suite) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const auto top_k = [](const auto& b, auto v, auto i) { b.top_k(v[0], v[1], i[0]); };
  const auto argmax = [](const auto& b, auto v, auto i) { b.argmax_abs(v[0], v[1], i[0]); };
  const auto gather = [](const auto& b, auto v, auto i) { b.gather(v[0], i[0], v[1]); };
  for (layout how : every_layout) {
    for (layout to : writable_layouts) {
      const std::string name = std::string(to_string(how)) + " to " + to_string(to);
      suite.compare("top_k", name, {}, {in({4, 3, 41}, how), out({4, 3, 5}, to)}, top_k,
                    {out({4, 3, 5}, to)});
      suite.compare("argmax_abs", name, {}, {in({4, 3, 41}, how), out({4, 3}, to)}, argmax,
                    {out({4, 3}, to)});
      suite.compare("gather", name, {}, {in({6, 5}, how), out({2, 3, 5}, to)}, gather,
                    {in_values({2, 3}, {5, 0, 3, 3, 1, 0}, layout::strided)});
    }
  }
  const argument ties = in_values({3, 40}, {1, -3, 3, 2, 3, -3, 0});
  const argument holes = in_values({3, 40}, {nan, -3, nan, 2, 3, nan, 1, -3});
  const argument nothing_but = in_values({2, 40}, {nan});
  for (const auto& [name, x] : {std::pair{"ties go to the lower index", ties},
                                {"NaN counts as lowest", holes},
                                {"NaN alone", nothing_but}}) {
    const index_t rows = x.extents[0];
    suite.compare("top_k", name, {}, {x, out({rows, 40})}, top_k, {out({rows, 40})});
    suite.compare("argmax_abs", name, {}, {x, out({rows})}, argmax, {out({rows})});
  }
  suite.compare("top_k", "none of them", {}, {in({3, 4}), out({3, 0})}, top_k, {out({3, 0})});
  suite.compare("top_k", "no rows", {}, {in({0, 4}), out({0, 2})}, top_k, {out({0, 2})});
  suite.compare("argmax_abs", "one element", {}, {in({3, 1}), out({3})}, argmax, {out({3})});
  suite.compare("gather", "no rows", {}, {in({6, 5}), out({0, 5})}, gather, {out({0})});

  const B& be = suite.backend();
  auto x = be.allocate({2, 3});
  auto wide = be.allocate({2, 4});
  auto at = be.allocate_indices({2, 4});
  const const_view_of<B> a = x.view();
  suite.refuses("top_k", "more than there are", [&] { be.top_k(a, wide.view(), at.view()); });
  suite.refuses("argmax_abs", "rows of nothing", [&] {
    be.argmax_abs(a.slice(1, 0, 0), x.view().select(1, 0), at.view().select(1, 0));
  });
  for (index_t wrong : {index_t{-1}, index_t{2}}) {
    suite.refuses("gather", "row " + std::to_string(wrong) + " of 2", [&] {
      auto rows = be.allocate_indices({2});
      host_tensor<index_t> host({2}, 0);
      host(1) = wrong;
      be.upload(std::as_const(host).view(), rows.view());
      auto to = be.allocate({2, 3});
      be.gather(a, const_index_view_of<B>(rows.view()), to.view());
    });
  }
}

/// Declared or not, the fused operations of ops.hpp keep the bounds of their parts: for
/// `attention`, those of scores of 8 terms, softmax and a mean of values up to 4; for `row_search`,
/// that of a sum of 13 products of those.
template <tensor_backend B>
void fused_operations(conformance_suite<B>& suite) {
  for (layout how : writable_layouts) {
    suite.compare("bias_activation", to_string(how), {.absolute = 24},
                  {in({19}), inout({3, 5, 19}, how)}, [](const auto& b, auto v, auto) {
                    ops::bias_activation<std::remove_cvref_t<decltype(b)>>(b, activation::gelu,
                                                                           v[0], v[1]);
                  });
    suite.compare("bias_layer_norm", to_string(how), {.absolute = 8 * (37 + 10)},
                  {in({37}), inout({2, 5, 37}, how), in({37}, layout::strided, 2),
                   in({37}, layout::strided, 3), out({2, 5, 37}, how), out({2, 5}),
                   out({2, 5}, layout::strided)},
                  [](const auto& b, auto v, auto) {
                    using S = std::remove_cvref_t<decltype(b)>;
                    ops::bias_layer_norm<S>(b, v[0], v[1], v[2], v[3], scalar_of<S>(0.5), v[4],
                                            v[5], v[6]);
                  });
  }
  for (layout how : writable_layouts) {
    for (double beta : {0.0, 1.0}) {
      suite.compare("gram", std::string(to_string(how)) + (beta == 0 ? "" : ", accumulated"),
                    {.of_terms = 9 + 3},
                    {in({3, 6, 9}, how),
                     {beta == 0 ? role::out : role::inout, {3, 6, 6}, how, normal_values(2)}},
                    [=](const auto& b, auto v, auto) {
                      using S = std::remove_cvref_t<decltype(b)>;
                      ops::gram<S>(b, v[0], scalar_of<S>(beta), v[1]);
                      for (index_t i = 0; i < 6; ++i) {  // above the diagonal all is open
                        b.fill(0, v[1].slice(1, i, i + 1).slice(2, i + 1, 6));
                      }
                    });
    }
    for (layout of_l : {layout::contiguous, layout::transposed, layout::strided}) {
      suite.compare("multiply_lower", std::string(to_string(how)) + " by " + to_string(of_l),
                    {.of_terms = 7 + 3},
                    {in({3, 8, 7}, how),
                     {role::in,
                      {3, 7, 7},
                      of_l,
                      [](index_t i) {
                        const index_t row = i / 7 % 7, column = i % 7;
                        return column > row ? 0.0 : 1.0 / static_cast<double>(1 + row + column);
                      }},
                     out({3, 8, 7}, how)},
                    [](const auto& b, auto v, auto) {
                      using S = std::remove_cvref_t<decltype(b)>;
                      ops::multiply_lower<S>(b, v[0], v[1], v[2]);
                    });
    }
  }
  for (layout how : every_layout) {
    for (bool positive : {false, true}) {
      suite.compare("row_search",
                    std::string(positive ? "largest, " : "largest magnitude, ") + to_string(how),
                    {.absolute = 16 * 13 * 16},
                    {in({70, 13}, how, 1), in({5, 13}, how, 2), out({5})},
                    [=](const auto& b, auto v, auto i) {
                      using S = std::remove_cvref_t<decltype(b)>;
                      host_tensor<typename S::scalar> values({5});
                      host_tensor<index_t> indices({5});
                      ops::row_search<S> search(b, v[0], 5);
                      search(b, v[1], positive, values, indices);
                      b.upload(std::as_const(values).view(), v[2]);
                      b.upload(std::as_const(indices).view(), i[0]);
                    },
                    {out({5})});
    }
  }
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (bool causal : {false, true}) {
    for (index_t queries : {index_t{1}, index_t{4}, index_t{6}}) {
      for (layout how : writable_layouts) {
        const std::string name = std::string(causal ? "causal, " : "") + std::to_string(queries) +
                                 " queries, " + to_string(how);
        const argument mask{role::in, {queries, 6}, layout::contiguous, [=](index_t i) {
                              const index_t own = 6 - queries + i / 6;
                              return causal && i % 6 > own ? -infinity : 0.0;
                            }};
        suite.compare(
            "attention", name, {.absolute = 4 * 64},
            {in({2, 3, queries, 8}, how, 1), in({2, 3, 6, 8}, how, 2), in({2, 3, 6, 8}, how, 3),
             out({2, 3, queries, 8}, how), out({2, 3, 6}, how), out({2, 3, queries, 6}, how), mask},
            [=](const auto& b, auto v, auto) {
              using S = std::remove_cvref_t<decltype(b)>;
              ops::attention<S>(b, scalar_of<S>(0.5), v[0], v[1], v[2], causal, v[3], v[4], v[5],
                                v[6]);
            });
      }
    }
  }
}

}  // namespace solens::testing
