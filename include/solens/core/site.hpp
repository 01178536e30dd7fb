#pragma once

#include <algorithm>  // std::min, std::stable_sort
#include <array>
#include <charconv>  // std::from_chars
#include <compare>
#include <cstddef>  // std::size_t
#include <string>
#include <string_view>
#include <utility>  // std::pair
#include <vector>

#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>

namespace solens {

/// A place in a vision transformer whose value can be kept.
enum class site_kind {
  embed,
  full_embed,
  resid_pre,
  ln_1_mean,
  ln_1_scale,
  ln_1_normalized,
  queries,
  keys,
  values,
  pattern,
  z,
  attn_out,
  resid_mid,
  ln_2_mean,
  ln_2_scale,
  ln_2_normalized,
  mlp_post,
  mlp_out,
  resid_post,
  ln_final_mean,
  ln_final_scale,
  ln_final_normalized,
  representation,
};

/// What an axis of a site counts.
enum class site_axis { none, image, head, token, d_head, d_model, d_mlp, d_joint };

/// One activation site: a kind, the block it is in, and whether all tokens or one are meant.
struct site {
  site_kind kind = site_kind::representation;
  index_t layer = 0;         ///< 0 where the kind is not one of a block
  bool class_token = false;  ///< the class token's row alone: that token axis is gone

  friend auto operator<=>(const site&, const site&) = default;
};

/// A row of the table of sites.
struct site_info {
  site_kind kind;
  std::string_view pattern;  ///< its name; `{i}` stands for the block
  std::array<site_axis, 4> axes;
  bool narrow;  ///< whether `:class` may follow the name
  std::string_view meaning;

  constexpr bool in_block() const { return pattern.find("{i}") != std::string_view::npos; }
};

namespace detail {
inline constexpr std::array<site_axis, 4> per_image{site_axis::image};
inline constexpr std::array<site_axis, 4> per_token{site_axis::image, site_axis::token};
inline constexpr std::array<site_axis, 4> model_row{site_axis::image, site_axis::d_model};
inline constexpr std::array<site_axis, 4> stream{site_axis::image, site_axis::token,
                                                 site_axis::d_model};
inline constexpr std::array<site_axis, 4> by_head{site_axis::image, site_axis::token,
                                                  site_axis::head, site_axis::d_head};
}  // namespace detail

/// Every site, in the order of the forward pass. The names are TransformerLens's; where it has
/// none (`hook_mean`, `representation`, `:class`) they are ours.
///
/// The final LayerNorm sees the class token alone, and so do its sites.
inline constexpr std::array site_table{
    site_info{site_kind::embed, "hook_embed", detail::stream, false,
              "class embedding and embedded patches"},
    site_info{site_kind::full_embed, "hook_full_embed", detail::stream, false,
              "those with the positional embedding, before ln_pre"},
    site_info{site_kind::resid_pre, "blocks.{i}.hook_resid_pre", detail::stream, true,
              "residual stream that enters the block"},
    site_info{site_kind::ln_1_mean, "blocks.{i}.ln1.hook_mean", detail::per_token, false,
              "its mean over the features"},
    site_info{site_kind::ln_1_scale, "blocks.{i}.ln1.hook_scale", detail::per_token, false,
              "sqrt(its variance + eps)"},
    site_info{site_kind::ln_1_normalized, "blocks.{i}.ln1.hook_normalized", detail::stream, false,
              "what the attention reads"},
    site_info{site_kind::queries, "blocks.{i}.attn.hook_q", detail::by_head, false,
              "queries, bias included"},
    site_info{site_kind::keys, "blocks.{i}.attn.hook_k", detail::by_head, false,
              "keys, bias included"},
    site_info{site_kind::values, "blocks.{i}.attn.hook_v", detail::by_head, false,
              "values, bias included"},
    site_info{site_kind::pattern,
              "blocks.{i}.attn.hook_pattern",
              {site_axis::image, site_axis::head, site_axis::token, site_axis::token},
              true,
              "attention [query, key] after softmax"},
    site_info{site_kind::z, "blocks.{i}.attn.hook_z", detail::by_head, true,
              "values mixed by the pattern"},
    site_info{site_kind::attn_out, "blocks.{i}.hook_attn_out", detail::stream, true,
              "what the attention adds, bias included"},
    site_info{site_kind::resid_mid, "blocks.{i}.hook_resid_mid", detail::stream, true,
              "residual stream between attention and MLP"},
    site_info{site_kind::ln_2_mean, "blocks.{i}.ln2.hook_mean", detail::per_token, false,
              "its mean over the features"},
    site_info{site_kind::ln_2_scale, "blocks.{i}.ln2.hook_scale", detail::per_token, false,
              "sqrt(its variance + eps)"},
    site_info{site_kind::ln_2_normalized, "blocks.{i}.ln2.hook_normalized", detail::stream, false,
              "what the MLP reads"},
    site_info{site_kind::mlp_post,
              "blocks.{i}.mlp.hook_post",
              {site_axis::image, site_axis::token, site_axis::d_mlp},
              true,
              "neurons, after the nonlinearity"},
    site_info{site_kind::mlp_out, "blocks.{i}.hook_mlp_out", detail::stream, true,
              "what the MLP adds, bias included"},
    site_info{site_kind::resid_post, "blocks.{i}.hook_resid_post", detail::stream, true,
              "residual stream that leaves the block"},
    site_info{site_kind::ln_final_mean, "ln_final.hook_mean", detail::per_image, false,
              "mean of the class token at ln_post"},
    site_info{site_kind::ln_final_scale, "ln_final.hook_scale", detail::per_image, false,
              "sqrt(variance + eps) of the class token at ln_post"},
    site_info{site_kind::ln_final_normalized, "ln_final.hook_normalized", detail::model_row, false,
              "the class token after ln_post"},
    site_info{site_kind::representation,
              "representation",
              {site_axis::image, site_axis::d_joint},
              false,
              "the image in the joint space, not normalised"},
};

constexpr const site_info& info_of(site_kind kind) {
  for (const site_info& row : site_table) {
    if (row.kind == kind) return row;
  }
  throw argument_error("info_of", "a site of the table", std::to_string(static_cast<int>(kind)));
}

/// The name of a site: `blocks.9.attn.hook_pattern:class`.
inline std::string to_string(const site& s) {
  const site_info& info = info_of(s.kind);
  std::string name(info.pattern);
  if (info.in_block()) name.replace(name.find("{i}"), 3, std::to_string(s.layer));
  return s.class_token ? name + ":class" : name;
}

/// How long the axes of sites are.
struct site_extents {
  index_t n_layers, n_images, n_heads, n_tokens, d_head, d_model, d_mlp, d_joint;
};

/// The extents of a site's tensor.
/// @throws argument_error for a block that is not there, or a class token's row of a site that
///         offers none
inline shape shape_of(const site& s, const site_extents& extents) {
  const site_info& info = info_of(s.kind);
  if (s.layer < 0 || s.layer >= (info.in_block() ? extents.n_layers : 1)) {
    throw argument_error("site", "a block below " + std::to_string(extents.n_layers),
                         std::to_string(s.layer), to_string(s));
  }
  if (s.class_token && !info.narrow) {
    throw argument_error("site", "a site that offers its class token's row", to_string(s));
  }
  shape result;
  bool row_taken = !s.class_token;
  for (const site_axis axis : info.axes) {
    switch (axis) {
      case site_axis::none: break;
      case site_axis::image: result.push_back(extents.n_images); break;
      case site_axis::head: result.push_back(extents.n_heads); break;
      case site_axis::token:
        if (row_taken) result.push_back(extents.n_tokens);
        row_taken = true;  // of a pattern, the query goes and the keys stay
        break;
      case site_axis::d_head: result.push_back(extents.d_head); break;
      case site_axis::d_model: result.push_back(extents.d_model); break;
      case site_axis::d_mlp: result.push_back(extents.d_mlp); break;
      case site_axis::d_joint: result.push_back(extents.d_joint); break;
    }
  }
  return result;
}

namespace detail {

/// Insertions, deletions and substitutions that turn a into b.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, diagonal + 1, row[j] + 1});
    }
  }
  return row[b.size()];
}

