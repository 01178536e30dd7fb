#pragma once

#include <filesystem>
#include <string>
#include <utility>  // std::move

#include <solens/image/preprocess.hpp>
#include <solens/model/load.hpp>
#include <solens/model/text_tower.hpp>
#include <solens/model/vision_tower.hpp>
#include <solens/text/bpe_tokenizer.hpp>

#include "options.hpp"

/// A model on disk, and what lies beside its weights.
namespace solens::program {

/// Opens a model. Where a configuration speaks of a text tower that the weights are without, as
/// open_clip's always do, the tower is taken out of it.
/// @throws io_error, format_error, not_supported naming the file
clip_source open_model(const model_options&);

/// SHA-256 over the weight files, in hexadecimal.
/// @throws io_error naming the file
std::string sha256_of(const clip_source&);

std::string name_of(activation kind);

/// @throws argument_error when the model has no such tower
const vision_config& vision_of(const clip_source&);
const text_config& text_of(const clip_source&);

/// The file that says how images are prepared; empty when there is none.
std::filesystem::path preprocess_file_of(const clip_source&);

/// How image files become what the model sees: as that file says, or else as CLIP does.
/// @throws format_error when that makes images of another size than the vision tower takes
preprocess_options preprocess_of(const clip_source&);

/// Where the model's tokenizer lies; empty when there is none.
std::filesystem::path tokenizer_of(const clip_source&);

/// The tokenizer that `--vocab` names, or else the model's own.
/// @throws io_error, format_error; argument_error when it has more tokens than the text tower
bpe_tokenizer open_tokenizer(const std::string& vocab, const clip_source&);

template <tensor_backend B>
vision_tower<B> load_vision_tower(const B& be, const clip_source& model) {
  const vision_config& config = vision_of(model);
  auto weights = load_weights(be, model.weights, model.config, {.vision = true, .text = false});
  return {config, std::move(*weights.vision)};
}

template <tensor_backend B>
text_tower<B> load_text_tower(const B& be, const clip_source& model) {
  const text_config& config = text_of(model);
  auto weights = load_weights(be, model.weights, model.config, {.vision = false, .text = true});
  return {config, std::move(*weights.text)};
}

}  // namespace solens::program
