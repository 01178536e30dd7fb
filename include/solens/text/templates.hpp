#pragma once

#include <cstddef>  // std::size_t
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>  // std::move
#include <vector>

#include <solens/core/error.hpp>
#include <solens/text/word_list.hpp>

namespace solens {

/// A sentence with a place for a word: "a photo of a {}."
class prompt_template {
 public:
  /// @throws argument_error when `text` does not hold `{}` exactly once
  explicit prompt_template(std::string text) : text_(std::move(text)), place_(text_.find("{}")) {
    if (place_ == text_.npos || text_.find("{}", place_ + 2) != text_.npos) {
      throw argument_error("template", "one {} for the word", "\"" + text_ + "\"");
    }
  }

  std::string operator()(std::string_view word) const {
    return text_.substr(0, place_).append(word).append(text_, place_ + 2);
  }

  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::size_t place_;
};

/// Reads prompt templates, one a line.
/// @throws io_error when the file cannot be read; format_error when a line is not UTF-8 or does not
///         hold `{}` exactly once, naming it, or when there is no template in the file
inline std::vector<prompt_template> read_templates(const std::filesystem::path& path) {
  std::vector<prompt_template> templates;
  for (detail::text_line& line : detail::read_lines(path)) {
    try {
      templates.emplace_back(std::move(line.text));
    } catch (const argument_error& e) {
      throw format_error(std::string(e.what()) + " (" + path.string() + ", line " +
                         std::to_string(line.number) + ")");
    }
  }
  if (templates.empty()) {
    throw format_error("read templates", "a template a line", "no templates", path.string());
  }
  return templates;
}

/// Every word in every template, the templates of one word next to each other.
/// @return [n_words * n_templates]
inline std::vector<std::string> fill_templates(const std::vector<prompt_template>& templates,
                                               const std::vector<std::string>& words) {
  std::vector<std::string> prompts;
  prompts.reserve(templates.size() * words.size());
  for (const std::string& word : words) {
    for (const prompt_template& sentence : templates) prompts.push_back(sentence(word));
  }
  return prompts;
}

}  // namespace solens