/// The three names of the table that look most like `name`, with the block it names.
inline std::string nearest_sites(std::string_view name, index_t layer) {
  std::vector<std::pair<std::size_t, std::string>> near;
  for (const site_info& row : site_table) {
    for (const bool narrow : {false, true}) {
      if (narrow && !row.narrow) continue;
      std::string known = to_string(site{row.kind, layer, narrow});
      near.emplace_back(edit_distance(name, known), std::move(known));
    }
  }
  std::stable_sort(near.begin(), near.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return near[0].second + ", " + near[1].second + " or " + near[2].second;
}

}  // namespace detail

/// The site of a name, as `to_string` writes it.
/// @throws argument_error for an unknown name, with the nearest known ones
inline site parse_site(std::string_view name) {
  site result;
  std::string_view rest = name;
  constexpr std::string_view suffix = ":class", blocks = "blocks.";
  if (rest.ends_with(suffix)) {
    result.class_token = true;
    rest.remove_suffix(suffix.size());
  }
  std::string pattern(rest);
  if (rest.starts_with(blocks)) {
    const std::string_view number = rest.substr(blocks.size());
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), result.layer);
    if (error == std::errc{} && result.layer >= 0) {
      pattern = "blocks.{i}" + std::string(end, number.data() + number.size());
    }
  }
  for (const site_info& row : site_table) {
    if (row.pattern == pattern && (row.narrow || !result.class_token)) {
      result.kind = row.kind;
      if (to_string(result) == name) return result;  // not "blocks.007.", nor "blocks.{i}."
    }
  }
  throw argument_error("site", detail::nearest_sites(name, std::max(result.layer, index_t{0})),
                       std::string(name));
}

}  // namespace solens
