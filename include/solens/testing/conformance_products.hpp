#pragma once

#include <string>

#include <solens/testing/conformance_arithmetic.hpp>

/// Cases of `gemm` and `batched_gemm`: (k + 3) eps of the sum of the terms' magnitudes, which is
/// what any order of summation keeps.
namespace solens::testing {

namespace detail {

inline tolerance of_product(index_t k) { return {.of_terms = static_cast<double>(k + 3)}; }

template <tensor_backend B>
void gemm_case(conformance_suite<B>& suite, const std::string& name, double alpha, double beta,
               argument a, argument b, argument c) {
  const index_t k = a.extents[a.extents.rank() - 1];
  suite.compare(c.extents.rank() == 2 ? "gemm" : "batched_gemm", name, of_product(k), {a, b, c},
                [=](const auto& be, auto v, auto) {
                  using S = scalar_of<decltype(be)>;
                  const S s = static_cast<S>(alpha), t = static_cast<S>(beta);
                  if (v[2].rank() == 2) {
                    be.gemm(s, v[0], v[1], t, v[2]);
                  } else {
                    be.batched_gemm(s, v[0], v[1], t, v[2]);
                  }
                });
}

}  // namespace detail

template <tensor_backend B>
void products(conformance_suite<B>& suite) {
  using detail::gemm_case;
  for (layout a : every_layout) {
    for (layout b : every_layout) {
      for (layout c : writable_layouts) {
        const std::string name =
            std::string(to_string(a)) + " x " + to_string(b) + " to " + to_string(c);
        gemm_case(suite, name, 1.25, 0.5, in({13, 7}, a), in({7, 17}, b, 2), inout({13, 17}, c));
        gemm_case(suite, name + ", beta 0 does not read c", -1, 0, in({13, 7}, a),
                  in({7, 17}, b, 2), out({13, 17}, c));
        gemm_case(suite, name, 1.25, 0.5, in({3, 5, 7}, a), in({3, 7, 6}, b, 2),
                  inout({3, 5, 6}, c));
      }
    }
  }
  // Extents of 1 leave strides open that a BLAS checks; 0 leaves everything open.
  for (layout how : {layout::contiguous, layout::padded, layout::transposed, layout::strided}) {
    for (const shape& mkn : {shape{1, 1, 1}, shape{1, 9, 1}, shape{9, 1, 1}, shape{1, 1, 9},
                             shape{1, 9, 5}, shape{5, 9, 1}, shape{5, 1, 9}, shape{5, 0, 4},
                             shape{0, 3, 4}, shape{4, 3, 0}, shape{0, 0, 0}}) {
      const index_t m = mkn[0], k = mkn[1], n = mkn[2];
      const std::string name = std::string(to_string(how)) + " m, k, n " + to_string(mkn);
      gemm_case(suite, name, 1.25, 0.5, in({m, k}, how), in({k, n}, how, 2), inout({m, n}, how));
      gemm_case(suite, name + ", beta 0", 1, 0, in({m, k}, how), in({k, n}, how, 2),
                out({m, n}, how));
      gemm_case(suite, name + ", beta 0", 1, 0, in({2, m, k}, how), in({2, k, n}, how, 2),
                out({2, m, n}, how));
    }
  }
  for (const shape& mkn : {shape{200, 96, 130}, shape{3, 300, 700}, shape{700, 64, 3}}) {
    const index_t m = mkn[0], k = mkn[1], n = mkn[2];
    gemm_case(suite, "large enough to share " + to_string(mkn), 1, 0, in({m, k}),
              in({k, n}, layout::transposed, 2), out({m, n}));
    gemm_case(suite, "large, accumulated " + to_string(mkn), 0.5, 1, in({m, k}, layout::transposed),
              in({k, n}, layout::padded, 2), inout({m, n}, layout::padded));
    gemm_case(suite, "large in a batch of one " + to_string(mkn), 1, 0, in({1, m, k}),
              in({1, k, n}, layout::transposed, 2), out({1, m, n}));
  }
  for (layout how : every_layout) {
    gemm_case(suite, std::string("two leading axes, ") + to_string(how), 1, 0,
              in({2, 3, 5, 7}, how), in({2, 3, 7, 4}, how, 2), out({2, 3, 5, 4}));
  }
  gemm_case(suite, "no batch", 1, 0, in({0, 5, 7}), in({0, 7, 4}), out({0, 5, 4}));
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  gemm_case(suite, "NaN reaches its row alone", 1, 0, in_values({3, 2}, {1, 2, nan, 3, 4, 5}),
            in({2, 4}), out({3, 4}));
  gemm_case(suite, "NaN in c stays where beta is not 0", 1, 1, in({3, 2}), in({2, 2}),
            {role::inout, {3, 2}, layout::contiguous, [](index_t i) { return i == 1 ? nan : 1; }});

  const B& be = suite.backend();
  auto x = be.allocate({2, 3});
  auto y = be.allocate({2, 2, 3});
  const const_view_of<B> a = x.view(), b = y.view();
  suite.refuses("gemm", "inner extents differ", [&] { be.gemm(1, a, a, 0, x.view()); });
  suite.refuses("gemm", "c of other extents", [&] { be.gemm(1, a, a.transposed(), 0, x.view()); });
  suite.refuses("gemm", "operands of rank 3", [&] { be.gemm(1, b, b.transposed(), 0, y.view()); });
  suite.refuses("batched_gemm", "batches differ", [&] {
    be.batched_gemm(1, b, b.transposed().slice(0, 0, 1), 0, y.view().slice(2, 0, 2));
  });
  suite.refuses("batched_gemm", "operands of rank 2",
                [&] { be.batched_gemm(1, a, a.transposed(), 0, x.view().slice(1, 0, 2)); });
}

}  // namespace solens::testing
