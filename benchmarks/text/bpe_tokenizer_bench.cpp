#include <benchmark/benchmark.h>

#include <filesystem>
#include <string>
#include <vector>

#include <solens/text/load_tokenizer.hpp>
#include <solens/text/word_list.hpp>

namespace {

/// The shared data, beside the repository.
std::filesystem::path shared(const char* name) {
  return std::filesystem::path(SOLENS_TEST_DATA) / "../../../shared/data" / name;
}

void load(benchmark::State& state) {
  const auto table = shared("bpe_simple_vocab_16e6.txt.gz");
  if (!std::filesystem::exists(table)) return state.SkipWithError("the BPE table is not here");
  for (auto _ : state) benchmark::DoNotOptimize(solens::load_tokenizer(table));
}
BENCHMARK(load)->Unit(benchmark::kMillisecond);

/// 30,000 words, as they are or in a sentence.
void encode(benchmark::State& state, const std::string& before) {
  const auto table = shared("bpe_simple_vocab_16e6.txt.gz"), words = shared("words-30k.txt");
  if (!std::filesystem::exists(table) || !std::filesystem::exists(words)) {
    return state.SkipWithError("the BPE table or the words are not here");
  }
  const auto tokenizer = solens::load_tokenizer(table);
  std::vector<std::string> texts = solens::read_word_list(words).words;
  for (std::string& text : texts) text = before + text;
  for (auto _ : state) {
    for (const std::string& text : texts) benchmark::DoNotOptimize(tokenizer.encode(text));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(texts.size()));
}
BENCHMARK_CAPTURE(encode, words, "")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, sentences, "a photo of the large ")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, accents, "une photographie d'un caf\u00E9 \u2018&eacute;t\u00E9\u2019 ")
    ->Unit(benchmark::kMillisecond);

}  // namespace
