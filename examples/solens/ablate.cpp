#include <algorithm>
#include <cstdio>  // std::snprintf
#include <iostream>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <solens/core/atomic_file.hpp>
#include <solens/findings/ablation.hpp>
#include <solens/stats/accuracy.hpp>
#include <solens/weights/safetensors.hpp>

#include "array_output.hpp"
#include "classifier.hpp"
#include "commands.hpp"
#include "console.hpp"
#include "labels.hpp"
#include "lens_run.hpp"
#include "run_folder.hpp"
#include "run_model.hpp"
#include "stopwatch.hpp"

namespace solens::program {
namespace {

/// Exactly one of `input.labels` and `label_ids` is set.
struct ablate_call {
  common_options common;
  model_options model;  ///< empty: the one that the run names
  image_options input;
  std::string label_ids;  ///< .npy of class numbers, one an image
  std::string run;
  class_options classes;
  std::uint64_t seed = 0;
  std::size_t memory = std::size_t{4} << 30;  ///< bytes kept of layers at a time
  std::string logits;                         ///< .safetensors; empty: not wanted
  std::string out;                            ///< JSON; empty: standard output
};

void declare(option_group command, ablate_call& o) {
  add_run(command, o.run, "Run folder of analyze");
  add_input(command, o.input);
  add_label_ids(command, o.label_ids);
  const option classes = add_classes(command, command.one_of("Classifier, one of"), o.classes);
  add_vocab(command, o.classes.vocab).needs(classes);
  command.number("--seed", o.seed, "Of the random controls [0]");
  add_memory(command, o.memory);
  command.text("--logits", o.logits, "Where the logits of every row go: .safetensors", "FILE")
      .ends_in({".safetensors"});
  add_json_output(command, o.out);
  add_model_of_run(command, o.model);
  add_common(command, o.common);
}

void check(const ablate_call& o) {
  if (o.input.labels.empty() == o.label_ids.empty()) {
    throw usage_error("labels: expected --labels folders or --label-ids, got " +
                      std::string(o.label_ids.empty() ? "none" : "both"));
  }
}

/// What a run found about a layer.
struct layer_of_run {
  index_t layer;
  safetensors_file file;
  std::vector<std::pair<std::string, host_tensor<float>>> codes;  ///< by row: "code", "code_4"

  layer_to_ablate<float> to_ablate() const {
    layer_to_ablate<float> result{.layer = layer,
                                  .mean_effect = file.view<float>("mean_effect"),
                                  .mean_coefficients = file.view<float>("mean_coefficients"),
                                  .threshold = file.view<float>("threshold"),
                                  .directions = {{"direction", file.view<float>("direction")}}};
    for (const auto& [row, vectors] : codes) result.directions.push_back({row, vectors.view()});
    return result;
  }
};

/// The code's rows of a layer: of the whole code first, then of its beginnings, shortest first.
void read_codes(layer_of_run& of, const safetensors_file& dictionary) {
  const auto words = dictionary.view<float>("embeddings");
  const auto atoms = of.file.view<index_t>("code_atoms");
  const auto add = [&](const std::string& row, const std::string& weights) {
    of.codes.emplace_back(row,
                          reconstruct_codes<float>(atoms, of.file.view<float>(weights), words));
  };
  add("code", "code_weights");
  const std::string prefix = "code_weights_";
  std::set<index_t> sizes;
  for (const tensor_info& t : of.file.tensors()) {
    if (t.name.starts_with(prefix)) sizes.insert(std::stoll(t.name.substr(prefix.size())));
  }
  for (const index_t size : sizes) {
    const std::string number = std::to_string(size);
    add("code_" + number, prefix + number);
  }
}

std::vector<layer_of_run> read_layers(const run_folder& folder, const report_json& record) {
  std::vector<layer_of_run> layers;
  std::optional<safetensors_file> dictionary;
  for (const index_t layer : layers_of(record)) {
    auto& of = layers.emplace_back(
        layer_of_run{layer, safetensors_file(folder.path() / run_folder::layer_file(layer)), {}});
    if (!of.file.contains("code_atoms")) continue;
    if (!dictionary) dictionary.emplace(folder.path() / "dictionary.safetensors");
    read_codes(of, *dictionary);
  }
  return layers;
}

/// What is found of a layer: a count a row.
struct layer_result {
  index_t layer, n_effects = 0, n_significant = 0;
  std::vector<std::string> rows = {};
  std::vector<stats::accuracy> accuracy = {};
};

/// The parts of a call that every pass over the images needs.
struct ablation_task {
  const ablate_call& call;
  const clip_source& model;
  convention how;
  double coefficient;
  std::vector<index_t> labels;  ///< by position of the input

