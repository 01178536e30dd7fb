#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <solens/core/host_tensor.hpp>
#include <solens/core/json.hpp>
#include <solens/model/load.hpp>
#include <solens/text/bpe_tokenizer.hpp>
#include <solens/text/word_list.hpp>

#include "embedding_cache.hpp"
#include "options.hpp"
#include "run_folder.hpp"

/// What `analyze --words` and `describe` share: every neuron's direction in words.
namespace solens::program {

/// The text tower that embeds words, and where its earlier work is kept.
struct word_encoder {
  const clip_source& model;
  bpe_tokenizer tokenizer;
  embedding_cache cache;
};

/// The words of a call with what their embeddings come from, read and checked before the work.
struct word_source {
  word_options options;
  word_list list;
  std::string list_hash;                ///< SHA-256 of the file
  std::optional<word_encoder> encoder;  ///< not set with `--word-embeddings`
  host_tensor<float> embeddings;        ///< [n_words, E] out of those; else empty
  std::string embeddings_hash;          ///< SHA-256 of their file; else empty
};

/// Reads the list, says which duplicates it dropped, and opens what embeds it.
/// @param model       whose text tower embeds, outlives the result; null where only
///                    `--word-embeddings` will do
/// @param model_hash  `sha256_of` it
/// @param d_joint     the width that embeddings have to have
/// @throws io_error, format_error, shape_error, argument_error naming file or option
word_source open_words(const common_options&, const word_options&, const clip_source* model,
                       const std::string& model_hash, index_t d_joint);

/// The words' embeddings [n_words, E]: the text tower's, unit rows, or those of the file.
host_tensor<float> embeddings_of(const common_options&, const word_source&);

/// Everything that codes depend on beside the model, under the names that a message would use.
detail::json identity_of(const word_source&);

/// Describes the directions of every layer of a run.
/// @param from  folder with the layers' files
/// @param to    folder, which may be the same, for those files with the codes in them,
///              dictionary.safetensors and words.txt
/// @return what run.json says of it
report_json describe_layers(const common_options&, const word_source&,
                            const std::vector<index_t>& layers, const std::filesystem::path& from,
                            const std::filesystem::path& to);

}  // namespace solens::program
