#include <benchmark/benchmark.h>

#include <filesystem>
#include <set>
#include <string>
#include <utility>  // std::as_const
#include <vector>

#include <solens/backend/eigen.hpp>
#include <solens/model/text_tower.hpp>
#include <solens/text/load_tokenizer.hpp>
#include <solens/text/templates.hpp>
#include <solens/text/word_list.hpp>

#include "random_towers.hpp"

namespace {

using namespace solens;
using backend = eigen_backend<float>;

/// The shared data, beside the repository: other people's, and so not in it.
std::filesystem::path shared(const char* name) {
  return std::filesystem::path(SOLENS_TEST_DATA) / "../../../shared/data" / name;
}

/// A dictionary's words as they are.
std::vector<std::string> words() { return read_word_list(shared("words-30k.txt")).words; }

/// The prompts of a zero-shot classifier: one word in 300 as a class, in every template.
std::vector<std::string> prompts() {
  std::vector<std::string> classes;
  const std::vector<std::string> all = words();
  for (std::size_t i = 0; i < all.size(); i += 300) classes.push_back(all[i]);
  return fill_templates(read_templates(shared("templates-80.txt")), classes);
}

using text_list = std::vector<std::string> (*)();

/// A list's tokens, [n_texts, context_length]; empty where the shared data is not here.
host_tensor<index_t> tokens(const text_config& c, text_list list) {
  const auto table = shared("bpe_simple_vocab_16e6.txt.gz");
  if (!std::filesystem::exists(table)) return {};
  const std::vector<std::string> texts = list();
  host_tensor<index_t> result({static_cast<index_t>(texts.size()), c.context_length});
  load_tokenizer(table).tokenize(texts, result);
  return result;
}

/// Items are texts.
void forward(benchmark::State& state, const bench::clip_size& size, text_list list) {
  const backend be;
  const text_tower<backend> tower = bench::random_text_tower(be, size);
  auto work = tower.make_workspace(be);
  const host_tensor<index_t> texts = tokens(size.text, list);
  if (texts.empty()) return state.SkipWithError("the words or the BPE table are not here");
  auto out = be.allocate({texts.extent(0), size.d_joint});
  for (auto _ : state) {
    tower.forward(be, texts, work, out.view());
    be.synchronize();
  }
  state.SetItemsProcessed(state.iterations() * texts.extent(0));
}

/// The bound: nothing but the products with weights, of one row for every distinct prefix, in the
/// batches of the tower.
void products(benchmark::State& state, const bench::clip_size& size, text_list list) {
  const backend be;
  const text_tower<backend> tower = bench::random_text_tower(be, size);
  const host_tensor<index_t> texts = tokens(size.text, list);
  if (texts.empty()) return state.SkipWithError("the words or the BPE table are not here");
  std::set<std::vector<index_t>> prefixes;
  for (index_t i = 0; i < texts.extent(0); ++i) {
    const index_t* begin = texts.data() + i * texts.extent(1);
    for (index_t t = 1; t <= tower.length(texts.view()[i]); ++t) prefixes.emplace(begin, begin + t);
  }
  const auto n_rows = static_cast<index_t>(prefixes.size());
  constexpr index_t most = text_tower<backend>::default_rows;
  auto stream = bench::random_weights(be, {most * size.text.d_model}, 1);
  auto wide = bench::random_weights(be, {most * size.text.d_mlp}, 1);
  for (auto _ : state) {
    for (index_t done = 0; done < n_rows; done += most) {
      const index_t rows = std::min(most, n_rows - done);
      bench::products_alone(be, size.text, tower.weights().blocks, rows,
                            rows * texts.extent(0) / n_rows, stream.view(), wide.view());
      be.fill(1, stream.view());  // or the numbers would grow without end
    }
    be.synchronize();
  }
  state.SetItemsProcessed(state.iterations() * texts.extent(0));
  state.counters["rows"] = static_cast<double>(n_rows);
}

[[maybe_unused]] const bool registered = [] {
  for (const bench::clip_size* size : {&bench::vit_b_32, &bench::vit_l_14}) {
    const auto add = [&](const std::string& what, auto f, text_list list) {
      benchmark::RegisterBenchmark((std::string("text_tower/") + size->name + "/" + what).c_str(),
                                   [=](benchmark::State& state) { f(state, *size, list); })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    };
    add("words/products_alone", products, words);
    add("words", forward, words);
    add("prompts/products_alone", products, prompts);
    add("prompts", forward, prompts);
  }
  return true;
}();

}  // namespace
