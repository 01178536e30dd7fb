#include "classifier.hpp"

#include <cstdio>  // std::snprintf
#include <utility>

#include <solens/text/templates.hpp>
#include <solens/text/word_list.hpp>

namespace solens::program {
namespace {

report_json in_json(index_t hits, index_t n) {
  const auto interval = stats::wilson_interval(hits, n);
  return {{"hits", hits},
          {"share", static_cast<float>(static_cast<double>(hits) / static_cast<double>(n))},
          {"interval", {static_cast<float>(interval.low), static_cast<float>(interval.high)}}};
}

}  // namespace

std::vector<std::string> class_names(const class_options& o, const clip_source& model) {
  if (o.classes.empty()) return {};
  const bpe_tokenizer tokenizer = open_tokenizer(o.vocab, model);
  word_list list = read_word_list(o.classes, &tokenizer);
  if (list.duplicates.empty()) return std::move(list.words);
  throw format_error("read classes", "each class once", "'" + list.duplicates.front() + "' again",
                     o.classes);
}

std::vector<prompt_template> templates_of(const class_options& o) {
  if (!o.templates.empty()) return read_templates(o.templates);
  return {prompt_template(default_class_template)};
}

index_t n_classes_of(const class_options& o, const std::vector<std::string>& names,
                     index_t d_joint) {
  if (!names.empty()) return std::ssize(names);
  const shape extents = npy_file(o.classifier).extents();
  if (extents.rank() == 2 && extents[0] == d_joint && extents[1] > 0) return extents[1];
  throw shape_error("read classifier", "[" + std::to_string(d_joint) + ", classes]",
                    to_string(extents), o.classifier);
}

report_json accuracy_in_json(const std::string& row, const stats::accuracy& a) {
  return {{"row", row},
          {"top_1", in_json(a.first(), a.n())},
          {"top_5", in_json(a.first_five(), a.n())}};
}

std::string accuracy_in_words(const std::string& row, const stats::accuracy& a) {
  char line[160];
  const auto percent = [&](index_t hits) {
    return 100 * static_cast<double>(hits) / static_cast<double>(a.n());
  };
  const auto one = stats::wilson_interval(a.first(), a.n());
  const auto five = stats::wilson_interval(a.first_five(), a.n());
  std::snprintf(line, sizeof line,
                "  %-22s top-1 %6.2f %% (%.2f to %.2f)   top-5 %6.2f %% (%.2f to %.2f)\n",
                row.c_str(), percent(a.first()), 100 * one.low, 100 * one.high,
                percent(a.first_five()), 100 * five.low, 100 * five.high);
  return line;
}

}  // namespace solens::program