  std::unique_ptr<image_input> images() const {
    return open_images(call.input, preprocess_of(model), call.common.batch,
                       threads_of(call.common));
  }
};

/// As many layers, from the first on, as the memory holds; one at least.
template <tensor_backend B>
std::size_t layers_that_fit(const ablation_task& task, std::span<const layer_of_run> layers) {
  const vision_config& c = task.model.config.vision;
  std::size_t taken = 0, n = 0;
  for (; n < layers.size(); ++n) {
    taken += ablated_layer<B>::memory(c.d_mlp, (c.n_layers - 1 - layers[n].layer) * c.n_heads,
                                      c.d_model, task.model.config.d_joint,
                                      1 + std::ssize(layers[n].codes), task.how);
    if (taken > task.call.memory && n > 0) break;
  }
  return n;
}

/// One pass over the images for layers that memory holds together.
/// @param logits  where those of layer i and row r go, in the order of all rows; may be null
/// @param first   of these layers' rows in there
template <tensor_backend B>
std::vector<layer_result> pass(const B& be, const ablation_task& task, const_view_of<B> classifier,
                               std::span<const layer_of_run> layers, image_input& input,
                               array_output* logits, std::size_t first) {
  const vision_config& c = task.model.config.vision;
  std::vector<index_t> numbers;
  std::vector<layer_to_ablate<float>> found;
  for (const auto& l : layers) {
    numbers.push_back(l.layer);
    found.push_back(l.to_ablate());
  }
  std::vector<site> sites = second_order_sites(c, numbers);
  for (const index_t l : numbers) sites.push_back({site_kind::mlp_out, l});
  lens_run<B> run(be, load_vision_tower(be, task.model),
                  std::min(task.call.common.batch, input.size()), sites);
  ablation<B> ablate(be, lens_weights_of(run.tower()), found,
                     {.how = task.how, .coefficient = task.coefficient, .seed = task.call.seed});
  std::vector<layer_result> results;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    auto rows = ablate.rows(i);
    const std::size_t n = rows.size();
    results.push_back({numbers[i], 0, 0, std::move(rows), std::vector<stats::accuracy>(n)});
  }

