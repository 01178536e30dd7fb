#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <solens/core/host_tensor.hpp>
#include <solens/core/progress.hpp>
#include <solens/model/text_tower.hpp>
#include <solens/model/vision_tower.hpp>

#include "array_output.hpp"
#include "backends.hpp"
#include "commands.hpp"
#include "console.hpp"
#include "image_input.hpp"
#include "model_files.hpp"
#include "text_lines.hpp"

namespace solens::program {
namespace {

struct encode_call {
  common_options common;
  model_options model;
  image_options input;
  std::string texts;
  std::string vocab;  ///< empty: the model's own
  bool normalize = false;
  std::string out;
};

void declare(option_group command, encode_call& o) {
  add_model(command, o.model);
  const option_group input = command.one_of("Input, one of");
  add_images(command, input, o.input);
  add_pixels(input, o.input);
  const option texts = add_texts(input, o.texts);
  add_vocab(command, o.vocab).needs(texts);
  command.flag("--normalize", o.normalize, "Scale every row to norm 1");
  add_array_output(command, o.out, "[rows, E]");
  add_common(command, o.common);
}

/// Texts that the tower is given at once for each one of `--batch`: it shares what they begin with,
/// so that of many each is cheaper.
constexpr index_t texts_per_batch = 128, most_texts = index_t{1} << 16;

/// Scales every row to norm 1; a row of zeros stays one.
void normalize_rows(host_view<float> rows) {
  for (index_t i = 0; i < rows.extent(0); ++i) {
    const row_span<float> row = row_of(rows, i);
    double sum = 0;
    for (index_t j = 0; j < row.size; ++j) sum += double{row[j]} * double{row[j]};
    const double scale = sum == 0 ? 1 : 1 / std::sqrt(sum);
    for (index_t j = 0; j < row.size; ++j) row[j] = static_cast<float>(double{row[j]} * scale);
  }
}

/// Representations on their way from a backend to the file.
template <tensor_backend B>
class representations {
 public:
  representations(const B& be, array_output& out, index_t at_once, index_t d_joint, bool normalize)
      : be_(be),
        out_(out),
        device_(be.allocate({at_once, d_joint})),
        host_(shape{at_once, d_joint}),
        normalize_(normalize) {}

  /// Where the next `n` rows are to be computed.
  view_of<B> rows(index_t n) { return device_.view().slice(0, 0, n); }

  /// Writes the first `n` of them.
  void write(index_t n) {
    const host_view<float> values = host_.view().slice(0, 0, n);
    be_.download(rows(n), values);
    if (normalize_) normalize_rows(values);
    out_.append(0, values);
  }

 private:
  const B& be_;
  array_output& out_;
  typename B::tensor device_;
  host_tensor<float> host_;
  bool normalize_;
};

void encode_images(const encode_call& call, const clip_source& model, array_output& out) {
  const int threads = threads_of(call.common);
  const auto input =
      open_images(call.input, preprocess_of(model), call.common.batch, std::max(1, threads / 2));
  const index_t at_once = std::min(call.common.batch, input->size());
  with_backend(call.common, [&]<tensor_backend B>(const B& be) {
    const vision_tower<B> tower = load_vision_tower(be, model);
    const vision_config& c = tower.config();
    auto work = tower.make_workspace(be, at_once);
    auto pixels = be.allocate({at_once, 3, c.image_size, c.image_size});
    representations<B> rows(be, out, at_once, tower.d_joint(), call.normalize);
    for_each_batch(*input, "encode", call.common.quiet, [&](const image_input::batch& batch) {
      const index_t n = batch.pixels.extent(0);
      be.upload(batch.pixels, pixels.view().slice(0, 0, n));
      tower.forward(be, pixels.view().slice(0, 0, n), work, rows.rows(n));
      rows.write(n);
    });
  });
}

void encode_texts(const encode_call& call, const clip_source& model, array_output& out) {
  const text_config& c = text_of(model);
  const bpe_tokenizer tokenizer = open_tokenizer(call.vocab, model);
  text_lines lines(call.texts);
  const index_t at_once = std::min(call.common.batch * texts_per_batch, most_texts);
  with_backend(call.common, [&]<tensor_backend B>(const B& be) {
    const text_tower<B> tower = load_text_tower(be, model);
    auto work = tower.make_workspace(be);
    representations<B> rows(be, out, at_once, tower.d_joint(), call.normalize);
    progress bar("encode", "texts", 0, {.style = progress_style_of_stderr(call.common.quiet)});
    std::vector<std::string> texts;
    do {
      texts.clear();
      for (std::string line; std::ssize(texts) < at_once && lines.next(line);)
        texts.push_back(line);
      const auto n = static_cast<index_t>(texts.size());
      if (n == 0) break;
      host_tensor<index_t> tokens(shape{n, c.context_length});
      tokenizer.tokenize(texts, tokens);
      tower.forward(be, tokens, work, rows.rows(n));
      rows.write(n);
      bar.add(n);
      throw_if_stopped();
    } while (std::ssize(texts) == at_once);
    bar.finish();
  });
}

void run_encode(const encode_call& call) {
  const clip_source model = open_model(call.model);
  array_output out(call.out, {"representation", {model.config.d_joint}});
  if (call.texts.empty()) {
    encode_images(call, model, out);
  } else {
    encode_texts(call, model, out);
  }
  out.finish();
}

}  // namespace

void add_encode(command_line& line) {
  line.add("encode", "--model M (--images PATH | --pixels F | --texts FILE) --out FILE [options]",
           "Representations of images or texts", declare, run_encode);
}

}  // namespace solens::program
