#include <algorithm>
#include <cmath>
#include <cstdio>  // std::snprintf
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <solens/core/atomic_file.hpp>
#include <solens/findings/adversarial.hpp>
#include <solens/image/decode.hpp>
#include <solens/text/unicode.hpp>

#include "classifier.hpp"
#include "commands.hpp"
#include "contact_sheet.hpp"
#include "described_run.hpp"
#include "indirect_pass.hpp"
#include "outside_command.hpp"
#include "run_model.hpp"
#include "stopwatch.hpp"

namespace solens::program {
namespace {

struct adversarial_call {
  common_options common;
  model_options model;  ///< empty: the one that the run names
  std::string run;
  std::string class_0, class_1;
  std::vector<index_t> layers;  ///< empty: the run's
  index_t words_out = 50;
  index_t words_in_prompt = 25;
  index_t neurons = 100;
  double near = 0.9;       ///< cosine from which on a word is a class's synonym
  class_options texts;     ///< templates and vocab only
  image_options input;     ///< for the baseline of indirect effects; none: without it
  std::uint64_t seed = 0;  ///< of the random words
  index_t captions = 10;
  std::string write_with, paint_with;  ///< commands; empty: not run
  std::string pictures;                ///< folder for what is painted
  std::string evaluate;                ///< pictures to classify; empty: the painted ones
  std::string sheet;                   ///< PNG of these, most like class 0 first; empty: none
  std::string out;                     ///< JSON; empty: standard output
};

void declare(option_group command, adversarial_call& o) {
  add_run(command, o.run, "Run folder of analyze, with words");
  command.text("--class-0", o.class_0, "Name of the class to be taken for", "NAME").required();
  command.text("--class-1", o.class_1, "Name of the class that is there", "NAME").required();
  command.numbers("--layers", o.layers, "Layers, as in 8,9,10 or 8-10, or all [all of the run]");
  add_count(command, "--neurons", o.neurons, "Neurons whose words count [100]");
  add_count(command, "--words-out", o.words_out, "Words listed [50]");
  add_count(command, "--words-in-prompt", o.words_in_prompt, "Of these, in the prompt [25]");
  command.number("--near", o.near,
                 "Cosine with a class's name from which on a word is a synonym, left out [0.9]",
                 "X");
  add_templates(command, o.texts.templates,
                "Text file, a sentence with {} a line, for the classes [a photo of a {}.]");
  add_vocab(command, o.texts.vocab);
  const option_group input =
      command.group("Images for the baseline of indirect effects, one of", 0, 1);
  add_images(command, input, o.input);
  add_pixels(input, o.input);
  command.number("--seed", o.seed, "Of the random words [0]");
  const option write =
      command.text("--write-with", o.write_with,
                   "Command that reads the prompt and writes captions, one a line", "CMD");
  add_count(command, "--captions", o.captions, "Captions asked for [10]");
  const option paint = command
                           .text("--paint-with", o.paint_with,
                                 "Command that reads a caption and writes a JPEG or PNG", "CMD")
                           .needs(write);
  const option pictures =
      command.path("--pictures", o.pictures, "Folder that the pictures go to", "DIR").needs(paint);
  paint.needs(pictures);
  command.path("--evaluate", o.evaluate, "Pictures to classify [those painted]", "PATH")
      .excludes(paint);
  command.path("--sheet", o.sheet, "PNG that shows pictures, those most like class 0 first");
  add_json_output(command, o.out);
  add_model_of_run(command, o.model);
  add_common(command, o.common);
}

void check(const adversarial_call& o) {
  if (!o.sheet.empty() && o.evaluate.empty() && o.paint_with.empty()) {
    throw usage_error("--sheet: goes with --evaluate or --paint-with");
  }
}

/// Captions and pictures that outside commands made.
struct outside_work {
  std::vector<std::string> captions = {};
  std::string pictures = {};  ///< what to classify; empty for nothing
};

/// @throws argument_error for a name without a token and for two names of the same tokens
void check_classes(const adversarial_call& call, const bpe_tokenizer& tokenizer) {
  const std::pair<const char*, const std::string*> given[] = {{"--class-0", &call.class_0},
                                                              {"--class-1", &call.class_1}};
  for (const auto& [option, name] : given) {
    if (!tokenizer.encode(*name).empty()) continue;
    throw argument_error("adversarial", "the name of a class",
                         "'" + *name + "', which has no token", option);
  }
  if (tokenizer.encode(call.class_0) != tokenizer.encode(call.class_1)) return;
  throw argument_error("adversarial", "two classes", "'" + call.class_0 + "' twice", "--class-1");
}

/// The text tower at work.
template <tensor_backend B>
class text_encoder {
 public:
  text_encoder(const B& be, const clip_source& model, const bpe_tokenizer& tokenizer)
      : be_(be), tower_(load_text_tower(be, model)), tokenizer_(tokenizer) {}

