#include "described_run.hpp"

#include <algorithm>
#include <utility>

#include <solens/text/word_list.hpp>

namespace solens::program {
namespace {

std::string listed(const std::vector<index_t>& numbers) {
  std::string text;
  for (const index_t n : numbers) text += (text.empty() ? "" : ", ") + std::to_string(n);
  return text;
}

}  // namespace

described_run open_described_run(const std::string& task, const std::string& run,
                                 const std::vector<index_t>& layers) {
  described_run result{run_folder::open(run), {}, {}, {}};
  result.record = result.folder.record();
  if (!result.record.contains("words")) {
    throw argument_error(task, "a run with words, which solens describe gives it", "none", run);
  }
  result.words = read_word_list(result.folder.path() / "words.txt").words;
  const std::vector<index_t> there = layers_of(result.record);
  for (const index_t layer : layers.empty() ? there : layers) {
    if (std::find(there.begin(), there.end(), layer) == there.end()) {
      throw argument_error(task, "layers of the run, which has " + listed(there),
                           std::to_string(layer), "--layers");
    }
    result.layers.push_back(
        {layer, safetensors_file(result.folder.path() / run_folder::layer_file(layer))});
  }
  return result;
}

}  // namespace solens::program
