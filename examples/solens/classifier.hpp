#pragma once

#include <string>
#include <vector>

#include <solens/findings/zero_shot.hpp>
#include <solens/stats/accuracy.hpp>
#include <solens/weights/npy.hpp>

#include "model_files.hpp"
#include "options.hpp"
#include "run_folder.hpp"

/// What tells classes apart, and how often it does so rightly.
namespace solens::program {

/// Names of the classes; empty where `--classifier` stands for them.
/// @param model  whose tokenizer has to know something of them, unless there is `--vocab`
/// @throws io_error, format_error naming the file, for a class that is there twice, too
std::vector<std::string> class_names(const class_options&, const clip_source& model);

/// The sentences that class names stand in.
std::vector<prompt_template> templates_of(const class_options&);

/// @throws shape_error when a classifier from a file is of another width
index_t n_classes_of(const class_options&, const std::vector<std::string>& names, index_t d_joint);

/// [d_joint, n_classes]
template <tensor_backend B>
typename B::tensor classifier_of(const B& be, const class_options& o, const clip_source& model,
                                 const std::vector<std::string>& names) {
  if (!names.empty()) {
    return zero_shot_classifier(be, load_text_tower(be, model), open_tokenizer(o.vocab, model),
                                names, templates_of(o));
  }
  const auto numbers = npy_file(o.classifier).tensor<float>();
  auto result = be.allocate(numbers.extents());
  be.upload(numbers.view(), result.view());
  return result;
}

/// A row of accuracies: its name, top-1 and top-5 with hits, share and interval.
report_json accuracy_in_json(const std::string& row, const stats::accuracy&);

/// The same as a line for people: percentages with the ends of their intervals.
std::string accuracy_in_words(const std::string& row, const stats::accuracy&);

}  // namespace solens::program
