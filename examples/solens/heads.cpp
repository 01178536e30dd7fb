#include <algorithm>
#include <cstdio>  // std::snprintf
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <solens/core/atomic_file.hpp>
#include <solens/findings/head_removal.hpp>
#include <solens/findings/text_span.hpp>
#include <solens/findings/writer_directions.hpp>
#include <solens/stats/second_moments.hpp>

#include "classifier.hpp"
#include "commands.hpp"
#include "console.hpp"
#include "labels.hpp"
#include "lens_run.hpp"
#include "run_folder.hpp"
#include "run_images.hpp"
#include "run_model.hpp"
#include "stopwatch.hpp"
#include "words.hpp"

namespace solens::program {
namespace {

/// What a call is about: a model, images, and the run that they may come from.
struct head_task {
  const heads_call& call;
  std::optional<run_folder> folder;
  report_json record;  ///< of the run
  clip_source model;
  image_options input;

  explicit head_task(const heads_call& c)
      : call(c),
        folder(c.run.empty() ? std::nullopt : std::optional(run_folder::open(c.run))),
        record(folder ? folder->record() : report_json()),
        model(folder ? open_model_of_run(c.run, record, c.model) : open_model(c.model)),
        input(c.input.any() || !folder ? c.input : images_of_run(*folder, record)) {
    vision_of(model);
  }

