#pragma once

#include <algorithm>  // std::any_of, std::none_of
#include <concepts>
#include <cstddef>     // std::size_t
#include <functional>  // std::less
#include <map>
#include <string>
#include <utility>  // std::move
#include <vector>

#include <solens/core/host_tensor.hpp>
#include <solens/model/config.hpp>
#include <solens/model/name_map.hpp>
#include <solens/model/weights.hpp>
#include <solens/weights/weight_source.hpp>

namespace solens {

/// The towers to load. One that is not asked for is checked all the same where it is there, but
/// not read.
struct towers {
  bool vision = true;
  bool text = true;
};

namespace detail {

/// One tensor of `clip_weights` and where it comes from.
template <tensor_backend B>
struct weight_plan {
  std::vector<std::string> names;  ///< stacked along the first axis
  shape stored;                    ///< extents of each in the file
  shape extents;                   ///< of the whole in memory
  bool transposed = false;         ///< the file's axes the other way round
  typename B::tensor* to = nullptr;
};

/// Lists what a file must hold for a configuration, holds that against what it holds, reads it.
template <tensor_backend B, weight_source S>
class weight_loader {
 public:
  weight_loader(const B& be, const S& source)
      : be_(be), source_(source), names_(names_in(source.tensors(), source.name())) {
    for (const tensor_info& info : source.tensors()) there_.emplace(info.name, &info);
  }

  clip_weights<B> load(const clip_config& config, const towers& wanted) {
    check_layers(config);
    clip_weights<B> weights;
    std::vector<weight_plan<B>> vision, text;
    if (config.vision.n_layers > 0) {
      plan_vision(config, weights.vision.emplace(), vision);
    }
    if (config.text) plan_text(config, weights.text.emplace(), text);
    // A file may hold one tower of the two that its configuration tells of.
    if (!wanted.vision && none_there(vision)) vision.clear();
    if (!wanted.text && none_there(text)) text.clear();
    check(vision, text);
    if (wanted.vision) read(vision);
    if (wanted.text) read(text);
    if (!wanted.vision) weights.vision.reset();
    if (!wanted.text) weights.text.reset();
    if (const auto scale = there_.find("logit_scale"); scale != there_.end()) {
      typename B::scalar value{};
      source_.read("logit_scale", host_view<typename B::scalar>(&value, scale->second->extents));
      weights.logit_scale = value;
    }
    return weights;
  }

 private:
  using tensor = typename B::tensor;
  using plan = std::vector<weight_plan<B>>;

  // Blocks are allocated before the tensors are compared, so their number has to be believable.
  void check_layers(const clip_config& config) const {
    const index_t most = std::ssize(source_.tensors());
    for (const index_t n : {config.vision.n_layers, config.text ? config.text->n_layers : 0}) {
      if (n > most) {
        throw format_error("load model", std::to_string(n) + " layers, as configured",
                           std::to_string(most) + " tensors in all", source_.name());
      }
    }
  }

  void plan_vision(const clip_config& config, vision_weights<B>& w, plan& p) const {
    const vision_config& c = config.vision;
    const vision_names& n = names_.vision;
    const index_t patch = c.patch_size;
    p.push_back({{n.patch},
                 {c.d_model, 3, patch, patch},
                 {c.d_model, 3 * patch * patch},
                 false,
                 &w.patch_weight});
    add(p, n.class_embedding, {c.d_model}, w.class_embedding);
    add(p, n.positional_embedding, {c.n_tokens(), c.d_model}, w.positional_embedding);
    add_pair(p, n.first_norm, {c.d_model}, w.ln_pre_weight, w.ln_pre_bias);
    plan_blocks(c, n.blocks, w.blocks, p);
    add_pair(p, n.last_norm, {c.d_model}, w.ln_post_weight, w.ln_post_bias);
    add_projection(p, n.projection, c.d_model, config.d_joint, w.projection);
  }

  void plan_text(const clip_config& config, text_weights<B>& w, plan& p) const {
    const text_config& c = *config.text;
    const text_names& n = names_.text;
    add(p, n.token_embedding, {c.vocab_size, c.d_model}, w.token_embedding);
    add(p, n.positional_embedding, {c.context_length, c.d_model}, w.positional_embedding);
    plan_blocks(c, n.blocks, w.blocks, p);
    add_pair(p, n.last_norm, {c.d_model}, w.ln_final_weight, w.ln_final_bias);
    add_projection(p, n.projection, c.d_model, config.d_joint, w.projection);
  }

  void plan_blocks(const transformer_config& c, const std::string& prefix,
                   std::vector<block_weights<B>>& blocks, plan& p) const {
    blocks.resize(static_cast<std::size_t>(c.n_layers));
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      block_weights<B>& b = blocks[i];
      const std::string at = prefix + std::to_string(i) + ".";
      const std::string attention = at + names_.block.attention + ".";
      add_pair(p, at + names_.block.ln_1, {c.d_model}, b.ln_1_weight, b.ln_1_bias);
      add_qkv(p, attention, "weight", {c.d_model, c.d_model}, b.qkv_weight);
      add_qkv(p, attention, "bias", {c.d_model}, b.qkv_bias);
      add_pair(p, attention + "out_proj", {c.d_model, c.d_model}, b.out_weight, b.out_bias);
      add_pair(p, at + names_.block.ln_2, {c.d_model}, b.ln_2_weight, b.ln_2_bias);
      add_pair(p, at + names_.block.fc, {c.d_mlp, c.d_model}, b.fc_weight, b.fc_bias);
      add_pair(p, at + names_.block.proj, {c.d_model, c.d_mlp}, b.proj_weight, b.proj_bias);
    }
  }

