#include <benchmark/benchmark.h>

#include <string>
#include <utility>  // std::as_const

#include <solens/backend/ops.hpp>
#include <solens/backend/reference.hpp>
#include <solens/backend/small_products.hpp>
#include <solens/testing/operands.hpp>

#include "support/backends.hpp"

// One list of cases for every backend: what a forward pass and the lens ask for, operation by
// operation; stages_bench.cpp has the stages. Where OpenBLAS is there, the same products by it
// alone, on its own threads, are what they are measured against.

namespace solens {
namespace {

template <class B>
typename B::tensor random(const B& be, const shape& extents, unsigned seed = 1) {
  using T = typename B::scalar;
  host_tensor<T> host(extents);
  auto normal = testing::normal_values(seed);
  for (T& x : host) x = static_cast<T>(normal(0) / 8);
  auto result = be.allocate(extents);
  be.upload(std::as_const(host).view(), result.view());
  return result;
}

void rates(benchmark::State& state, double flops, double bytes) {
  using benchmark::Counter;
  const auto kind = Counter::kIsIterationInvariantRate;
  if (flops > 0) state.counters["FLOP/s"] = Counter(flops, kind);
  if (bytes > 0) state.counters["B/s"] = Counter(bytes, kind);
}

/// x [m, k] times the transpose of a weight [n, k].
template <class B>
void gemm(benchmark::State& state, const B& be, index_t m, index_t k, index_t n) {
  const auto x = random(be, {m, k}), weight = random(be, {n, k}, 2);
  auto y = be.allocate({m, n});
  for (auto _ : state) {
    be.gemm(1, x.view(), weight.view().transposed(), 0, y.view());
    be.synchronize();
  }
  rates(state, 2.0 * static_cast<double>(m * k * n), 0);
}

#if defined(SOLENS_HAS_BLAS)
void bare_gemm(benchmark::State& state, index_t m, index_t k, index_t n) {
  const reference_backend<float> be;
  const auto x = random(be, {m, k}), weight = random(be, {n, k}, 2);
  auto y = be.allocate({m, n});
  for (auto _ : state) {
    eigen_library::multiply(1.0F, x.view(), weight.view().transposed(), 0.0F, y.view());
  }
  rates(state, 2.0 * static_cast<double>(m * k * n), 0);
}
#endif

/// Attention routes [heads, tokens] times neurons [tokens, neurons] of each image.
template <class B>
void batched_gemm(benchmark::State& state, const B& be, index_t batch, index_t m, index_t k,
                  index_t n) {
  const auto x = random(be, {batch, m, k}), y = random(be, {batch, k, n}, 2);
  auto z = be.allocate({batch, m, n});
  for (auto _ : state) {
    be.batched_gemm(1, x.view(), y.view(), 0, z.view());
    be.synchronize();
  }
  rates(state, 2.0 * static_cast<double>(batch * m * k * n), 0);
}

/// The small products of an analysis, each for 32 writers of n later heads: coefficients of 32
/// images from 50 tokens, the rows of 120 images by a triangle, their Gram matrix.
enum class small_product { coefficients, multiply_lower, gram };

constexpr index_t n_small = 32, small_rows = 120, small_tokens = 50;

template <class B, class F>
void small_products(benchmark::State& state, const B& be, small_product what, index_t n,
                    const F& run) {
  const auto p = random(be, {n_small, small_tokens, n_small});
  const auto u = random(be, {n_small, small_tokens, n}, 2), l = random(be, {n_small, n, n}, 3);
  const auto x = random(be, {n_small, small_rows, n}, 4);
  auto s = be.allocate({n_small, n_small, n}), y = be.allocate({n_small, small_rows, n});
  auto g = be.allocate({n_small, n, n});
  for (auto _ : state) {
    switch (what) {
      case small_product::coefficients:
        run(p.view().permuted({0, 2, 1}), u.view(), s.view());
        break;
      case small_product::multiply_lower: run(x.view(), l.view(), y.view()); break;
      case small_product::gram: run(x.view().permuted({0, 2, 1}), {}, g.view()); break;
    }
    be.synchronize();
  }
  const index_t flops = what == small_product::coefficients ? 2 * n_small * small_tokens * n
                                                            : small_rows * n * (n + 1);
  rates(state, static_cast<double>(n_small * flops), 0);
}

#if defined(SOLENS_HAS_BLAS)
/// By the BLAS or by small_products.hpp, whichever the backend uses: a matrix a thread.
void small_products_by(benchmark::State& state, bool blas, small_product what, index_t n) {
  const eigen_backend<float> be;
  using view = host_view<const float>;
  small_products(state, be, what, n, [&](view a, view b, host_view<float> c) {
    if (what == small_product::multiply_lower) be.copy(a, c);
    thread_team().split(c.extent(0), 1, [&](index_t from, index_t to) {
      for (index_t i = from; i < to; ++i) {
        if (what == small_product::coefficients) {
          blas ? eigen_library::multiply(1.0F, a[i], b[i], 0.0F, c[i])
               : small_products::multiply(1.0F, a[i], b[i], 0.0F, c[i]);
        } else if (what == small_product::multiply_lower) {
          blas ? eigen_library::multiply_lower(b[i], c[i])
               : small_products::multiply_lower(b[i], c[i]);
        } else {
          blas ? eigen_library::gram(a[i], 0.0F, c[i])
               : small_products::gram(a[i].transposed(), 0.0F, c[i]);
        }
      }
    });
  });
}
#endif

template <class B>
void attention(benchmark::State& state, const B& be, index_t images, index_t heads, index_t queries,
               index_t tokens) {
  constexpr index_t d_head = 64;
  const auto qkv = random(be, {images, tokens, 3 * heads * d_head});
  const auto parts = qkv.view().split(2, d_head).split(2, heads);  // [images, tokens, 3, heads, d]
  const auto part = [&](index_t i) { return parts.select(2, i).permuted({0, 2, 1, 3}); };
  auto out = be.allocate({images, queries, heads * d_head});
  auto first = be.allocate({images, heads, tokens});
  auto scores = be.allocate({images, heads, queries, tokens});
  const bool fused = contains(B::fused, fused_op::attention);
  for (auto _ : state) {
    ops::attention<B>(be, typename B::scalar(0.125), part(0).slice(2, 0, queries), part(1), part(2),
                      false, out.view().split(2, d_head).permuted({0, 2, 1, 3}), first.view(),
                      fused ? view_of<B>() : scores.view(), {});
    be.synchronize();
  }
  rates(state, 4.0 * static_cast<double>(images * heads * queries * tokens * d_head), 0);
}

template <class B>
void bias_activation(benchmark::State& state, const B& be, activation kind, index_t m, index_t n) {
  auto x = random(be, {m, n});
  const auto bias = random(be, {n}, 2);
  for (auto _ : state) {
    ops::bias_activation<B>(be, kind, bias.view(), x.view());
    be.synchronize();
  }
  rates(state, 0, 2.0 * static_cast<double>(m * n) * sizeof(typename B::scalar));
}

template <class B>
void bias_layer_norm(benchmark::State& state, const B& be, index_t m, index_t n) {
  using T = typename B::scalar;
  auto x = random(be, {m, n}), y = be.allocate({m, n});
  const auto bias = random(be, {n}, 2), weight = random(be, {n}, 3);
  auto mean = be.allocate({m}), scale = be.allocate({m});
  for (auto _ : state) {
    ops::bias_layer_norm<B>(be, bias.view(), x.view(), weight.view(), bias.view(), T(1e-5),
                            y.view(), mean.view(), scale.view());
    be.synchronize();
  }
  rates(state, 0, 3.0 * static_cast<double>(m * n) * sizeof(T));
}

template <class B>
void softmax(benchmark::State& state, const B& be, index_t m, index_t n) {
  const auto x = random(be, {m, n});
  auto y = be.allocate({m, n});
  for (auto _ : state) {
    be.softmax(1, x.view(), y.view());
    be.synchronize();
  }
  rates(state, 0, 2.0 * static_cast<double>(m * n) * sizeof(typename B::scalar));
}

/// y = 2 x + y / 2, and the others that pass over three tensors or two.
enum class pass { copy, axpby, multiply, add_bias, row_norms, gather };

template <class B>
void elementwise(benchmark::State& state, const B& be, pass what, index_t m, index_t n) {
  const auto x = random(be, {m, n}), row = random(be, {n}, 2);
  auto y = random(be, {m, n}, 3), norms = be.allocate({m});
  host_tensor<index_t> order({m});
  for (index_t i = 0; i < m; ++i) order(i) = m - 1 - i;
  auto rows = be.allocate_indices({m});
  be.upload(std::as_const(order).view(), rows.view());
  for (auto _ : state) {
    switch (what) {
      case pass::copy: be.copy(x.view(), y.view()); break;
      case pass::axpby: be.axpby(2, x.view(), typename B::scalar(0.5), y.view()); break;
      case pass::multiply: be.multiply(x.view(), x.view(), y.view()); break;
      case pass::add_bias: be.add_bias(row.view(), y.view()); break;
      case pass::row_norms: be.row_norms(x.view(), norms.view()); break;
      case pass::gather: be.gather(x.view(), std::as_const(rows).view(), y.view()); break;
    }
    be.synchronize();
  }
  rates(
      state, 0,
      (what == pass::axpby ? 3.0 : 2.0) * static_cast<double>(m * n) * sizeof(typename B::scalar));
}

template <class B>
void choose(benchmark::State& state, const B& be, index_t rows, index_t n, index_t k) {
  const auto x = random(be, {rows, n});
  auto values = be.allocate({rows, k});
  auto indices = be.allocate_indices({rows, k});
  for (auto _ : state) {
    if (k == 1) {
      be.argmax_abs(x.view(), values.view().select(1, 0), indices.view().select(1, 0));
    } else {
      be.top_k(x.view(), values.view(), indices.view());
    }
    be.synchronize();
  }
  rates(state, 0, static_cast<double>(rows * n) * sizeof(typename B::scalar));
}

enum class solver { eigenpair, all_eigenpairs, cholesky, cholesky_solve };

/// Gram matrices of n random rows each: the leading pair of each or all pairs, the factor, the
/// solution for 8 columns.
template <class B>
void solve(benchmark::State& state, const B& be, solver what, index_t batch, index_t n) {
  const auto x = random(be, {batch, n, n + 20});
  auto a = be.allocate({batch, n, n}), l = be.allocate({batch, n, n});
  const index_t pairs = what == solver::all_eigenpairs ? n : 1;
  auto value = be.allocate({batch, pairs}), vector = be.allocate({batch, pairs, n});
  const auto right = random(be, {batch, n, 8}, 2);
  auto solution = be.allocate({batch, n, 8});
  be.batched_gemm(1, x.view(), x.view().transposed(), 0, a.view());
  for (auto _ : state) {
    switch (what) {
      case solver::eigenpair:
      case solver::all_eigenpairs:
        be.symmetric_eigen(std::as_const(a).view(), value.view(), vector.view());
        break;
      case solver::cholesky: be.cholesky(std::as_const(a).view(), l.view()); break;
      case solver::cholesky_solve:
        be.copy(right.view(), solution.view());
        be.cholesky_solve(std::as_const(a).view(), solution.view());
        break;
    }
    be.synchronize();
  }
  state.SetItemsProcessed(state.iterations() * batch);
}

template <class B, class F, class... A>
void add(const std::string& name, const std::string& backend, const B& be, F run, A... arguments) {
  benchmark::RegisterBenchmark((name + "/" + backend).c_str(),
                               [=](benchmark::State& state) { run(state, be, arguments...); })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

constexpr index_t products[][3] = {{1600, 768, 2304},  {1600, 768, 768},   {1600, 768, 3072},
                                   {1600, 3072, 768},  {2056, 1024, 3072}, {2056, 1024, 1024},
                                   {2056, 1024, 4096}, {2056, 4096, 1024}, {32, 768, 3072},
                                   {32, 3072, 768}};

constexpr std::pair<const char*, small_product> small_ones[] = {
    {"small_product coefficients", small_product::coefficients},
    {"small_product multiply_lower", small_product::multiply_lower},
    {"small_product gram", small_product::gram}};
constexpr index_t later_heads[] = {12, 24, 48, 96, 132};

std::string named(const char* name, const shape& extents) { return name + to_string(extents); }

/// @param full  the shapes of ViT-B/32 with 32 images and of ViT-L/14 with 8; else only a taste
template <class B>
void add_all(const std::string& backend, const B& be, bool full) {
  if (full) {
    for (const auto& [m, k, n] : products)
      add(named("gemm", {m, k, n}), backend, be, gemm<B>, m, k, n);
    add("attention[32, 12, 50, 50]", backend, be, attention<B>, 32, 12, 50, 50);
    add("attention[32, 12, 1, 50]", backend, be, attention<B>, 32, 12, 1, 50);
    add("attention[8, 16, 257, 257]", backend, be, attention<B>, 8, 16, 257, 257);
    add("batched_gemm[32, 24, 50, 3072]", backend, be, batched_gemm<B>, 32, 24, 50, 3072);
    add("gelu[1600, 3072]", backend, be, bias_activation<B>, activation::gelu, 1600, 3072);
    add("quick_gelu[1600, 3072]", backend, be, bias_activation<B>, activation::quick_gelu, 1600,
        3072);
    add("layer_norm[1600, 768]", backend, be, bias_layer_norm<B>, 1600, 768);
    for (const auto& [name, what] :
         {std::pair{"copy[1600, 3072]", pass::copy}, std::pair{"axpby[1600, 3072]", pass::axpby},
          std::pair{"multiply[1600, 3072]", pass::multiply},
          std::pair{"add_bias[1600, 3072]", pass::add_bias},
          std::pair{"row_norms[1600, 3072]", pass::row_norms},
          std::pair{"gather[1600, 3072]", pass::gather}}) {
      add(name, backend, be, elementwise<B>, what, 1600, 3072);
    }
    add("softmax[19200, 50]", backend, be, softmax<B>, 19200, 50);
    add("argmax_abs[256, 30000]", backend, be, choose<B>, 256, 30000, 1);
    add("top_k[256, 30000, 100]", backend, be, choose<B>, 256, 30000, 100);
    add("symmetric_eigen[256, 100, 100]", backend, be, solve<B>, solver::eigenpair, 256, 100);
    add("all symmetric_eigen[256, 100, 100]", backend, be, solve<B>, solver::all_eigenpairs, 256,
        100);
    add("cholesky_solve[256, 100, 100]", backend, be, solve<B>, solver::cholesky_solve, 256, 100);
    add("cholesky[256, 100, 100]", backend, be, solve<B>, solver::cholesky, 256, 100);
  }
  add("gemm[64, 64, 64]", backend, be, gemm<B>, 64, 64, 64);
  add("attention[1, 2, 50, 50]", backend, be, attention<B>, 1, 2, 50, 50);
  add("batched_gemm[2, 24, 50, 64]", backend, be, batched_gemm<B>, 2, 24, 50, 64);
  add("gelu[50, 256]", backend, be, bias_activation<B>, activation::gelu, 50, 256);
  add("layer_norm[50, 256]", backend, be, bias_layer_norm<B>, 50, 256);
  add("top_k[16, 1000, 10]", backend, be, choose<B>, 16, 1000, 10);
  add("symmetric_eigen[2, 20, 20]", backend, be, solve<B>, solver::eigenpair, 2, 20);
}

const bool added = [] {
  bench::for_each_backend([](const std::string& name, const auto& be) { add_all(name, be, true); });
  add_all("eigen<double>", eigen_backend<double>(), false);
  add_all("reference<float>", reference_backend<float>(), false);
#if defined(SOLENS_HAS_BLAS)
  for (const auto& [m, k, n] : products) {
    benchmark::RegisterBenchmark(
        (named("gemm", {m, k, n}) + "/bare BLAS").c_str(),
        [m = m, k = k, n = n](benchmark::State& state) { bare_gemm(state, m, k, n); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
  for (const auto& [name, what] : small_ones) {
    for (index_t n : later_heads) {
      for (bool blas : {true, false}) {
        benchmark::RegisterBenchmark(
            (named(name, {n}) + (blas ? "/bare BLAS" : "/small_products.hpp")).c_str(),
            [blas, what = what, n](benchmark::State& state) {
              small_products_by(state, blas, what, n);
            })
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
#endif
  return true;
}();

}  // namespace
}  // namespace solens