  /// Of norm 1, [n, d_joint].
  host_tensor<float> operator()(std::span<const std::string> names,
                                std::span<const prompt_template> templates) const {
    auto rows = be_.allocate({std::ssize(names), tower_.d_joint()});
    embed_names(be_, tower_, tokenizer_, names, templates, rows.view());
    host_tensor<float> host(rows.view().extents());
    be_.download(std::as_const(rows).view(), host);
    return host;
  }

 private:
  const B& be_;
  text_tower<B> tower_;
  const bpe_tokenizer& tokenizer_;
};

/// By writer, in the order of `pulls`: the mean over images of how far mean ablation moves the
/// representation along the difference of the classes, either way.
template <tensor_backend B>
std::vector<double> indirect_pulls(const B& be, const adversarial_call& call,
                                   const clip_source& model, const described_run& run,
                                   host_view<const float> difference) {
  std::vector<double> sums;
  auto column = be.allocate({difference.size(), 1});
  be.upload(difference.reshaped({difference.size(), 1}), column.view());
  for (const described_layer& l : run.layers) {
    const std::size_t first = sums.size();
    sums.resize(first + static_cast<std::size_t>(model.config.vision.d_mlp), 0.0);
    indirect_pass(be, call.common, call.input, model,
                  {.layer = l.layer, .coefficient = run.coefficient()},
                  [&](const_view_of<B> effects) {
                    const index_t images = effects.extent(0), n = effects.extent(1);
                    auto products = be.allocate({images * n, 1});
                    be.gemm(1, effects.reshaped({images * n, effects.extent(2)}),
                            std::as_const(column).view(), 0, products.view());
                    host_tensor<float> host({images * n, 1});
                    be.download(std::as_const(products).view(), host);
                    for (index_t i = 0; i < host.size(); ++i) {
                      sums[first + static_cast<std::size_t>(i % n)] +=
                          std::abs(static_cast<double>(host(i, 0)));
                    }
                  });
  }
  return sums;  // as good as means for ranking
}

/// Rankings by name: ours, which is "words", and the baselines.
using rankings = std::vector<std::pair<std::string, std::vector<said_word>>>;

template <tensor_backend B>
rankings rank_words(const B& be, const adversarial_call& call, const clip_source& model,
                    const described_run& run, host_view<const float> difference) {
  std::vector<layer_directions<float>> directions;
  for (const described_layer& l : run.layers) directions.push_back(l.directions());
  const auto codes = run.codes();
  const auto all = pulls<B>(be, directions, difference);
  const safetensors_file file(run.folder.path() / "dictionary.safetensors");
  const auto atoms = file.view<float>("embeddings");
  auto dictionary = be.allocate(atoms.extents());
  be.upload(atoms, dictionary.view());
  rankings found{{"words", spurious_words<float>(foremost(all, call.neurons), codes)},
                 {"random", words_at_random(std::ssize(run.words), call.seed)},
                 {"nearest", words_along<B>(be, std::as_const(dictionary).view(), difference)}};
  if (call.input.any()) {
    const auto chosen =
        foremost(all, call.neurons, indirect_pulls(be, call, model, run, difference));
    found.emplace_back("indirect", spurious_words<float>(chosen, codes));
  }
  return found;
}

/// Runs the commands that were named: captions, then a picture for each.
outside_work work_outside(const adversarial_call& call, const std::string& prompt) {
  outside_work done{{}, call.evaluate};
  if (call.write_with.empty()) return done;
  std::istringstream lines(run_outside("--write-with", call.write_with, prompt));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t begin = line.find_first_not_of(" \t\r");
    if (begin == line.npos) continue;
    line = line.substr(begin, line.find_last_not_of(" \t\r") + 1 - begin);
    unicode::from_utf8(line, "--write-with " + call.write_with);
    done.captions.push_back(line);
  }
  if (done.captions.empty()) {
    throw format_error("write captions", "a caption a line", "none",
                       "--write-with " + call.write_with);
  }
  if (call.paint_with.empty()) return done;
  done.pictures = call.pictures;
  std::error_code problem;
  std::filesystem::create_directories(call.pictures, problem);
  progress bar("paint", "pictures", std::ssize(done.captions),
               {.style = progress_style_of_stderr(call.common.quiet)});
  for (std::size_t i = 0; i < done.captions.size(); ++i) {
    const std::string bytes = run_outside("--paint-with", call.paint_with, done.captions[i]);
    const std::span begin(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    decode_image(begin, "--paint-with " + call.paint_with);
    char name[40];
    std::snprintf(name, sizeof name, "%05zu.%s", i,
                  kind_of_image(begin) == image_kind::png ? "png" : "jpg");
    write_file_atomically(std::filesystem::path(call.pictures) / name, bytes);
    bar.add(1);
    throw_if_stopped();
  }
  bar.finish();
  return done;
}

/// How many pictures are taken for which class.
/// @param classes  [2, d_joint], of norm 1
template <tensor_backend B>
report_json evaluate(const B& be, const adversarial_call& call, const clip_source& model,
                     host_view<const float> classes, const std::string& place) {
  image_options images;
  images.images = place;
  const auto input =
      open_images(images, preprocess_of(model), call.common.batch, threads_of(call.common));
  lens_run<B> run(be, load_vision_tower(be, model), std::min(call.common.batch, input->size()),
                  readout_sites());
  index_t taken[2] = {0, 0};
  report_json pictures = report_json::array();
  for_each_batch(*input, "evaluate", call.common.quiet, [&](const image_input::batch& batch) {
    const auto representation = run(batch.pixels).representation;
    host_tensor<float> rows(representation.extents());
    be.download(representation, rows);
    for (index_t i = 0; i < rows.extent(0); ++i) {
      double product[2] = {0, 0}, square = 0;
      for (index_t j = 0; j < rows.extent(1); ++j) {
        const auto x = static_cast<double>(rows(i, j));
        square += x * x;
        for (int c : {0, 1}) product[c] += x * static_cast<double>(classes(c, j));
      }
      const double margin = (product[0] - product[1]) / std::sqrt(square);
      ++taken[margin > 0 ? 0 : 1];
      pictures.push_back({{"picture", input->name(batch.positions[static_cast<std::size_t>(i)])},
                          {"taken_for", margin > 0 ? call.class_0 : call.class_1},
                          {"margin", static_cast<float>(margin)}});
    }
  });
  std::stable_sort(pictures.begin(), pictures.end(),
                   [](const auto& a, const auto& b) { return a.at("margin") > b.at("margin"); });
  const auto n = static_cast<double>(taken[0] + taken[1]);
  return {{"source", place},
          {"count", taken[0] + taken[1]},
          {"skipped", std::ssize(input->skipped())},
          {"taken_for_class_0", taken[0]},
          {"taken_for_class_1", taken[1]},
          {"share_of_class_0", static_cast<float>(static_cast<double>(taken[0]) / n)},
          {"pictures", std::move(pictures)}};
}

report_json in_json(const std::vector<said_word>& words, const described_run& run) {
  report_json list = report_json::array();
  for (const said_word& w : words) {
    report_json& entry = list.emplace_back(report_json{{"word", run.word(w.word)}});
    if (w.score > 0) entry["score"] = static_cast<float>(w.score);
    if (!w.by.empty()) entry["said_by"] = std::ssize(w.by);
  }
  return list;
}

std::string in_words(const report_json& report) {
  std::string text = "words that pull '" + report.at("class_1").get<std::string>() + "' toward '" +
                     report.at("class_0").get<std::string>() + "'\n";
  char number[40];
  for (const auto& w : report.at("words")) {
    std::snprintf(number, sizeof number, "  %10.3f  ",
                  static_cast<double>(w.at("score").get<float>()));
    text += number + w.at("word").get<std::string>() + "\n";
  }
  if (report.contains("evaluation")) {
    const auto& e = report.at("evaluation");
    text += e.at("taken_for_class_0").dump() + " of " + e.at("count").dump() +
            " pictures are taken for class 0\n";
  }
  return text;
}

template <tensor_backend B>
report_json make_report(const B& be, const adversarial_call& call, const clip_source& model,
                        const described_run& run, const bpe_tokenizer& tokenizer) {
  const std::vector<std::string> names{call.class_0, call.class_1};
  const std::vector<prompt_template> alone{prompt_template("{}")};
  const text_encoder<B> encode(be, model, tokenizer);
  const host_tensor<float> classes = encode(names, templates_of(call.texts)),
                           bare = encode(names, alone);
  host_tensor<float> difference({classes.extent(1)});
  for (index_t j = 0; j < difference.size(); ++j) difference(j) = classes(0, j) - classes(1, j);

  std::map<std::string, report_json> lists;
  std::vector<std::string> in_prompt;
  for (const auto& [name, ranked] : rank_words(be, call, model, run, difference)) {
    const auto kept = without_giveaways<float>(
        ranked, run.words, {names, bare, call.near}, call.words_out,
        [&](std::span<const std::string> words) { return encode(words, alone); });
    lists[name] = in_json(kept, run);
    if (name != "words") continue;
    for (const said_word& w : kept) {
      if (std::ssize(in_prompt) < call.words_in_prompt) in_prompt.push_back(run.word(w.word));
    }
  }
  report_json layers = report_json::array();
  for (const described_layer& l : run.layers) layers.push_back(l.layer);
  report_json report{
      {"format", 1},
      {"solens", SOLENS_VERSION},
      {"run", call.run},
      {"model", run.record.at("model")},
      {"layers", std::move(layers)},
      {"class_0", call.class_0},
      {"class_1", call.class_1},
      {"neurons", call.neurons},
      {"near", static_cast<float>(call.near)},
      {"seed", call.seed},
      {"words", std::move(lists.extract("words").mapped())},
      {"baselines", report_json::object()},
      {"prompt", caption_request(call.class_0, call.class_1, in_prompt, call.captions)}};
  for (auto& [name, list] : lists) report["baselines"][name] = std::move(list);

  const outside_work work = work_outside(call, report["prompt"].get<std::string>());
  if (!work.captions.empty()) report["captions"] = work.captions;
  if (!work.pictures.empty()) {
    report["evaluation"] = evaluate(be, call, model, classes, work.pictures);
  }
  if (!call.sheet.empty()) {
    std::vector<std::string> paths;
    for (const auto& p : report["evaluation"]["pictures"]) paths.push_back(p.at("picture"));
    write_contact_sheet(call.sheet, paths);
  }
  return report;
}

void run_adversarial(const adversarial_call& call) {
  const stopwatch whole;
  const described_run run = open_described_run("adversarial", call.run, call.layers);
  const clip_source model = open_model_of_run(call.run, run.record, call.model);
  vision_of(model);
  text_of(model);
  const bpe_tokenizer tokenizer = open_tokenizer(call.texts.vocab, model);
  check_classes(call, tokenizer);
  std::optional<atomic_file> out;
  if (!call.out.empty()) out.emplace(call.out);
  report_json report;
  with_backend(call.common, [&]<tensor_backend B>(const B& be) {
    report = make_report(be, call, model, run, tokenizer);
  });
  report["seconds"] = static_cast<float>(whole.seconds());
  if (!call.common.quiet) std::cerr << in_words(report);
  const std::string text = report.dump(2, ' ', false, report_json::error_handler_t::replace) + "\n";
  if (!out) return print(text);
  out->write(text);
  out->commit();
}

}  // namespace

void add_adversarial(command_line& line) {
  line.add("adversarial", "--run DIR --class-0 NAME --class-1 NAME [options]",
           "Words that make pictures of class 1 look like class 0", declare, run_adversarial,
           check);
}

}  // namespace solens::program
