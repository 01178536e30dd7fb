#pragma once

#include <span>
#include <string>
#include <utility>  // std::as_const

#include <solens/model/embed_names.hpp>

namespace solens {

/// What CLIP's own zero-shot classification asks of every class where nothing else is said.
inline constexpr const char* default_class_template = "a photo of a {}.";

/// A zero-shot classifier: representation times classifier are the logits, up to CLIP's
/// temperature.
///
/// @param classes    names, one a class
/// @param templates  one or more, averaged over as `embed_names` does
/// @return           [d_joint, n_classes], unit columns
/// @throws argument_error without classes or templates
/// Source: arXiv 2103.00020, section 3.1.
template <tensor_backend B>
typename B::tensor zero_shot_classifier(const B& be, const text_tower<B>& tower,
                                        const bpe_tokenizer& tokenizer,
                                        std::span<const std::string> classes,
                                        std::span<const prompt_template> templates) {
  if (classes.empty()) throw argument_error("zero_shot", "one class or more", "none", "classes");
  const auto n = static_cast<index_t>(classes.size());
  auto rows = be.allocate({n, tower.d_joint()}), columns = be.allocate({tower.d_joint(), n});
  embed_names(be, tower, tokenizer, classes, templates, rows.view());
  be.copy(std::as_const(rows).view().transposed(), columns.view());
  return columns;
}

}  // namespace solens
