#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <utility>  // std::as_const
#include <vector>

#include <solens/backend/eigen.hpp>
#include <solens/model/text_tower.hpp>

#include "random_towers.hpp"

namespace {

using namespace solens;
using backend = eigen_backend<float>;

constexpr index_t n_words = 2048;

/// As many tokens as English words have in CLIP's vocabulary: start and end, and 1 to 4 between,
/// 3.3 in the mean.
index_t length_of_word(index_t i) { return i % 20 < 15 ? 3 : i % 20 < 19 ? 4 : 5; }

host_tensor<index_t> words(const text_config& c) {
  host_tensor<index_t> tokens({n_words, c.context_length}, 0);
  for (index_t i = 0; i < n_words; ++i) {
    const index_t length = length_of_word(i * 7919 % n_words);
    tokens(i, 0) = c.vocab_size - 2;
    for (index_t t = 1; t + 1 < length; ++t) tokens(i, t) = 1000 + i * 17 % 40000 + t;
    tokens(i, length - 1) = c.vocab_size - 1;
  }
  return tokens;
}

/// Words as a dictionary holds them; items are words.
void forward(benchmark::State& state, const bench::clip_size& size) {
  const backend be;
  const text_tower<backend> tower = bench::random_text_tower(be, size);
  auto work = tower.make_workspace(be);
  const host_tensor<index_t> tokens = words(size.text);
  auto out = be.allocate({n_words, size.d_joint});
  for (auto _ : state) {
    tower.forward(be, tokens, work, out.view());
    be.synchronize();
  }
  state.SetItemsProcessed(state.iterations() * n_words);
}

/// The bound: nothing but the products with weights, in the batches of the tower.
void products(benchmark::State& state, const bench::clip_size& size) {
  const backend be;
  const text_tower<backend> tower = bench::random_text_tower(be, size);
  constexpr index_t rows = text_tower<backend>::default_rows;
  auto stream = bench::random_weights(be, {rows * size.text.d_model}, 1);
  auto wide = bench::random_weights(be, {rows * size.text.d_mlp}, 1);
  std::map<index_t, index_t> count;
  for (index_t i = 0; i < n_words; ++i) ++count[length_of_word(i)];
  for (auto _ : state) {
    for (const auto& [length, of_length] : count) {
      for (index_t done = 0; done < of_length;) {
        const index_t n = std::min(rows / length, of_length - done);
        bench::products_alone(be, size.text, tower.weights().blocks, n * length, n, stream.view(),
                              wide.view());
        done += n;
      }
      be.fill(1, stream.view());  // or the numbers would grow without end
    }
    be.synchronize();
  }
  state.SetItemsProcessed(state.iterations() * n_words);
}

[[maybe_unused]] const bool registered = [] {
  for (const bench::clip_size* size : {&bench::vit_b_32, &bench::vit_l_14}) {
    const auto add = [&](const std::string& what, auto f) {
      benchmark::RegisterBenchmark((std::string("text_tower/") + size->name + "/" + what).c_str(),
                                   f)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    };
    add("products_alone", [size](benchmark::State& s) { products(s, *size); });
    add("words", [size](benchmark::State& s) { forward(s, *size); });
  }
  return true;
}();

}  // namespace
