#include <string>

#include <solens/core/host_tensor.hpp>
#include <solens/text/load_tokenizer.hpp>

#include "commands.hpp"
#include "console.hpp"
#include "model_files.hpp"
#include "text_lines.hpp"

namespace solens::program {
namespace {

/// Exactly one of `model` and `vocab` is set.
struct tokenize_call {
  common_options common;
  model_options model;
  std::string vocab;
  std::string texts;
};

void declare(option_group command, tokenize_call& o) {
  const option_group tokenizer = command.one_of("Tokenizer, one of");
  add_model(command, tokenizer, o.model);
  add_vocab(tokenizer, o.vocab);
  add_texts(command, o.texts).required();
  add_common(command, o.common);
}

constexpr index_t clip_context_length = 77;

void print_ids(const bpe_tokenizer& tokenizer, index_t context_length, text_lines& lines) {
  host_tensor<index_t> ids(shape{1, context_length});
  for (std::string line; lines.next(line);) {
    throw_if_stopped();
    tokenizer.tokenize({&line, 1}, ids);
    std::string row;
    for (index_t id : ids) row += (row.empty() ? "[" : ", ") + std::to_string(id);
    print(row + "]\n");
  }
}

void run_tokenize(const tokenize_call& call) {
  text_lines lines(call.texts);
  if (!call.vocab.empty()) {
    print_ids(load_tokenizer(call.vocab), clip_context_length, lines);
  } else {
    const clip_source model = open_model(call.model);
    print_ids(open_tokenizer({}, model), text_of(model).context_length, lines);
  }
}

}  // namespace

void add_tokenize(command_line& line) {
  line.add("tokenize", "(--model M | --vocab FILE) --texts FILE",
           "Token ids of texts, a JSON array a line", declare, run_tokenize);
}

}  // namespace solens::program
