#include "model_files.hpp"

#include <solens/core/error.hpp>
#include <solens/image/preprocess_json.hpp>
#include <solens/text/load_tokenizer.hpp>

namespace solens::program {
namespace fs = std::filesystem;

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
  if (!vocab.empty()) return load_tokenizer(vocab);
  if (!tokenizer_of(model).empty()) {
    return load_tokenizer(model.folder.empty() ? "." : model.folder);
  }
  throw io_error("open tokenizer", "tokenizer files beside the model, or --vocab", "neither",
                 model.weights.name());
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
