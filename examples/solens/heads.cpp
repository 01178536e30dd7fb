#include "heads.hpp"

#include <algorithm>
#include <charconv>  // std::from_chars
#include <cstdio>    // std::snprintf
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <solens/core/atomic_file.hpp>
#include <solens/findings/text_span.hpp>
#include <solens/stats/second_moments.hpp>

#include "commands.hpp"
#include "console.hpp"
#include "words.hpp"

namespace solens::program {
namespace {

/// `10.3,11.5`, as the heads it names.
/// @throws usage_error
std::vector<head_place> heads_in(const std::string& text) {
  std::vector<head_place> places;
  std::stringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    head_place place{};
    const char* const end = part.data() + part.size();
    auto read = std::from_chars(part.data(), end, place.layer);
    const bool dot = read.ec == std::errc() && read.ptr != end && *read.ptr == '.';
    if (dot) read = std::from_chars(read.ptr + 1, end, place.head);
    if (!dot || read.ec != std::errc() || read.ptr != end || place.layer < 0 || place.head < 0) {
      throw usage_error("--remove: expected heads as layer.head, as in 10.3,11.5, got '" + text +
                        "'");
    }
    places.push_back(place);
  }
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  if (places.empty()) throw usage_error("--remove: expected a head, got none");
  return places;
}

void declare(option_group command, heads_call& o) {
  const option_group source = command.group("Model, one of or both", 1, 2);
  source.path("--run", o.run, "Run folder of analyze, whose model, images and words are taken",
              "DIR");
  add_model(command, source, o.model);
  const option_group input = command.group("Input, one of [the run's images]", 0, 1);
  add_images(command, input, o.input);
  add_pixels(input, o.input);
  const option list = add_word_list(command, o.words);
  add_vocab(command, o.words.vocab);
  command.numbers("--layers", o.layers, "Layers, as in 8,9,10 or 8-10, or all [all]");
  command.number("--texts", o.texts, "Words a head [20]").within(1, 4096);
  const auto take_heads = [&o](const std::string& text) { o.remove = heads_in(text); };
  command.read("--remove", take_heads, "Heads to remove, as layer.head: 10.3,11.5", "LIST")
      .excludes(list);
  add_label_ids(command, o.label_ids);
  add_classes(command, command.group("Classifier, one of", 0, 1), o.classes);
  command.number("--seed", o.seed, "Of the random heads [0]");
  command.path(
      "--out", o.out,
      "Where the lines, or the accuracies as JSON, go [heads.jsonl of the run, or standard "
      "output]");
  add_common(command, o.common);
}

/// What `heads` cannot do with these words.
/// @throws usage_error
void check(const heads_call& o) {
  const bool labels = !o.input.labels.empty() || !o.label_ids.empty();
  const bool classes = !o.classes.classifier.empty() || !o.classes.classes.empty();
  if (o.run.empty() && !o.input.any()) {
    throw usage_error("--model: goes with --images or --pixels");
  }
  if (o.remove.empty()) {
    if (labels || classes) throw usage_error("--remove: expected heads, got none");
    if (o.run.empty() && o.words.list.empty()) {
      throw usage_error("--words: expected a list, got none");
    }
    return;
  }
  if (!o.words.list.empty()) throw usage_error("--words: does not go with --remove");
  if (!o.input.any()) throw usage_error("--remove: goes with --images or --pixels");
  if (o.input.labels.empty() == o.label_ids.empty()) {
    throw usage_error("labels: expected --labels folders or --label-ids, got " +
                      std::string(labels ? "both" : "none"));
  }
  if (!classes) {
    throw usage_error("classifier: expected --classifier or --classes, got none");
  }
}

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

void run_heads(const heads_call& call) {
  const head_task task(call);
  call.remove.empty() ? describe(task) : remove_heads(task);
}

}  // namespace

std::string name_of(const head_place& p) {
  return std::to_string(p.layer) + "." + std::to_string(p.head);
}

std::vector<site> sites_of(const std::vector<head_place>& places) {
  std::vector<site> sites = readout_sites();
  for (const head_place& p : places) {
    if (sites.back() == site{site_kind::values, p.layer}) continue;
    sites.push_back({site_kind::pattern, p.layer, true});
    sites.push_back({site_kind::values, p.layer});
  }
  return sites;
}

void add_heads(command_line& line) {
  line.add("heads",
           "(--run DIR | --model M (--images PATH | --pixels F)) [--words FILE] [options], or with "
           "--remove LIST (--labels folders | --label-ids F) (--classifier F | --classes FILE)",
           "Attention heads in words, or a classification without some of them", declare, run_heads,
           check);
}

}  // namespace solens::program