  scratch<B> memory;
  for_each_batch(input, "ablate", task.call.common.quiet, [&](const image_input::batch& batch) {
    std::vector<index_t> labels;
    std::vector<std::string> names;
    for (const index_t position : batch.positions) {
      labels.push_back(task.labels[static_cast<std::size_t>(position)]);
      names.push_back(input.name(position));
    }
    const auto activations = run(batch.pixels);
    std::vector<const_view_of<B>> outputs;
    for (const index_t l : numbers) outputs.push_back(run.cache().at({site_kind::mlp_out, l}));
    std::size_t which = first;
    const auto take = [&](std::size_t i, const_view_of<B> rows) {
      const index_t r = rows.extent(0), n = rows.extent(1), k = classifier.extent(1);
      const view_of<B> products = memory.get(be, {r * n, k});
      be.gemm(1, rows.reshaped({r * n, rows.extent(2)}), classifier, 0, products);
      host_tensor<float> host({r, n, k});
      be.download(const_view_of<B>(products).reshaped({r, n, k}), host);
      for (index_t row = 0; row < r; ++row) {
        const host_view<const float> of_row = std::as_const(host).view()[row];
        results[i].accuracy[static_cast<std::size_t>(row)].add(of_row, labels);
        if (logits != nullptr) logits->append(which++, of_row);
      }
    };
    ablate.add(be, activations, take, outputs, names);
  });
  for (std::size_t i = 0; i < results.size(); ++i) {
    results[i].n_effects = ablate.n_images() * c.d_mlp;
    results[i].n_significant = ablate.n_significant(i);
  }
  return results;
}

/// `layer-9.baseline` and so on, for all layers.
std::vector<array_output::array> logit_arrays(const std::vector<layer_of_run>& layers,
                                              index_t n_classes) {
  std::vector<array_output::array> arrays;
  for (const auto& l : layers) {
    std::vector<std::string> sets{"direction"};
    for (const auto& code : l.codes) sets.push_back(code.first);
    for (const std::string& row : ablation_rows(sets)) {
      arrays.push_back({"layer-" + std::to_string(l.layer) + "." + row, {n_classes}});
    }
  }
  return arrays;
}

report_json in_json(const layer_result& of) {
  report_json rows = report_json::array();
  for (std::size_t r = 0; r < of.rows.size(); ++r) {
    rows.push_back(accuracy_in_json(of.rows[r], of.accuracy[r]));
  }
  return {{"layer", of.layer},
          {"effects", of.n_effects},
          {"significant", of.n_significant},
          {"rows", std::move(rows)}};
}

/// A line a row for people: percentages with the ends of their intervals.
std::string in_words(const std::vector<layer_result>& results) {
  std::string text;
  char line[160];
  for (const layer_result& of : results) {
    std::snprintf(line, sizeof line, "layer %lld, %.2f %% of the effects significant\n",
                  static_cast<long long>(of.layer),
                  100 * static_cast<double>(of.n_significant) / static_cast<double>(of.n_effects));
    text += line;
    for (std::size_t r = 0; r < of.rows.size(); ++r)
      text += accuracy_in_words(of.rows[r], of.accuracy[r]);
  }
  return text;
}

/// Adds the ablations to the run, where the report finds them.
void keep(const run_folder& folder, report_json record, const report_json& report,
          const std::string& text) {
  const passing_folder next = folder.begin_replacing();
  write_file_atomically(next.path() / run_folder::ablation_file, text);
  record["ablation"] = {{"images", report.at("images")}, {"classes", report.at("classes")}};
  folder.finish_adding(record);
}

void run_ablate(const ablate_call& call) {
  const stopwatch whole;
  const run_folder folder = run_folder::open(call.run);
  const report_json record = folder.record();
  const clip_source model = open_model_of_run(call.run, record, call.model);
  vision_of(model);
  const std::vector<layer_of_run> layers = read_layers(folder, record);
  const std::vector<std::string> classes = class_names(call.classes, model);
  const index_t n_classes = n_classes_of(call.classes, classes, model.config.d_joint);
  const report_json& options = record.at("options");
  const bool reference = options.at("convention") == "reference";
  ablation_task task{call,
                     model,
                     reference ? convention::reference : convention::centered,
                     static_cast<double>(options.at("coefficient").get<float>()),
                     {}};
  auto input = task.images();
  task.labels = labels_of(call.input, call.label_ids, input->size(), n_classes, classes);
  std::optional<atomic_file> out;
  if (!call.out.empty()) out.emplace(call.out);
  std::optional<array_output> logits;
  if (!call.logits.empty()) {
    logits.emplace(call.logits, logit_arrays(layers, n_classes), input->size());
  }
  if (!call.common.quiet && layers.front().codes.empty()) {
    std::cerr << "ablate: no rows of codes, since " << call.run << " has none (solens describe)\n";
  }

  std::vector<layer_result> results;
  index_t n_skipped = 0;
  with_backend(call.common, [&]<tensor_backend B>(const B& be) {
    const auto classifier = classifier_of(be, call.classes, model, classes);
    std::size_t done = 0, n_rows = 0;
    while (done < layers.size()) {
      if (done > 0) input = task.images();
      const auto rest = std::span(layers).subspan(done);
      const auto now = rest.first(layers_that_fit<B>(task, rest));
      for (layer_result& of :
           pass(be, task, classifier.view(), now, *input, logits ? &*logits : nullptr, n_rows)) {
        n_rows += of.rows.size();
        results.push_back(std::move(of));
      }
      done += now.size();
    }
    n_skipped = std::ssize(input->skipped());
  });

  report_json report{{"format", 1},
                     {"solens", SOLENS_VERSION},
                     {"run", call.run},
                     {"model", record.at("model")},
                     {"images",
                      {{"source", call.input.place()},
                       {"count", results.front().accuracy.front().n()},
                       {"skipped", n_skipped}}},
                     {"classes", n_classes},
                     {"seed", call.seed},
                     {"layers", report_json::array()},
                     {"seconds", static_cast<float>(whole.seconds())}};
  for (const layer_result& of : results) report["layers"].push_back(in_json(of));
  const std::string text = report.dump(2, ' ', false, report_json::error_handler_t::replace) + "\n";
  if (logits) logits->finish();
  if (!call.common.quiet) std::cerr << in_words(results);
  if (out) {
    out->write(text);
    out->commit();
  } else {
    print(text);
  }
  keep(folder, record, report, text);
}

}  // namespace

void add_ablate(command_line& line) {
  line.add("ablate",
           "--run DIR (--images PATH --labels folders | --pixels F --label-ids F) (--classifier F "
           "| --classes FILE) [options]",
           "Accuracies without neurons, and with parts of their effects", declare, run_ablate,
           check);
}

}  // namespace solens::program
