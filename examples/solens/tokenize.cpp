#include <string>

#include <solens/core/host_tensor.hpp>
#include <solens/text/load_tokenizer.hpp>

#include "commands.hpp"
#include "console.hpp"
#include "model_files.hpp"
#include "text_lines.hpp"

namespace solens::program {
namespace {

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

}  // namespace

void run_tokenize(const tokenize_call& call) {
  text_lines lines(call.texts);
  if (!call.vocab.empty()) {
    print_ids(load_tokenizer(call.vocab), clip_context_length, lines);
  } else {
    const clip_source model = open_model(call.model);
    print_ids(open_tokenizer({}, model), text_of(model).context_length, lines);
  }
}

}  // namespace solens::program
