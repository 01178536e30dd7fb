#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include <solens/backend/reference.hpp>
#include <solens/core/dtype.hpp>

#include "commands.hpp"
#include "console.hpp"
#include "model_files.hpp"

namespace solens::program {
namespace {

struct info_call {
  common_options common;
  model_options model;
};

void declare(option_group command, info_call& o) {
  add_model(command, o.model);
  add_common(command, o.common);
}

/// `151,277,313`
std::string grouped(index_t number) {
  std::string text = std::to_string(number);
  for (auto i = std::ssize(text) - 3; i > 0; i -= 3) text.insert(text.begin() + i, ',');
  return text;
}

void print_line(std::string_view label, const std::string& value) {
  std::string line(label);
  line.resize(16, ' ');
  print(line + value + "\n");
}

/// "12 layers, 12 heads of 64, width 768, MLPs of 3072, quick_gelu"
std::string describe(const transformer_config& c) {
  return std::to_string(c.n_layers) + " layers, " + std::to_string(c.n_heads) + " heads of " +
         std::to_string(c.d_head()) + ", width " + std::to_string(c.d_model) + ", MLPs of " +
         std::to_string(c.d_mlp) + ", " + name_of(c.act);
}

/// What the tensors of a file amount to.
struct contents {
  std::map<std::string, index_t> parameters;  ///< by tower
  std::map<std::string, index_t> types;       ///< tensors by number type
  std::uintmax_t bytes = 0;

  explicit contents(const safetensors_set& weights) {
    for (const tensor_info& t : weights.tensors()) {
      const index_t n = t.extents.size();
      bytes += static_cast<std::uintmax_t>(n) * size_of(t.type);
      // Buffers hold whole numbers.
      if (t.type == dtype::i64 || t.type == dtype::i32) continue;
      parameters[tower_of(t.name)] += n;
      ++types[std::string(to_string(t.type))];
    }
  }

  static std::string tower_of(const std::string& tensor) {
    if (tensor.starts_with("logit_")) return "scale";
    return tensor.starts_with("vis") ? "vision" : "text";  // visual., vision_model., visual_...
  }

  std::string types_found() const {
    std::string text;
    for (const auto& [type, count] : types) {
      text += (text.empty() ? "" : ", ") + type;
      if (types.size() > 1) text += " (" + std::to_string(count) + " tensors)";
    }
    return text;
  }
};

std::string size_in_words(std::uintmax_t bytes) {
  const auto size = static_cast<double>(bytes);
  char text[32];
  std::snprintf(text, sizeof text, size < 1e6 ? "%.1f kB" : "%.1f MB",
                size / (size < 1e6 ? 1e3 : 1e6));
  return text;
}

std::string or_none(const std::filesystem::path& path, const std::string& none) {
  return path.empty() ? none : path.string();
}

void print_vision(const vision_config& c, index_t parameters) {
  print_line("vision tower", describe(c));
  print_line("", "images " + std::to_string(c.image_size) + " x " + std::to_string(c.image_size) +
                     ", patches " + std::to_string(c.patch_size) + " x " +
                     std::to_string(c.patch_size) + ", " + std::to_string(c.n_tokens()) +
                     " tokens");
  print_line("", grouped(parameters) + " parameters");
}

void print_text(const text_config& c, index_t parameters) {
  print_line("text tower", describe(c));
  print_line("", "context of " + std::to_string(c.context_length) + " tokens, vocabulary of " +
                     std::to_string(c.vocab_size));
  print_line("", grouped(parameters) + " parameters");
}

void run_info(const info_call& call) {
  const clip_source model = open_model(call.model);
  // Reads nothing, but holds every tensor against the configuration.
  load_weights(reference_backend<float>(), model.weights, model.config,
               {.vision = false, .text = false});
  contents found(model.weights);
  index_t all = 0;
  for (const auto& [tower, parameters] : found.parameters) all += parameters;

  print_line("weights",
             model.weights.name() + ", " + size_in_words(found.bytes) + ", " + found.types_found());
  print_line("layout", model.config.layout);
  print_line("configuration", or_none(model.config_file, "inferred from the weights' shapes"));
  print_line("parameters", grouped(all));
  print_line("joint width", std::to_string(model.config.d_joint));
  if (model.config.vision.n_layers > 0) {
    print_vision(model.config.vision, found.parameters["vision"]);
  } else {
    print_line("vision tower", "none");
  }
  if (model.config.text) {
    print_text(*model.config.text, found.parameters["text"]);
  } else {
    print_line("text tower", "none");
  }
  print_line("tokenizer",
             or_none(tokenizer_of(model), "none beside the weights; --vocab takes one"));
  print_line("preprocessing", or_none(preprocess_file_of(model),
                                      "CLIP's own; no file beside the "
                                      "weights says otherwise"));
}

}  // namespace

void add_info(command_line& line) {
  line.add("info", "--model M [--config FILE]", "What a model is and holds", declare, run_info);
}

}  // namespace solens::program
