#pragma once

#include <cmath>
#include <string>
#include <utility>  // std::as_const
#include <vector>

#include <solens/findings/zero_shot.hpp>
#include <solens/text/bpe_table.hpp>

#include "model/fixture.hpp"
#include "text/tiny_tokenizer.hpp"

namespace solens::test {

inline std::vector<double> normalized(std::vector<double> x) {
  double sum = 0;
  for (double value : x) sum += value * value;
  for (double& value : x) value /= std::sqrt(sum);
  return x;
}

/// tiny-a's text tower with a tokenizer of a few words.
template <tensor_backend B>
struct tiny_text {
  using scalar = typename B::scalar;

  explicit tiny_text(const B& backend)
      : be(backend), tower(make_tower(backend)), tokenizer(make_tokenizer()) {}

  static text_tower<B> make_tower(const B& be) {
    clip_model<B> model = fixture_model(be, "tiny-a");
    return {*model.config.text, std::move(*model.weights.text)};
  }
  static bpe_tokenizer make_tokenizer() {
    const temporary_folder folder;
    write_file(folder / "table.txt", tiny_table);
    return bpe_tokenizer(read_bpe_table(folder / "table.txt"));
  }

  /// The features of one text alone, scaled to norm 1, in double.
  std::vector<double> unit(const std::string& text) const {
    host_tensor<index_t> tokens({1, tower.config().context_length});
    tokenizer.tokenize({&text, 1}, tokens);
    auto work = tower.make_workspace(be);
    auto features = be.allocate({1, tower.d_joint()});
    tower.forward(be, std::as_const(tokens).view(), work, features.view());
    const auto host = on_host(be, features.view());
    return normalized({host.begin(), host.end()});
  }

  host_tensor<scalar> classifier(const std::vector<std::string>& classes,
                                 const std::vector<prompt_template>& templates) const {
    return on_host(be, zero_shot_classifier(be, tower, tokenizer, classes, templates).view());
  }

  B be;
  text_tower<B> tower;
  bpe_tokenizer tokenizer;
};

inline const std::vector<std::string> tiny_names{"cat", "dog", "a cat's dog", "dodo"};

inline std::vector<prompt_template> templates(std::initializer_list<const char*> texts) {
  std::vector<prompt_template> result;
  for (const char* text : texts) result.emplace_back(text);
  return result;
}

}  // namespace solens::test
