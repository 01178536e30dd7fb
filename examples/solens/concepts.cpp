#include <algorithm>
#include <cstdio>  // std::snprintf
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <solens/core/atomic_file.hpp>
#include <solens/findings/concepts.hpp>

#include "commands.hpp"
#include "console.hpp"
#include "contact_sheet.hpp"
#include "described_run.hpp"
#include "lens_run.hpp"
#include "run_model.hpp"
#include "stopwatch.hpp"

namespace solens::program {
namespace {

/// Exactly one of `input.images`, `input.pixels` and `index` is set.
struct concepts_call {
  common_options common;
  model_options model;  ///< empty: the one that the run names
  image_options input;
  std::string index;                          ///< what an earlier call wrote
  std::string run;                            ///< empty with `index`
  std::vector<index_t> layers;                ///< empty: the run's
  index_t top_words = 20;                     ///< of each image
  index_t top_neurons = 10;                   ///< named for each word
  std::string find;                           ///< a word; empty: all that images hold
  std::string sheet;                          ///< PNG of the images found; empty: none
  std::size_t memory = std::size_t{4} << 30;  ///< bytes kept of layers at a time
  std::string out;                            ///< JSON; empty: standard output
};

void declare(option_group command, concepts_call& o) {
  const option_group input = command.one_of("Images, one of");
  const auto take_image = [&o](const std::string& path) {
    o.input.images = path;
    o.input.strict = true;
  };
  input.read("--image", take_image, "An image", "FILE");
  add_images(command, input, o.input);
  add_pixels(input, o.input);
  input.path("--index", o.index, "What an earlier call wrote, to --find in");
  command.path("--run", o.run, "Run folder of analyze, with words", "DIR");
  command.numbers("--layers", o.layers, "Layers, as in 8,9,10 or 8-10, or all [all of the run]");
  add_count(command, "--top-words", o.top_words, "Words kept of each image [20]");
  add_count(command, "--top-neurons", o.top_neurons, "Neurons named for each word [10]");
  const option find =
      command.text("--find", o.find, "List the images that have this word among theirs", "WORD");
  command.path("--sheet", o.sheet, "PNG that shows the first of the images found").needs(find);
  add_memory(command, o.memory);
  add_json_output(command, o.out);
  add_model_of_run(command, o.model);
  add_common(command, o.common);
}

void check(const concepts_call& o) {
  if (o.index.empty() && o.run.empty()) throw usage_error("--run is required");
  if (!o.index.empty() && o.find.empty()) throw usage_error("--index requires --find");
}

/// An image's significant neurons, over all layers.
struct image_writers {
  std::string name;
  std::vector<weighted_writer> writers = {};
};

/// As many layers, from the first on, as the memory holds; one at least.
template <tensor_backend B>
std::size_t layers_that_fit(const clip_config& c, convention how, std::size_t memory,
                            std::span<const described_layer> layers) {
  std::size_t taken = 0, n = 0;
  for (; n < layers.size(); ++n) {
    taken += significant_writers<B>::memory(
        c.vision.d_mlp, (c.vision.n_layers - 1 - layers[n].layer) * c.vision.n_heads, c.d_joint,
        how);
    if (taken > memory && n > 0) break;
  }
  return n;
}

/// One pass over the images for layers that memory holds together.
/// @param images  by position of the input; a skipped one keeps its empty name
template <tensor_backend B>
void pass(const B& be, const concepts_call& call, const clip_source& model,
          const described_run& run, std::span<const described_layer> layers, image_input& input,
          std::vector<image_writers>& images) {
  std::vector<found_layer<float>> found;
  std::vector<index_t> numbers;
  for (const described_layer& l : layers) {
    found.push_back(l.found());
    numbers.push_back(l.layer);
  }
  lens_run<B> forward(be, load_vision_tower(be, model), std::min(call.common.batch, input.size()),
                      second_order_sites(model.config.vision, numbers));
  significant_writers<B> significant(be, lens_weights_of(forward.tower()), found, run.how(),
                                     run.coefficient());
  for_each_batch(input, "concepts", call.common.quiet, [&](const image_input::batch& batch) {
    std::vector<std::string> names;
    for (const index_t position : batch.positions) names.push_back(input.name(position));
    const auto by_image = significant(be, forward(batch.pixels), names);
    for (std::size_t i = 0; i < by_image.size(); ++i) {
      image_writers& to = images[static_cast<std::size_t>(batch.positions[i])];
      to.name = names[i];
      to.writers.insert(to.writers.end(), by_image[i].begin(), by_image[i].end());
    }
  });
}

std::vector<image_writers> all_passes(const concepts_call& call, const clip_source& model,
                                      const described_run& run, index_t& n_skipped) {
  std::vector<image_writers> images;
  with_backend(call.common, [&]<tensor_backend B>(const B& be) {
    std::span<const described_layer> rest(run.layers);
    while (!rest.empty()) {
      const auto input =
          open_images(call.input, preprocess_of(model), call.common.batch, threads_of(call.common));
      images.resize(static_cast<std::size_t>(input->size()));
      const std::size_t n = layers_that_fit<B>(model.config, run.how(), call.memory, rest);
      pass(be, call, model, run, rest.first(n), *input, images);
      rest = rest.subspan(n);
      n_skipped = std::ssize(input->skipped());
    }
  });
  std::erase_if(images, [](const image_writers& i) { return i.name.empty(); });
  return images;
}

report_json in_json(const said_word& said, const described_run& run, index_t n_neurons) {
  report_json neurons = report_json::array();
  for (const weighted_writer& w : said.by) {
    if (std::ssize(neurons) == n_neurons) break;
    neurons.push_back(
        {{"layer", w.layer}, {"neuron", w.writer}, {"score", static_cast<float>(w.weight)}});
  }
  return {{"word", run.word(said.word)},
          {"score", static_cast<float>(said.score)},
          {"said_by", std::ssize(said.by)},
          {"neurons", std::move(neurons)}};
}

report_json make_report(const concepts_call& call) {
  const stopwatch whole;
  const described_run run = open_described_run("concepts", call.run, call.layers);
  if (!call.find.empty() &&
      std::find(run.words.begin(), run.words.end(), call.find) == run.words.end()) {
    throw argument_error("concepts", "a word of " + (run.folder.path() / "words.txt").string(),
                         "'" + call.find + "'", "--find");
  }
  const clip_source model = open_model_of_run(call.run, run.record, call.model);
  vision_of(model);
  index_t n_skipped = 0;
  const std::vector<image_writers> images = all_passes(call, model, run, n_skipped);

  report_json layers = report_json::array(), results = report_json::array();
  for (const described_layer& l : run.layers) layers.push_back(l.layer);
  const std::vector<layer_codes<float>> codes = run.codes();
  for (const image_writers& image : images) {
    std::vector<said_word> words = words_said_by<float>(image.writers, codes);
    words.resize(std::min(words.size(), static_cast<std::size_t>(call.top_words)));
    report_json said = report_json::array();
    for (const said_word& w : words) said.push_back(in_json(w, run, call.top_neurons));
    results.push_back({{"image", image.name},
                       {"significant", std::ssize(image.writers)},
                       {"words", std::move(said)}});
  }
  return {{"format", 1},
          {"solens", SOLENS_VERSION},
          {"run", call.run},
          {"model", run.record.at("model")},
          {"layers", std::move(layers)},
          {"images",
           {{"source", call.input.place()}, {"count", std::ssize(images)}, {"skipped", n_skipped}}},
          {"concepts", std::move(results)},
          {"seconds", static_cast<float>(whole.seconds())}};
}

/// What an earlier call wrote.
report_json read_index(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw io_error("read index", "a file that can be read", "none", file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  try {
    report_json report = report_json::parse(text);
    for (const auto& image : report.at("concepts")) {
      image.at("image").get<std::string>();
      for (const auto& w : image.at("words")) {
        w.at("word").get<std::string>();
        w.at("score").get<float>();
      }
    }
    return report;
  } catch (const report_json::exception& e) {
    throw format_error("read index", "what solens concepts wrote", e.what(), file);
  }
}

/// The images that have a word among theirs, the highest score first.
report_json find(const report_json& report, const std::string& word) {
  concept_index index;
  const auto& images = report.at("concepts");
  for (std::size_t i = 0; i < images.size(); ++i) {
    for (const auto& w : images[i].at("words")) {
      if (w.at("word") != word) continue;
      const said_word said{0, static_cast<double>(w.at("score").get<float>())};
      index.add(static_cast<index_t>(i), std::span(&said, 1));
    }
  }
  report_json found = report_json::array();
  for (const auto& [image, score] : index.find(0)) {
    found.push_back({{"image", images[static_cast<std::size_t>(image)].at("image")},
                     {"score", static_cast<float>(score)}});
  }
  return {{"format", 1}, {"find", word}, {"of", images.size()}, {"found", std::move(found)}};
}

/// A line a word for people, with the neurons that said most of it.
std::string in_words(const report_json& report) {
  constexpr std::size_t most_images = 20, most_neurons = 4;
  std::string text;
  char number[40];
  const auto& images = report.at("concepts");
  for (std::size_t i = 0; i < std::min(images.size(), most_images); ++i) {
    const auto& image = images[i];
    text += image.at("image").get<std::string>() + ": " + image.at("significant").dump() +
            " significant neurons\n";
    for (const auto& w : image.at("words")) {
      std::snprintf(number, sizeof number, "  %10.3f  ",
                    static_cast<double>(w.at("score").get<float>()));
      std::string line = number + w.at("word").get<std::string>();
      line.append(line.size() < 40 ? 40 - line.size() : 0, ' ');
      const auto& neurons = w.at("neurons");
      for (std::size_t k = 0; k < std::min(neurons.size(), most_neurons); ++k) {
        std::snprintf(number, sizeof number, "  %lld:%lld %.2f",
                      static_cast<long long>(neurons[k].at("layer").get<index_t>()),
                      static_cast<long long>(neurons[k].at("neuron").get<index_t>()),
                      static_cast<double>(neurons[k].at("score").get<float>()));
        line += number;
      }
      text += line + "\n";
    }
  }
  if (images.size() > most_images) {
    text += "and " + std::to_string(images.size() - most_images) + " images more\n";
  }
  return text;
}

std::string hits_in_words(const report_json& result) {
  std::string text = "'" + result.at("find").get<std::string>() +
                     "': " + std::to_string(result.at("found").size()) + " of " +
                     result.at("of").dump() + " images\n";
  char number[40];
  for (const auto& hit : result.at("found")) {
    std::snprintf(number, sizeof number, "  %10.3f  ",
                  static_cast<double>(hit.at("score").get<float>()));
    text += number + hit.at("image").get<std::string>() + "\n";
  }
  return text;
}

void run_concepts(const concepts_call& call) {
  std::optional<atomic_file> out;
  if (!call.out.empty()) out.emplace(call.out);
  report_json report = call.index.empty() ? make_report(call) : read_index(call.index);
  if (!call.find.empty()) report = find(report, call.find);
  if (!call.sheet.empty()) {
    std::vector<std::string> paths;
    for (const auto& hit : report.at("found")) paths.push_back(hit.at("image"));
    write_contact_sheet(call.sheet, paths);
  }
  if (!call.common.quiet) {
    std::cerr << (call.find.empty() ? in_words(report) : hits_in_words(report));
  }
  const std::string text = report.dump(2, ' ', false, report_json::error_handler_t::replace) + "\n";
  if (!out) return print(text);
  out->write(text);
  out->commit();
}

}  // namespace

void add_concepts(command_line& line) {
  line.add("concepts", "--run DIR (--image F | --images PATH | --pixels F) [options] | --index F",
           "Words that the significant neurons say of images", declare, run_concepts, check);
}

}  // namespace solens::program