  double coefficient() const {
    return folder ? record.at("options").at("coefficient").get<double>() : 100.0;
  }
  std::unique_ptr<image_input> images() const {
    return open_images(input, preprocess_of(model), call.common.batch, threads_of(call.common));
  }
};

std::string name_of(const head_place& p) {
  return std::to_string(p.layer) + "." + std::to_string(p.head);
}

/// The sites that the outputs of heads need.
std::vector<site> sites_of(const std::vector<head_place>& places) {
  std::vector<site> sites = readout_sites();
  for (const head_place& p : places) {
    if (sites.back() == site{site_kind::values, p.layer}) continue;
    sites.push_back({site_kind::pattern, p.layer, true});
    sites.push_back({site_kind::values, p.layer});
  }
  return sites;
}

// Heads in texts.

/// The layers asked for, all of them where none is.
/// @throws argument_error naming one that the model has not
std::vector<index_t> layers_of(const head_task& task) {
  const index_t n = task.model.config.vision.n_layers;
  std::vector<index_t> layers = task.call.layers;
  if (layers.empty()) {
    for (index_t l = 0; l < n; ++l) layers.push_back(l);
  }
  std::sort(layers.begin(), layers.end());
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  if (layers.back() < n) return layers;
  throw argument_error("heads", "layers from 0 to " + std::to_string(n - 1),
                       std::to_string(layers.back()), "--layers");
}

/// The words of the call, or else those of the run.
/// @throws argument_error where there are none
word_source words_of(const head_task& task) {
  word_options o = task.call.words;
  if (o.list.empty()) {
    if (!task.record.contains("words")) {
      throw argument_error("heads", "words: --words FILE, or a run with words (solens describe)",
                           "none", task.call.run);
    }
    const report_json& words = task.record.at("words");
    const auto embeddings = words.at("embeddings").get<std::string>();
    const bool tower = embeddings == "text tower";
    if (!tower) o.embeddings = embeddings;  // a row for each line of the list that was given
    o.list =
        tower ? (task.folder->path() / "words.txt").string() : words.at("list").get<std::string>();
    if (tower) o.sentence = words.at("template").get<std::string>();
  }
  return open_words(task.call.common, o, &task.model, sha256_of(task.model),
                    task.model.config.d_joint);
}

struct heads_in_words {
  std::vector<head_place> places;
  text_spans<float> spans;
  index_t n_images = 0, n_skipped = 0;
};

template <tensor_backend B>
heads_in_words describe_heads(const B& be, const head_task& task,
                              const std::vector<index_t>& layers,
                              const host_tensor<float>& embeddings) {
  const vision_config& c = task.model.config.vision;
  const bool quiet = task.call.common.quiet;
  heads_in_words result{heads_of(layers, c.n_heads), {}, 0, 0};
  const auto input = task.images();
  lens_run<B> run(be, load_vision_tower(be, task.model),
                  std::min(task.call.common.batch, input->size()), sites_of(result.places));
  const head_maps<B> maps(be, lens_weights_of(run.tower()), convention::centered);
  head_outputs<B> outputs(maps, result.places, task.coefficient());
  stats::second_moments<typename B::scalar> moments(outputs.n_sources(), outputs.d_head());
  for_each_batch(*input, "heads", quiet, [&](const image_input::batch& batch) {
    const const_view_of<B> x = outputs.coordinates(be, run(batch.pixels));
    host_tensor<float> host(x.extents());
    be.download(x, host);
    moments.add(std::as_const(host).view());
  });
  result.n_images = moments.count();
  result.n_skipped = std::ssize(input->skipped());

  auto texts = be.allocate(embeddings.extents());
  be.upload(embeddings.view(), texts.view());
  progress bar("texts", "heads", outputs.n_sources(), {.style = progress_style_of_stderr(quiet)});
  result.spans = text_span(be, outputs, moments, std::as_const(texts).view(), task.call.texts,
                           [&](index_t done) {
                             bar.add(done - bar.done());
                             throw_if_stopped();
                           });
  bar.finish();
  return result;
}

/// A line of JSON a head.
std::string lines_of(const heads_in_words& found, const std::vector<std::string>& words) {
  std::string lines;
  for (std::size_t k = 0; k < found.places.size(); ++k) {
    const auto row = static_cast<index_t>(k);
    report_json texts = report_json::array();
    for (index_t i = 0; i < found.spans.texts.extent(1); ++i) {
      const index_t text = found.spans.texts(row, i);
      if (text < 0) break;
      texts.push_back(
          {{"text", words[static_cast<std::size_t>(text)]}, {"share", found.spans.shares(row, i)}});
    }
    const report_json line{{"layer", found.places[k].layer},
                           {"head", found.places[k].head},
                           {"variance", found.spans.variance(row)},
                           {"texts", std::move(texts)}};
    lines += line.dump(-1, ' ', false, report_json::error_handler_t::replace) + "\n";
  }
  return lines;
}

/// The first words of every head, for people.
std::string table_of(const heads_in_words& found, const std::vector<std::string>& words) {
  std::string table;
  for (std::size_t k = 0; k < found.places.size(); ++k) {
    const auto row = static_cast<index_t>(k);
    char text[64];
    std::snprintf(text, sizeof text, "%6s  variance %9.3g ", name_of(found.places[k]).c_str(),
                  double{found.spans.variance(row)});
    table += text;
    for (index_t i = 0; i < std::min<index_t>(5, found.spans.texts.extent(1)); ++i) {
      const index_t word = found.spans.texts(row, i);
      if (word < 0) break;
      std::snprintf(text, sizeof text, " (%.0f %%)", 100 * double{found.spans.shares(row, i)});
      table += (i > 0 ? ", " : " ") + words[static_cast<std::size_t>(word)] + text;
    }
    table += "\n";
  }
  return table;
}

void describe(const head_task& task) {
  const std::vector<index_t> layers = layers_of(task);
  const word_source words = words_of(task);
  std::optional<atomic_file> out;
  if (!task.call.out.empty()) out.emplace(task.call.out);
  const host_tensor<float> embeddings = embeddings_of(task.call.common, words);
  heads_in_words found;
  with_backend(task.call.common, [&]<tensor_backend B>(const B& be) {
    found = describe_heads(be, task, layers, embeddings);
  });
  const std::string lines = lines_of(found, words.list.words);
  if (!task.call.common.quiet) std::cerr << table_of(found, words.list.words);
  if (out) {
    out->write(lines);
    out->commit();
  } else if (task.folder) {
    const passing_folder next = task.folder->begin_replacing();
    write_file_atomically(next.path() / "heads.jsonl", lines);
    report_json record = task.record;
    record["heads"] = {{"layers", layers},
                       {"texts", task.call.texts},
                       {"list", words.options.list},
                       {"sha256", words.list_hash},
                       {"images",
                        {{"source", task.input.place()},
                         {"count", found.n_images},
                         {"skipped", found.n_skipped}}}};
    task.folder->finish_adding(record);
  } else {
    print(lines);
  }
}

// Heads removed.

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

void remove(const head_task& task) {
  const stopwatch whole;
  const heads_call& call = task.call;
  const vision_config& c = task.model.config.vision;
  for (const head_place& p : call.remove) {
    if (p.layer < c.n_layers && p.head < c.n_heads) continue;
    throw argument_error("heads", "heads 0.0 to " + name_of({c.n_layers - 1, c.n_heads - 1}),
                         name_of(p), "--remove");
  }
  const std::vector<std::string> classes = class_names(call.classes);
  const index_t n_classes = n_classes_of(call.classes, classes, task.model.config.d_joint);
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
    const auto classifier = classifier_of(be, call.classes, task.model, classes);
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

}  // namespace

void run_heads(const heads_call& call) {
  const head_task task(call);
  call.remove.empty() ? describe(task) : remove(task);
}

}  // namespace solens::program