  void add(plan& p, const std::string& name, const shape& extents, tensor& to) const {
    p.push_back({{name}, extents, extents, false, &to});
  }

  /// A weight of these extents, [output, input] or [features], and the bias that goes with it.
  void add_pair(plan& p, const std::string& name, const shape& extents, tensor& weight,
                tensor& bias) const {
    add(p, name + ".weight", extents, weight);
    add(p, name + ".bias", {extents[0]}, bias);
  }

  /// Queries, keys and values: fused, or apart under one of two spellings.
  void add_qkv(plan& p, const std::string& at, const std::string& kind, const shape& each,
               tensor& to) const {
    shape whole = each;
    whole[0] *= 3;
    const std::string fused = at + "in_proj_" + kind;
    std::vector<std::string> apart;
    for (const char* part : {"q_proj", "k_proj", "v_proj"}) {
      const std::string name = at + part;
      apart.push_back(there_.contains(name + "_" + kind) ? name + "_" + kind : name + "." + kind);
    }
    // Where neither is there, the message names what the layout usually has.
    const bool usual = !names_.hugging_face && !there_.contains(apart[0]);
    if (usual || there_.contains(fused)) {
      add(p, fused, whole, to);
    } else {
      p.push_back({std::move(apart), each, whole, false, &to});
    }
  }

  /// [d_model, d_joint] in memory. open_clip has it so, or, as `.weight` of a linear map,
  /// transposed.
  void add_projection(plan& p, const std::string& name, index_t d_model, index_t d_joint,
                      tensor& to) const {
    const bool linear = !names_.projections_transposed && there_.contains(name + ".weight");
    const bool transposed = names_.projections_transposed || linear;
    p.push_back({{linear ? name + ".weight" : name},
                 transposed ? shape{d_joint, d_model} : shape{d_model, d_joint},
                 {d_model, d_joint},
                 transposed,
                 &to});
  }

  bool none_there(const plan& p) const {
    return std::none_of(p.begin(), p.end(), [&](const weight_plan<B>& w) {
      return std::any_of(w.names.begin(), w.names.end(),
                         [&](const std::string& name) { return there_.contains(name); });
    });
  }

  /// @throws format_error that lists everything missing, misshapen or left over
  void check(const plan& vision, const plan& text) const {
    std::vector<std::string> faults;
    auto left = there_;
    for (const plan* p : {&vision, &text}) {
      for (const weight_plan<B>& w : *p) {
        for (const std::string& name : w.names) {
          const auto found = left.find(name);
          if (found == left.end()) {
            faults.push_back("no " + name + ", expected " + to_string(w.stored));
            continue;
          }
          check_one(*found->second, w.stored, faults);
          left.erase(found);
        }
      }
    }
    if (const auto scale = left.find("logit_scale"); scale != left.end()) {
      const bool one = scale->second->extents == shape{1};
      check_one(*scale->second, one ? shape{1} : shape{}, faults);
      left.erase(scale);
    }
    for (const std::string& name : names_.ignored) left.erase(name);
    for (const auto& [name, info] : left) {
      faults.push_back("unknown " + name + " " + to_string(info->extents));
    }
    if (faults.empty()) return;
    std::string list = std::to_string(faults.size()) + (faults.size() == 1 ? " fault" : " faults");
    for (const std::string& fault : faults) list += (&fault == &faults[0] ? ": " : "; ") + fault;
    throw format_error("load model", "the tensors of the configured CLIP", list, source_.name());
  }

  static void check_one(const tensor_info& info, const shape& expected,
                        std::vector<std::string>& faults) {
    if (!(info.extents == expected)) {
      faults.push_back(info.name + ": expected " + to_string(expected) + ", found " +
                       to_string(info.extents));
    }
    const bool floating = info.type == dtype::f16 || info.type == dtype::bf16 ||
                          info.type == dtype::f32 || info.type == dtype::f64;
    if (!floating) {
      faults.push_back(info.name + ": expected floating-point numbers, found " +
                       std::string(to_string(info.type)));
    }
  }

  void read(const plan& p) const {
    for (const weight_plan<B>& w : p) {
      *w.to = be_.allocate(w.extents);
      const index_t rows = w.extents[0] / std::ssize(w.names);
      for (std::size_t i = 0; i < w.names.size(); ++i) {
        const index_t first = static_cast<index_t>(i) * rows;
        const view_of<B> part = w.to->view().slice(0, first, first + rows);
        if constexpr (std::same_as<typename B::space, host_space>) {
          source_.read(w.names[i], as_stored(w, part));
        } else {
          host_tensor<typename B::scalar> staged(part.extents());
          source_.read(w.names[i], as_stored(w, staged.view()));
          be_.upload(staged.view(), part);
        }
      }
    }
  }

  static host_view<typename B::scalar> as_stored(const weight_plan<B>& w,
                                                 const host_view<typename B::scalar>& part) {
    return w.transposed ? part.transposed() : part.reshaped(w.stored);
  }

  const B& be_;
  const S& source_;
  clip_names names_;
  std::map<std::string, const tensor_info*, std::less<>> there_;
};

}  // namespace detail

/// Reads a CLIP's weights, whatever the layout they are stored in.
///
/// Holds one copy, plus, for a backend with memory of its own, one tensor at a time on the host.
/// @throws format_error that lists all tensors that are missing, misshapen or unknown, with their
///         extents; not_supported for a file that holds no CLIP transformer
template <tensor_backend B, weight_source S>
clip_weights<B> load_weights(const B& be, const S& source, const clip_config& config,
                             const towers& wanted = {}) {
  return detail::weight_loader<B, S>(be, source).load(config, wanted);
}

}  // namespace solens
