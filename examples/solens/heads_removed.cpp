#include <algorithm>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <solens/core/atomic_file.hpp>
#include <solens/findings/head_removal.hpp>
#include <solens/findings/writer_directions.hpp>  // random_subset
#include <solens/stats/accuracy.hpp>

#include "classifier.hpp"
#include "console.hpp"
#include "heads.hpp"
#include "labels.hpp"
#include "stopwatch.hpp"

namespace solens::program {
namespace {

/// As many other heads as are removed, drawn from the blocks from the first removed one on; fewer
/// where there are not so many.
std::vector<head_place> random_heads(const std::vector<head_place>& removed, const vision_config& c,
                                     std::uint64_t seed) {
  std::vector<head_place> others;
  for (index_t l = removed.front().layer; l < c.n_layers; ++l) {
    for (index_t h = 0; h < c.n_heads; ++h) {
      const head_place place{l, h};
      if (!std::binary_search(removed.begin(), removed.end(), place)) others.push_back(place);
    }
  }
  const index_t n = std::min(std::ssize(others), std::ssize(removed));
  std::vector<head_place> chosen;
  for (const index_t i : random_subset(std::ssize(others), n, {seed})) {
    chosen.push_back(others[static_cast<std::size_t>(i)]);
  }
  return chosen;
}

/// A row of accuracies: what becomes of representations when some heads are removed.
struct removal_row {
  std::string name;
  std::vector<head_place> heads;
  std::vector<float> left = {};  ///< [images, d_joint]: representations without the heads
  stats::accuracy accuracy = {};
};

/// Scores representations once the mean of what was removed is known, a part at a time.
template <tensor_backend B>
void score(const B& be, const_view_of<B> classifier, const host_tensor<double>& mean,
           const std::vector<index_t>& labels, removal_row& row) {
  const index_t e = mean.size(), n = std::ssize(labels), k = classifier.extent(1);
  const index_t at_once = std::min<index_t>(n, 1024);
  auto rows = be.allocate({at_once, e}), products = be.allocate({at_once, k});
  for (index_t begin = 0; begin < n; begin += at_once) {
    const index_t count = std::min(at_once, n - begin);
    const host_view<float> part(row.left.data() + begin * e, {count, e});
    for (index_t i = 0; i < count; ++i) {
      for (index_t j = 0; j < e; ++j) part(i, j) += static_cast<float>(mean(j));
    }
    const view_of<B> x = rows.view().slice(0, 0, count), y = products.view().slice(0, 0, count);
    be.upload(host_view<const float>(part), x);
    be.gemm(1, const_view_of<B>(x), classifier, 0, y);
    host_tensor<float> logits({count, k});
    be.download(const_view_of<B>(y), logits);
    row.accuracy.add(std::as_const(logits).view(),
                     std::span(labels).subspan(static_cast<std::size_t>(begin),
                                               static_cast<std::size_t>(count)));
  }
}

/// One pass over the images, whose representations are kept until the means are known.
/// @param labels  by position of the input
/// @returns how many images were skipped
template <tensor_backend B>
index_t measure(const B& be, const head_task& task, image_input& input, const_view_of<B> classifier,
                const std::vector<index_t>& labels, std::vector<removal_row>& rows) {
  std::vector<head_place> all;
  for (const removal_row& row : rows) all.insert(all.end(), row.heads.begin(), row.heads.end());
  std::sort(all.begin(), all.end());
  const index_t e = task.model.config.d_joint;
  lens_run<B> run(be, load_vision_tower(be, task.model),
                  std::min(task.call.common.batch, input.size()), sites_of(all));
  const head_maps<B> maps(be, lens_weights_of(run.tower()), convention::centered);
  std::vector<head_outputs<B>> outputs;
  std::vector<head_removal<B>> removals;
  outputs.reserve(rows.size());  // removals refer to them
  for (const removal_row& row : rows) {
    outputs.emplace_back(maps, row.heads, task.coefficient());
    removals.emplace_back(be, outputs.back());
  }
  std::vector<index_t> of_read;
  scratch<B> memory;
  for_each_batch(input, "heads", task.call.common.quiet, [&](const image_input::batch& batch) {
    for (const index_t p : batch.positions) {
      of_read.push_back(labels[static_cast<std::size_t>(p)]);
    }
    const auto activations = run(batch.pixels);
    const view_of<B> left = memory.get(be, {std::ssize(batch.positions), e});
    host_tensor<float> host(left.extents());
    for (std::size_t r = 0; r < rows.size(); ++r) {
      removals[r](be, activations, left);
      be.download(const_view_of<B>(left), host);
      rows[r].left.insert(rows[r].left.end(), host.begin(), host.end());
    }
  });
  for (std::size_t r = 0; r < rows.size(); ++r) {
    score(be, classifier, removals[r].mean(), of_read, rows[r]);
  }
  return std::ssize(input.skipped());
}

}  // namespace

void remove_heads(const head_task& task) {
  const stopwatch whole;
  const heads_call& call = task.call;
  const vision_config& c = task.model.config.vision;
  for (const head_place& p : call.remove) {
    if (p.layer < c.n_layers && p.head < c.n_heads) continue;
    throw argument_error("heads", "heads 0.0 to " + name_of({c.n_layers - 1, c.n_heads - 1}),
                         name_of(p), "--remove");
  }
  class_options classifier_options = call.classes;
  classifier_options.vocab = call.words.vocab;
  const std::vector<std::string> classes = class_names(classifier_options, task.model);
  const index_t n_classes = n_classes_of(classifier_options, classes, task.model.config.d_joint);
  const auto input = task.images();
  const auto labels = labels_of(task.input, call.label_ids, input->size(), n_classes, classes);
  std::optional<atomic_file> out;
  if (!call.out.empty()) out.emplace(call.out);

  std::vector<removal_row> rows{{"baseline", {}},
                                {"without_heads", call.remove},
                                {"without_random_heads", random_heads(call.remove, c, call.seed)}};
  if (rows.back().heads.empty()) rows.pop_back();
  index_t n_skipped = 0;
  with_backend(call.common, [&]<tensor_backend B>(const B& be) {
    const auto classifier = classifier_of(be, classifier_options, task.model, classes);
    n_skipped = measure(be, task, *input, classifier.view(), labels, rows);
  });
  report_json report{{"format", 1},
                     {"solens", SOLENS_VERSION},
                     {"model", {{"sha256", sha256_of(task.model)}}},
                     {"images",
                      {{"source", task.input.place()},
                       {"count", rows.front().accuracy.n()},
                       {"skipped", n_skipped}}},
                     {"classes", n_classes},
                     {"seed", call.seed},
                     {"rows", report_json::array()},
                     {"seconds", static_cast<float>(whole.seconds())}};
  std::string table;
  for (const removal_row& row : rows) {
    report_json of_row = accuracy_in_json(row.name, row.accuracy);
    of_row["heads"] = report_json::array();
    for (const head_place& p : row.heads) of_row["heads"].push_back(name_of(p));
    report["rows"].push_back(std::move(of_row));
    table += accuracy_in_words(row.name, row.accuracy);
  }
  const std::string text = report.dump(2, ' ', false, report_json::error_handler_t::replace) + "\n";
  if (!call.common.quiet) std::cerr << table;
  if (!out) return print(text);
  out->write(text);
  out->commit();
}

}  // namespace solens::program
