#include "model_files.hpp"

#include <algorithm>  // std::any_of
#include <vector>

#include <solens/core/error.hpp>
#include <solens/image/preprocess_json.hpp>
#include <solens/text/load_tokenizer.hpp>

#include "hashing.hpp"

namespace solens::program {
namespace fs = std::filesystem;

clip_source open_model(const model_options& o) {
  clip_source model = open_clip_model(o.model, o.config);
  const std::vector<tensor_info>& tensors = model.weights.tensors();
  const text_names names = names_in(tensors, model.weights.name()).text;
  const bool has_text = std::any_of(tensors.begin(), tensors.end(), [&](const tensor_info& t) {
    return t.name == names.token_embedding || t.name.starts_with(names.blocks);
  });
  if (!has_text) model.config.text.reset();
  return model;
}

const vision_config& vision_of(const clip_source& model) {
  if (model.config.vision.n_layers > 0) return model.config.vision;
  throw argument_error("open model", "a vision tower", "none", model.weights.name());
}

const text_config& text_of(const clip_source& model) {
  if (model.config.text) return *model.config.text;
  throw argument_error("open model", "a text tower", "none", model.weights.name());
}

fs::path preprocess_file_of(const clip_source& model) {
  for (const char* name :
       {"preprocessor_config.json", "processor_config.json", "open_clip_config.json"}) {
    if (fs::exists(model.folder / name)) return model.folder / name;
  }
  return {};
}

preprocess_options preprocess_of(const clip_source& model) {
  const index_t side = vision_of(model).image_size;
  preprocess_options options;
  options.size = options.crop = {side, side};
  const fs::path file = preprocess_file_of(model);
  if (file.empty()) return options;
  options = read_preprocess_options(file);
  const image_extent extent = output_extent(options);
  if (extent != image_extent{side, side}) {
    throw format_error("preprocessing",
                       "images of " + std::to_string(side) + " pixels a side, as the model takes",
                       to_string(shape{extent.height, extent.width}), file.string());
  }
  return options;
}

fs::path tokenizer_of(const clip_source& model) {
  for (const char* name : {"tokenizer.json", "vocab.json", "bpe_simple_vocab_16e6.txt.gz"}) {
    if (fs::exists(model.folder / name)) return model.folder / name;
  }
  return {};
}

bpe_tokenizer open_tokenizer(const std::string& vocab, const clip_source& model) {
  fs::path from = vocab;
  if (from.empty() && !tokenizer_of(model).empty()) {
    from = model.folder.empty() ? "." : model.folder;
  }
  if (from.empty()) {
    throw io_error("open tokenizer", "tokenizer files beside the model, or --vocab", "neither",
                   model.weights.name());
  }
  bpe_tokenizer tokenizer = load_tokenizer(from);
  if (tokenizer.vocab_size() > text_of(model).vocab_size) {
    throw argument_error(
        "open tokenizer",
        "at most " + std::to_string(text_of(model).vocab_size) + " tokens, as the text tower has",
        std::to_string(tokenizer.vocab_size()), from.string());
  }
  return tokenizer;
}

std::string sha256_of(const clip_source& model) {
  std::string hashes;
  for (const safetensors_file& file : model.weights.files()) {
    hashes += sha256_of_file(file.name()) + "\n";
  }
  return sha256(hashes);
}

std::string name_of(activation kind) {
  switch (kind) {
    case activation::gelu: return "gelu";
    case activation::quick_gelu: return "quick_gelu";
    case activation::gelu_tanh: break;
  }
  return "gelu_tanh";
}

}  // namespace solens::program
