#pragma once

#include <cmath>  // std::lround, std::sqrt
#include <set>
#include <string>
#include <string_view>

#include <solens/core/error.hpp>
#include <solens/model/config.hpp>
#include <solens/model/name_map.hpp>
#include <solens/weights/weight_source.hpp>

namespace solens {

namespace detail {

/// Shapes of a file's tensors, asked for by name and rank.
template <weight_source S>
class named_shapes {
 public:
  explicit named_shapes(const S& source) : source_(source) {}

  const shape& of(const std::string& name, std::size_t rank) const {
    for (const tensor_info& info : source_.tensors()) {
      if (info.name != name) continue;
      if (info.extents.rank() == rank && info.extents.size() > 0) return info.extents;
      fail("a shape of " + std::to_string(rank) + " axes", to_string(info.extents), name);
    }
    fail("a tensor to infer the configuration from", "none", name);
  }

  bool has(const std::string& name) const {
    for (const tensor_info& info : source_.tensors()) {
      if (info.name == name) return true;
    }
    return false;
  }

  /// How many different words follow `prefix`, up to the next dot: the layers of a tower.
  index_t count_after(const std::string& prefix) const {
    std::set<std::string_view> numbers;
    for (const tensor_info& info : source_.tensors()) {
      const std::string_view name = info.name;
      if (!name.starts_with(prefix)) continue;
      const std::string_view rest = name.substr(prefix.size());
      numbers.insert(rest.substr(0, rest.find('.')));
    }
    return std::ssize(numbers);
  }

  [[noreturn]] void fail(const std::string& expected, const std::string& got,
                         const std::string& name) const {
    throw format_error("infer configuration", expected, got, source_.name() + ": " + name);
  }

 private:
  const S& source_;
};

/// A tower as OpenAI's own are: heads of width 64, MLPs four times as wide, QuickGELU.
template <weight_source S>
void infer_openai_tower(const named_shapes<S>& shapes, const tower_names& names, index_t d_model,
                        const std::string& width_from, transformer_config& c) {
  if (d_model % 64 != 0) shapes.fail("a multiple of 64", std::to_string(d_model), width_from);
  c.n_layers = shapes.count_after(names.blocks);
  c.n_heads = d_model / 64;
  c.d_model = d_model;
  c.d_mlp = 4 * d_model;
  c.act = activation::quick_gelu;
}

}  // namespace detail

/// The configuration of a CLIP that OpenAI released, from the shapes of its weights, by the rules
/// of OpenAI's own loader. Weights of others look the same and may want another configuration:
/// heads that are not 64 wide, gelu.
/// @throws format_error naming the tensor that is missing or does not fit
template <weight_source S>
clip_config infer_openai_config(const S& source, const clip_names& names) {
  const detail::named_shapes shapes(source);
  clip_config c;
  c.layout = "OpenAI";
  const shape& patch = shapes.of(names.vision.patch, 4);
  detail::infer_openai_tower(shapes, names.vision, patch[0], names.vision.patch, c.vision);
  const index_t tokens = shapes.of(names.vision.positional_embedding, 2)[0];
  const auto grid = static_cast<index_t>(std::lround(std::sqrt(static_cast<double>(tokens - 1))));
  if (grid < 1 || grid * grid + 1 != tokens || patch[3] > 1'000'000'000 / grid) {
    shapes.fail("1 + a square number of tokens", std::to_string(tokens),
                names.vision.positional_embedding);
  }
  c.vision.patch_size = patch[3];
  c.vision.image_size = grid * patch[3];
  c.d_joint = shapes.of(names.vision.projection, 2)[1];
  if (shapes.has(names.text.token_embedding)) {
    text_config text;
    const index_t d_model = shapes.of(names.text.last_norm + ".weight", 1)[0];
    detail::infer_openai_tower(shapes, names.text, d_model, names.text.last_norm + ".weight", text);
    text.context_length = shapes.of(names.text.positional_embedding, 2)[0];
    text.vocab_size = shapes.of(names.text.token_embedding, 2)[0];
    c.text = text;
  }
  return c;
}

}  // namespace solens
