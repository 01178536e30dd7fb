#pragma once

#include <algorithm>  // std::sort
#include <filesystem>
#include <string>
#include <utility>  // std::move
#include <vector>

#include <solens/core/error.hpp>
#include <solens/model/config.hpp>
#include <solens/model/config_json.hpp>
#include <solens/model/infer_config.hpp>
#include <solens/model/load_weights.hpp>
#include <solens/model/name_map.hpp>
#include <solens/model/weights.hpp>
#include <solens/weights/safetensors_set.hpp>

namespace solens {

/// A CLIP on disk, opened: its configuration is known, its weights are mapped and not yet read.
struct clip_source {
  std::filesystem::path folder;       ///< where tokenizer and preprocessor files would be
  std::filesystem::path config_file;  ///< empty where the configuration was inferred from shapes
  clip_config config;
  safetensors_set weights;
};

namespace detail {

inline constexpr const char* open_operation = "open model";

/// The weights in a folder: one file, or the index of several.
inline std::filesystem::path find_weights(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  for (const char* name :
       {"model.safetensors", "model.safetensors.index.json", "open_clip_model.safetensors"}) {
    if (fs::is_regular_file(folder / name)) return folder / name;
  }
  std::vector<fs::path> found;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(folder, failure)) {
    if (entry.path().extension() == ".safetensors") found.push_back(entry.path());
  }
  if (failure) {
    throw io_error(open_operation, "a readable folder", failure.message(), folder.string());
  }
  if (found.size() == 1) return found.front();
  std::sort(found.begin(), found.end());
  std::string names = found.empty() ? "none" : std::to_string(found.size());
  for (const fs::path& path : found)
    names += (&path == &found[0] ? ": " : ", ") + path.filename().string();
  throw io_error(open_operation, "model.safetensors or one other .safetensors file", names,
                 folder.string());
}

/// The configuration that lies beside the weights; empty when there is none.
///
/// x.safetensors and x.model.safetensors have x.config.json, before the names of the libraries.
inline std::filesystem::path find_config(const std::filesystem::path& weights, bool hugging_face) {
  const std::filesystem::path folder = weights.parent_path();
  std::filesystem::path stem = weights.stem();
  if (stem.extension() == ".model") stem = stem.stem();
  for (const std::string& name :
       {stem.string() + ".config.json",
        std::string(hugging_face ? "config.json" : "open_clip_config.json"),
        std::string(hugging_face ? "open_clip_config.json" : "config.json")}) {
    if (std::filesystem::is_regular_file(folder / name)) return folder / name;
  }
  return {};
}

}  // namespace detail

/// Finds a CLIP's weights and configuration and opens them.
///
/// @param path    a folder (model.safetensors, also in several files with an index,
///                open_clip_model.safetensors, or one other .safetensors file), or such a file.
///                Beside it config.json or open_clip_config.json, or for x.safetensors and
///                x.model.safetensors an x.config.json. Without any, weights under OpenAI's names
///                are taken to be OpenAI's own, and their shapes say the rest (QuickGELU, heads of
///                width 64); `config.layout` then reads "OpenAI".
/// @param config  a configuration to use instead of the one beside the weights
/// @throws io_error, format_error, not_supported, naming the file and the option or tensor
inline clip_source open_clip_model(const std::filesystem::path& path,
                                   const std::filesystem::path& config = {}) {
  namespace fs = std::filesystem;
  const bool folder = fs::is_directory(path);
  const fs::path weights = folder ? detail::find_weights(path) : path;
  clip_source source{folder ? path : path.parent_path(), config, {}, safetensors_set(weights)};
  const clip_names names = names_in(source.weights.tensors(), source.weights.name());
  if (config.empty()) source.config_file = detail::find_config(weights, names.hugging_face);
  if (!source.config_file.empty()) {
    source.config = read_clip_config(source.config_file);
  } else if (names.hugging_face) {
    throw io_error(detail::open_operation, "config.json beside the weights", "none",
                   weights.string());
  } else {
    source.config = infer_openai_config(source.weights, names);
  }
  return source;
}

/// A CLIP, loaded.
template <tensor_backend B>
struct clip_model {
  clip_config config;
  clip_weights<B> weights;
};

/// `open_clip_model` and `load_weights` at once.
template <tensor_backend B>
clip_model<B> load_clip(const B& be, const std::filesystem::path& path, const towers& wanted = {},
                        const std::filesystem::path& config = {}) {
  const clip_source source = open_clip_model(path, config);
  return {source.config, load_weights(be, source.weights, source.config, wanted)};
}

}  // namespace solens
