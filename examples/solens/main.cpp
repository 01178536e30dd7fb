// The program `solens`: the words of the call become one of the structs of options.hpp, and the
// subcommand runs. The only file that knows the parser.

#include <CLI/CLI.hpp>

#include <algorithm>  // std::sort, std::unique
#include <charconv>   // std::from_chars
#include <csignal>    // SIGPIPE
#include <exception>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <new>  // std::bad_alloc
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "console.hpp"
#include "options.hpp"

namespace {

using namespace solens::program;
using solens::index_t;

constexpr const char* texts_help = "Text file, a text a line; - for standard input";
constexpr const char* label_ids_help = "Class numbers from 0, one an image: F.npy";
constexpr const char* vocab_help =
    "Tokenizer of its own: a BPE table (bpe_simple_vocab_16e6.txt.gz), a tokenizer.json, a folder";

/// What `main` runs once the words are understood.
using action = std::function<void()>;

/// The usual help, with a usage line that shows which options go together.
class help_format : public CLI::Formatter {
 public:
  explicit help_format(std::string usage) : usage_(std::move(usage)) { column_width(28); }
  std::string make_usage(const CLI::App*, std::string) const override { return usage(); }
  std::string usage() const { return "Usage: " + usage_ + "\n"; }

 private:
  std::string usage_;
};

CLI::App& subcommand(CLI::App& app, const std::string& name, const std::string& usage,
                     const std::string& what) {
  CLI::App* sub = app.add_subcommand(name, what);
  sub->formatter(std::make_shared<help_format>("solens " + name + " " + usage));
  sub->set_help_flag("-h,--help", "Print this help and leave");
  return *sub;
}

/// An option that names a file or folder.
CLI::Option* add_path(CLI::App& sub, const std::string& name, std::string& path,
                      const std::string& what, const std::string& type = "FILE") {
  return sub.add_option(name, path, what)->type_name(type)->check([](const std::string& given) {
    return given.empty() ? std::string("expected a path, got an empty word") : std::string();
  });
}

void add_common(CLI::App& sub, common_options& common) {
  sub.add_option("--threads", common.threads, "Threads [all usable CPUs]")
      ->type_name("N")
      ->check(CLI::Range(1, 4096));
  sub.add_option("--backend", common.backend, "What computes [auto]")
      ->type_name("B")
      ->check(CLI::IsMember({"auto", "eigen", "xtensor", "cuda", "reference"}));
  sub.add_option("--device-memory", common.device_memory, "Memory of a GPU to stay within [all]")
      ->type_name("BYTES")
      ->transform(CLI::AsSizeValue(false));
  sub.add_option("--batch", common.batch, "Images or texts at a time [32]")
      ->type_name("N")
      ->check(CLI::Range(1, 65536));
  sub.add_flag("--quiet", common.quiet, "Show no progress");
}

/// @param needed  the group that `--model` is one choice of, or the subcommand itself
void add_model(CLI::App& sub, CLI::App& needed, model_options& model) {
  CLI::Option* option = add_path(
      needed, "--model", model.model,
      "Folder or .safetensors file of the model: Hugging Face, open_clip or OpenAI names", "M");
  if (&sub == &needed) option->required();
  add_path(sub, "--config", model.config, "Configuration to use instead of the model's own")
      ->needs(option);
}

void add_images(CLI::App& sub, CLI::App& needed, image_options& input) {
  CLI::Option* images =
      add_path(needed, "--images", input.images,
               "Folder (recursive, sorted), or text file with a path a line", "PATH");
  if (&sub == &needed) images->required();
  sub.add_option("--labels", input.labels, "folders: each image lies in the folder of its class")
      ->type_name("folders")
      ->check(CLI::IsMember({"folders"}))
      ->needs(images);
  sub.add_flag("--strict", input.strict, "An image that cannot be decoded ends the run");
}

void add_pixels(CLI::App& needed, image_options& input) {
  add_path(needed, "--pixels", input.pixels,
           "Preprocessed images, float32 [images, 3, H, W]: F.safetensors[:tensor] or F.npy", "F");
}

void add_array_output(CLI::App& sub, std::string& out, const std::string& shape) {
  sub.add_option("--out", out, "Where " + shape + " float32 goes: .npy or .safetensors")
      ->type_name("FILE")
      ->required()
      ->check([](const std::string& path) -> std::string {
        const std::string ending = std::filesystem::path(path).extension().string();
        if (ending == ".npy" || ending == ".safetensors") return {};
        return "expected a file that ends in .npy or .safetensors, got '" + path + "'";
      });
}

/// Options of which exactly one has to be there.
CLI::App& one_of(CLI::App& sub, const std::string& title) {
  return *sub.add_option_group(title)->require_option(1);
}

void declare_demo(CLI::App& app, action& run) {
  auto o = std::make_shared<demo_call>();
  CLI::App& sub = subcommand(app, "demo", "[--out DIR] [options]",
                             "analyze on a small painted world and a CLIP that come with solens");
  sub.add_option("--scenes", o->scenes, "Scenes to paint and look at [2000]")
      ->type_name("N")
      ->check(CLI::Range(10, 1'000'000));
  add_path(sub, "--out", o->out, "Run folder [solens-demo]", "DIR");
  add_common(sub, o->common);
  sub.final_callback([o, &run] { run = [o] { run_demo(*o); }; });
}

void declare_info(CLI::App& app, action& run) {
  auto o = std::make_shared<info_call>();
  CLI::App& sub = subcommand(app, "info", "--model M [--config FILE]", "What a model is and holds");
  add_model(sub, sub, o->model);
  add_common(sub, o->common);
  sub.final_callback([o, &run] { run = [o] { run_info(*o); }; });
}

void declare_encode(CLI::App& app, action& run) {
  auto o = std::make_shared<encode_call>();
  CLI::App& sub = subcommand(
      app, "encode", "--model M (--images PATH | --pixels F | --texts FILE) --out FILE [options]",
      "Representations of images or texts");
  add_model(sub, sub, o->model);
  CLI::App& input = one_of(sub, "Input, one of");
  add_images(sub, input, o->input);
  add_pixels(input, o->input);
  CLI::Option* texts = add_path(input, "--texts", o->texts, texts_help);
  add_path(sub, "--vocab", o->vocab, vocab_help)->needs(texts);
  sub.add_flag("--normalize", o->normalize, "Scale every row to norm 1");
  add_array_output(sub, o->out, "[rows, E]");
  add_common(sub, o->common);
  sub.final_callback([o, &run] { run = [o] { run_encode(*o); }; });
}

void declare_tokenize(CLI::App& app, action& run) {
  auto o = std::make_shared<tokenize_call>();
  CLI::App& sub = subcommand(app, "tokenize", "(--model M | --vocab FILE) --texts FILE",
                             "Token ids of texts, a JSON array a line");
  CLI::App& words = one_of(sub, "Tokenizer, one of");
  add_model(sub, words, o->model);
  add_path(words, "--vocab", o->vocab, vocab_help);
  add_path(sub, "--texts", o->texts, texts_help)->required();
  add_common(sub, o->common);
  sub.final_callback([o, &run] { run = [o] { run_tokenize(*o); }; });
}

void declare_preprocess(CLI::App& app, action& run) {
  auto o = std::make_shared<preprocess_call>();
  CLI::App& sub = subcommand(app, "preprocess", "--model M --images PATH --out FILE [options]",
                             "The pixels that a model sees");
  add_model(sub, sub, o->model);
  add_images(sub, sub, o->input);
  add_array_output(sub, o->out, "[images, 3, H, W]");
  add_common(sub, o->common);
  sub.final_callback([o, &run] { run = [o] { run_preprocess(*o); }; });
}

/// `8,9,10-12`, as the numbers it names.
/// @throws CLI::ValidationError
std::vector<index_t> numbers_in(const std::string& option, const std::string& text) {
  std::vector<index_t> numbers;
  std::stringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    index_t first = 0, last = 0;
    const char* const end = part.data() + part.size();
    auto read = std::from_chars(part.data(), end, first);
    last = first;
    if (read.ec == std::errc() && read.ptr != end && *read.ptr == '-') {
      read = std::from_chars(read.ptr + 1, end, last);
    }
    if (read.ec != std::errc() || read.ptr != end || first < 0 || last < first ||
        last - first > 1'000'000) {
      throw CLI::ValidationError(option, "expected numbers as in 0,5,10-20, got '" + text + "'");
    }
    for (index_t n = first; n <= last; ++n) numbers.push_back(n);
  }
  if (numbers.empty()) throw CLI::ValidationError(option, "expected a number, got none");
  return numbers;
}

void add_numbers(CLI::App& sub, const std::string& name, std::vector<index_t>& numbers,
                 const std::string& what) {
  sub.add_option_function<std::string>(
         name,
         [&numbers, name](const std::string& text) {
           numbers = text == "all" ? std::vector<index_t>() : numbers_in(name, text);
         },
         what)
      ->type_name("LIST");
}

void add_lens(CLI::App& sub, solens::convention& how, double& coefficient) {
  sub.add_option_function<std::string>(
         "--convention",
         [&how](const std::string& name) {
           how = name == "reference" ? solens::convention::reference : solens::convention::centered;
         },
         "How means and biases are shared out: centered or reference [centered]")
      ->type_name("C")
      ->check(CLI::IsMember({"centered", "reference"}));
  sub.add_option("--coefficient", coefficient, "Norm that representations are scaled to [100]")
      ->type_name("X")
      ->check(CLI::PositiveNumber);
}

/// Images to look at, files or pixels.
void add_input(CLI::App& sub, image_options& input) {
  CLI::App& one = one_of(sub, "Input, one of");
  add_images(sub, one, input);
  add_pixels(one, input);
}

void declare_decompose(CLI::App& app, action& run) {
  auto o = std::make_shared<decompose_call>();
  CLI::App& sub =
      subcommand(app, "decompose", "--model M (--images PATH | --pixels F) --out FILE [options]",
                 "Representations as sums over heads, tokens and MLPs");
  add_model(sub, sub, o->model);
  add_input(sub, o->input);
  add_lens(sub, o->how, o->coefficient);
  sub.add_option("--out", o->out, "Where attention, mlp and biases go: .safetensors")
      ->type_name("FILE")
      ->required()
      ->check([](const std::string& path) -> std::string {
        if (std::filesystem::path(path).extension() == ".safetensors") return {};
        return "expected a file that ends in .safetensors, got '" + path + "'";
      });
  add_common(sub, o->common);
  sub.final_callback([o, &run] { run = [o] { run_decompose(*o); }; });
}

void declare_effects(CLI::App& app, action& run) {
  auto o = std::make_shared<effects_call>();
  CLI::App& sub = subcommand(
      app, "effects", "--model M (--images PATH | --pixels F) --layer L --out FILE [options]",
      "Effects of neurons of one MLP on the representation");
  add_model(sub, sub, o->model);
  add_input(sub, o->input);
  sub.add_option("--layer", o->layer, "The layer, from 0")->type_name("L")->required();
  sub.add_option("--kind", o->kind, "second-order, direct or indirect [second-order]")
      ->type_name("KIND")
      ->check(CLI::IsMember({"second-order", "direct", "indirect"}));
  add_numbers(sub, "--neurons", o->neurons, "Neurons, as in 0,5,10-20 [all]");
  sub.add_flag("--per-head", o->per_head, "Second-order effects through each later head");
  sub.add_flag("--one-mean", o->one_mean,
               "Indirect effects: one mean for all tokens, not one for each");
  add_lens(sub, o->how, o->coefficient);
  add_array_output(sub, o->out, "[images, neurons, E]");
  add_common(sub, o->common);
  sub.final_callback([o, &run] {
    if (o->per_head && o->kind != "second-order") {
      throw CLI::ValidationError("--per-head", "goes with --kind second-order");
    }
    if (o->one_mean && o->kind != "indirect") {
      throw CLI::ValidationError("--one-mean", "goes with --kind indirect");
    }
    run = [o] { run_effects(*o); };
  });
}

/// Words and what becomes of them before the text tower. What a tokenizer is needed for depends on
/// the subcommand, which declares `--vocab`.
/// @returns `--words`
CLI::Option* add_word_list(CLI::App& sub, word_options& words) {
  CLI::Option* list = add_path(sub, "--words", words.list, "Words or phrases, one a line");
  CLI::Option* embeddings = add_path(sub, "--word-embeddings", words.embeddings,
                                     "Their embeddings [words, E], .npy, a row for each line that "
                                     "holds a word [the text tower's]");
  embeddings->needs(list);
  sub.add_option("--template", words.sentence, "Sentence that a word stands in, at {} [{}]")
      ->type_name("TEXT")
      ->check([](const std::string& text) -> std::string {
        const auto place = text.find("{}");
        if (place != text.npos && text.find("{}", place + 2) == text.npos) return {};
        return "expected one {} for the word, got '" + text + "'";
      })
      ->needs(list)
      ->excludes(embeddings);
  add_path(sub, "--cache", words.cache,
           "Where embeddings are kept for later [$XDG_CACHE_HOME/solens or ~/.cache/solens]", "DIR")
      ->needs(list)
      ->excludes(embeddings);
  return list;
}

/// Words, and how directions are said in them.
void add_words(CLI::App& sub, word_options& words, bool required) {
  CLI::Option* list = add_word_list(sub, words);
  list->required(required);
  add_path(sub, "--vocab", words.vocab, vocab_help)
      ->needs(list)
      ->excludes(sub.get_option("--word-embeddings"));
  sub.add_option_function<std::string>(
         "--atoms",
         [&words](const std::string& text) {
           words.atoms = numbers_in("--atoms", text);
           std::sort(words.atoms.begin(), words.atoms.end());
           words.atoms.erase(std::unique(words.atoms.begin(), words.atoms.end()),
                             words.atoms.end());
           if (words.atoms.front() < 1 || words.atoms.back() > 1024) {
             throw CLI::ValidationError("--atoms", "expected numbers from 1 to 1024, got " + text);
           }
         },
         "Words a neuron; of several numbers, as in 4,8,16, the weights are kept of each [32]")
      ->type_name("LIST")
      ->needs(list);
  sub.add_option_function<std::string>(
         "--dictionary",
         [&words](const std::string& name) {
           words.scaling = name == "unit" ? solens::dictionary_scaling::unit
                                          : solens::dictionary_scaling::reference;
         },
         "How embeddings are scaled: unit, by word, or reference, by coordinate [unit]")
      ->type_name("D")
      ->check(CLI::IsMember({"unit", "reference"}))
      ->needs(list);
}

void declare_analyze(CLI::App& app, action& run) {
  auto o = std::make_shared<analyze_call>();
  CLI::App& sub =
      subcommand(app, "analyze", "--model M (--images PATH | --pixels F) --out DIR [options]",
                 "Every finding about every neuron, in one pass over the images");
  add_model(sub, sub, o->model);
  add_input(sub, o->input);
  add_numbers(sub, "--layers", o->layers, "Layers, as in 8,9,10 or 8-10, or all [all]");
  sub.add_option("--top", o->top, "Images kept of each neuron [100]")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000'000));
  add_words(sub, o->words, false);
  add_lens(sub, o->how, o->coefficient);
  sub.add_option("--memory", o->memory, "Memory to stay within, as in 4GB [4GB]")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(false));
  sub.add_option("--save-every", o->save_every, "Seconds between two states on disk [60]")
      ->type_name("S")
      ->check(CLI::NonNegativeNumber);
  add_path(sub, "--out", o->out, "Run folder; an unfinished one is gone on with", "DIR")
      ->required();
  add_common(sub, o->common);
  sub.final_callback([o, &run] { run = [o] { run_analyze(*o); }; });
}

/// The model of a run, where it lies elsewhere by now.
void add_model_of_run(CLI::App& sub, model_options& place) {
  CLI::Option* model =
      add_path(sub, "--model", place.model, "The model of the run [where the run found it]", "M");
  add_path(sub, "--config", place.config, "Configuration to use instead of the model's own")
      ->needs(model);
}

void declare_describe(CLI::App& app, action& run) {
  auto o = std::make_shared<describe_call>();
  CLI::App& sub = subcommand(app, "describe", "--run DIR --words FILE [options]",
                             "Every neuron of a run in words, in place of what it has");
  add_path(sub, "--run", o->run, "Run folder of analyze", "DIR")->required();
  add_words(sub, o->words, true);
  add_model_of_run(sub, o->model);
  add_common(sub, o->common);
  sub.final_callback([o, &run] { run = [o] { run_describe(*o); }; });
}

/// What tells classes apart.
/// @param needed  the group in which `--classifier` and `--classes` are
void add_classes(CLI::App& sub, CLI::App& needed, class_options& o) {
  add_path(needed, "--classifier", o.classifier, "Class embeddings: F.npy [E, classes]", "F");
  CLI::Option* classes = add_path(needed, "--classes", o.classes, "Text file, a class name a line");
  add_path(sub, "--templates", o.templates,
           "Text file, a sentence with {} a line [a photo of a {}.]")
      ->needs(classes);
}

void declare_ablate(CLI::App& app, action& run) {
  auto o = std::make_shared<ablate_call>();
  CLI::App& sub = subcommand(app, "ablate",
                             "--run DIR (--images PATH --labels folders | --pixels F --label-ids F)"
                             " (--classifier F | --classes FILE) [options]",
                             "Accuracies without neurons, and with parts of their effects");
  add_path(sub, "--run", o->run, "Run folder of analyze", "DIR")->required();
  add_input(sub, o->input);
  add_path(sub, "--label-ids", o->label_ids, label_ids_help, "F");
  CLI::App& classifier = one_of(sub, "Classifier, one of");
  add_classes(sub, classifier, o->classes);
  add_path(sub, "--vocab", o->classes.vocab, vocab_help)->needs(classifier.get_option("--classes"));
  sub.add_option("--seed", o->seed, "Of the random controls [0]")->type_name("N");
  sub.add_option("--memory", o->memory,
                 "Memory for the layers; several passes where they need more [4GB]")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(false));
  sub.add_option("--logits", o->logits, "Where the logits of every row go: .safetensors")
      ->type_name("FILE")
      ->check([](const std::string& path) -> std::string {
        if (std::filesystem::path(path).extension() == ".safetensors") return {};
        return "expected a file that ends in .safetensors, got '" + path + "'";
      });
  add_path(sub, "--out", o->out, "Where the JSON goes [standard output]");
  add_model_of_run(sub, o->model);
  add_common(sub, o->common);
  sub.final_callback([o, &run] {
    if (o->input.labels.empty() == o->label_ids.empty()) {
      throw CLI::ValidationError("labels", "expected --labels folders or --label-ids, got " +
                                               std::string(o->label_ids.empty() ? "none" : "both"));
    }
    run = [o] { run_ablate(*o); };
  });
}

/// `10.3,11.5`, as the heads it names.
/// @throws CLI::ValidationError
std::vector<solens::head_place> heads_in(const std::string& text) {
  std::vector<solens::head_place> places;
  std::stringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    solens::head_place place{};
    const char* const end = part.data() + part.size();
    auto read = std::from_chars(part.data(), end, place.layer);
    const bool dot = read.ec == std::errc() && read.ptr != end && *read.ptr == '.';
    if (dot) read = std::from_chars(read.ptr + 1, end, place.head);
    if (!dot || read.ec != std::errc() || read.ptr != end || place.layer < 0 || place.head < 0) {
      throw CLI::ValidationError(
          "--remove", "expected heads as layer.head, as in 10.3,11.5, got '" + text + "'");
    }
    places.push_back(place);
  }
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  if (places.empty()) throw CLI::ValidationError("--remove", "expected a head, got none");
  return places;
}

/// What `heads` cannot do with these words.
/// @throws CLI::ValidationError
void check_heads(const heads_call& o) {
  const bool labels = !o.input.labels.empty() || !o.label_ids.empty();
  const bool classes = !o.classes.classifier.empty() || !o.classes.classes.empty();
  if (o.run.empty() && !o.input.any()) {
    throw CLI::ValidationError("--model", "goes with --images or --pixels");
  }
  if (o.remove.empty()) {
    if (labels || classes) throw CLI::ValidationError("--remove", "expected heads, got none");
    if (o.run.empty() && o.words.list.empty()) {
      throw CLI::ValidationError("--words", "expected a list, got none");
    }
    return;
  }
  if (!o.words.list.empty()) throw CLI::ValidationError("--words", "does not go with --remove");
  if (!o.input.any()) throw CLI::ValidationError("--remove", "goes with --images or --pixels");
  if (o.input.labels.empty() == o.label_ids.empty()) {
    throw CLI::ValidationError("labels", "expected --labels folders or --label-ids, got " +
                                             std::string(labels ? "both" : "none"));
  }
  if (!classes) {
    throw CLI::ValidationError("classifier", "expected --classifier or --classes, got none");
  }
}

void declare_heads(CLI::App& app, action& run) {
  auto o = std::make_shared<heads_call>();
  CLI::App& sub = subcommand(
      app, "heads",
      "(--run DIR | --model M (--images PATH | --pixels F)) [--words FILE] [options], or with "
      "--remove LIST (--labels folders | --label-ids F) (--classifier F | --classes FILE)",
      "Attention heads in words, or a classification without some of them");
  CLI::App& source = *sub.add_option_group("Model, one of or both")->require_option(1, 2);
  add_path(source, "--run", o->run,
           "Run folder of analyze, whose model, images and words are taken", "DIR");
  add_model(sub, source, o->model);
  CLI::App& input = *sub.add_option_group("Input, one of [the run's images]")->require_option(0, 1);
  add_images(sub, input, o->input);
  add_pixels(input, o->input);
  CLI::Option* list = add_word_list(sub, o->words);
  add_path(sub, "--vocab", o->words.vocab, vocab_help);
  add_numbers(sub, "--layers", o->layers, "Layers, as in 8,9,10 or 8-10, or all [all]");
  sub.add_option("--texts", o->texts, "Words a head [20]")
      ->type_name("N")
      ->check(CLI::Range(1, 4096));
  sub.add_option_function<std::string>(
         "--remove", [o](const std::string& text) { o->remove = heads_in(text); },
         "Heads to remove, as layer.head: 10.3,11.5")
      ->type_name("LIST")
      ->excludes(list);
  add_path(sub, "--label-ids", o->label_ids, label_ids_help, "F");
  CLI::App& classifier = *sub.add_option_group("Classifier, one of")->require_option(0, 1);
  add_classes(sub, classifier, o->classes);
  sub.add_option("--seed", o->seed, "Of the random heads [0]")->type_name("N");
  add_path(sub, "--out", o->out,
           "Where the lines, or the accuracies as JSON, go [heads.jsonl of the run, or standard "
           "output]");
  add_common(sub, o->common);
  sub.final_callback([o, &run] {
    o->classes.vocab = o->words.vocab;
    check_heads(*o);
    run = [o] { run_heads(*o); };
  });
}

void declare_pairs(CLI::App& app, action& run) {
  auto o = std::make_shared<pairs_call>();
  CLI::App& sub = subcommand(app, "pairs", "--run DIR [options]",
                             "Neurons through single later heads, in words");
  add_path(sub, "--run", o->run, "Run folder of analyze, with words", "DIR")->required();
  sub.add_option("--heads", o->heads, "Later heads a neuron [3]")
      ->type_name("N")
      ->check(CLI::Range(1, 4096));
  add_model_of_run(sub, o->model);
  add_common(sub, o->common);
  sub.final_callback([o, &run] { run = [o] { run_pairs(*o); }; });
}

void declare_segment(CLI::App& app, action& run) {
  auto o = std::make_shared<segment_call>();
  CLI::App& sub =
      subcommand(app, "segment",
                 "--run DIR (--images PATH | --pixels F) (--class TEXT | --classes FILE)"
                 " --out DIR [options]",
                 "Where in images a class is: heat maps, masks, and their scores");
  add_path(sub, "--run", o->run, "Run folder of analyze", "DIR")->required();
  add_input(sub, o->input);
  CLI::App& classes = one_of(sub, "Classes, one of");
  classes.add_option("--class", o->given, "Word or phrase to look for; several where repeated")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  add_path(classes, "--classes", o->classes.classes,
           "Text file, a class a line: of each image, the one that it is taken for");
  add_path(sub, "--templates", o->classes.templates,
           "Text file, a sentence with {} a line [a photo of a {}.]");
  add_path(sub, "--vocab", o->classes.vocab, vocab_help);
  add_path(sub, "--masks", o->masks,
           "Where the classes are, to score: grey PNGs of the images' names and sizes, in folders "
           "of the classes' names for several",
           "DIR");
  sub.add_option("--method", o->method,
                 "neurons, or to compare: random, attention, rollout, direct, patches [neurons]")
      ->type_name("M")
      ->check(CLI::IsMember({"neurons", "random", "attention", "rollout", "direct", "patches"}));
  add_numbers(sub, "--layers", o->layers, "Layers whose neurons are read, of the run's [all]");
  sub.add_option("--neurons", o->neurons, "Neurons for a class [200]")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000'000));
  sub.add_flag_callback(
      "--signed", [o] { o->by_magnitude = false; },
      "Neurons that push toward the class, not against it");
  sub.add_flag("--weighted", o->weighted,
               "Neurons weigh as much as they push toward the class, not the same");
  sub.add_option("--threshold", o->threshold, "Heat above which a pixel is of the class [0.5]")
      ->type_name("X")
      ->check(CLI::Range(0.0, 1.0));
  sub.add_option("--seed", o->seed, "Of random neurons [0]")->type_name("N");
  add_path(sub, "--out", o->out, "Folder for PNGs and segmentation.json", "DIR")->required();
  add_model_of_run(sub, o->model);
  add_common(sub, o->common);
  sub.final_callback([o, &run] {
    if (!o->masks.empty() && o->input.images.empty()) {
      throw CLI::ValidationError("--masks", "goes with --images");
    }
    run = [o] { run_segment(*o); };
  });
}

void declare_report(CLI::App& app, action& run) {
  auto o = std::make_shared<report_call>();
  CLI::App& sub = subcommand(app, "report", "--run DIR [options]",
                             "One page for a run folder, which opens from disk");
  add_path(sub, "--run", o->run, "Run folder of analyze", "DIR")->required();
  sub.add_option("--thumbnails", o->thumbnails,
                 "Size of the page that pictures and heat maps may take; 0 for none [20MB]")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(false));
  sub.add_option("--top", o->top, "Images shown of each neuron, at most those of the run [24]")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  add_path(sub, "--ablation", o->ablation, "JSON of ablate [the run folder's ablation.json]");
  add_path(sub, "--out", o->out, "Where the page goes [report.html in the run folder]");
  add_model_of_run(sub, o->model);
  add_common(sub, o->common);
  sub.final_callback([o, &run] { run = [o] { run_report(*o); }; });
}

void add_count(CLI::App& sub, const std::string& name, index_t& count, const std::string& what) {
  sub.add_option(name, count, what)->type_name("N")->check(CLI::Range(1, 1'000'000));
}

void declare_concepts(CLI::App& app, action& run) {
  auto o = std::make_shared<concepts_call>();
  CLI::App& sub = subcommand(
      app, "concepts", "--run DIR (--image F | --images PATH | --pixels F) [options] | --index F",
      "Words that the significant neurons say of images");
  CLI::App& input = one_of(sub, "Images, one of");
  input
      .add_option_function<std::string>(
          "--image",
          [o](const std::string& path) {
            o->input.images = path;
            o->input.strict = true;
          },
          "An image")
      ->type_name("FILE");
  add_images(sub, input, o->input);
  add_pixels(input, o->input);
  add_path(input, "--index", o->index, "What an earlier call wrote, to --find in");
  CLI::Option* folder = add_path(sub, "--run", o->run, "Run folder of analyze, with words", "DIR");
  add_numbers(sub, "--layers", o->layers, "Layers, as in 8,9,10 or 8-10, or all [all of the run]");
  add_count(sub, "--top-words", o->top_words, "Words kept of each image [20]");
  add_count(sub, "--top-neurons", o->top_neurons, "Neurons named for each word [10]");
  sub.add_option("--find", o->find, "List the images that have this word among theirs")
      ->type_name("WORD");
  add_path(sub, "--sheet", o->sheet, "PNG that shows the first of the images found")
      ->needs("--find");
  sub.add_option("--memory", o->memory,
                 "Memory for the layers; several passes where they need more [4GB]")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(false));
  add_path(sub, "--out", o->out, "Where the JSON goes [standard output]");
  add_model_of_run(sub, o->model);
  add_common(sub, o->common);
  sub.final_callback([o, folder, &run] {
    if (o->index.empty() && folder->count() == 0) throw CLI::RequiredError("--run");
    if (!o->index.empty() && o->find.empty()) throw CLI::RequiresError("--index", "--find");
    run = [o] { run_concepts(*o); };
  });
}

void declare_adversarial(CLI::App& app, action& run) {
  auto o = std::make_shared<adversarial_call>();
  CLI::App& sub =
      subcommand(app, "adversarial", "--run DIR --class-0 NAME --class-1 NAME [options]",
                 "Words that make pictures of class 1 look like class 0");
  add_path(sub, "--run", o->run, "Run folder of analyze, with words", "DIR")->required();
  sub.add_option("--class-0", o->class_0, "Name of the class to be taken for")
      ->type_name("NAME")
      ->required();
  sub.add_option("--class-1", o->class_1, "Name of the class that is there")
      ->type_name("NAME")
      ->required();
  add_numbers(sub, "--layers", o->layers, "Layers, as in 8,9,10 or 8-10, or all [all of the run]");
  add_count(sub, "--neurons", o->neurons, "Neurons whose words count [100]");
  add_count(sub, "--words-out", o->words_out, "Words listed [50]");
  add_count(sub, "--words-in-prompt", o->words_in_prompt, "Of these, in the prompt [25]");
  sub.add_option("--near", o->near,
                 "Cosine with a class's name from which on a word is a synonym, left out [0.9]")
      ->type_name("X");
  add_path(sub, "--templates", o->texts.templates,
           "Text file, a sentence with {} a line, for the classes [a photo of a {}.]");
  add_path(sub, "--vocab", o->texts.vocab, vocab_help);
  CLI::App& input = *sub.add_option_group("Images for the baseline of indirect effects, one of");
  input.require_option(0, 1);
  add_images(sub, input, o->input);
  add_pixels(input, o->input);
  sub.add_option("--seed", o->seed, "Of the random words [0]")->type_name("N");
  CLI::Option* write =
      sub.add_option("--write-with", o->write_with,
                     "Command that reads the prompt and writes captions, one a line")
          ->type_name("CMD");
  add_count(sub, "--captions", o->captions, "Captions asked for [10]");
  CLI::Option* paint = sub.add_option("--paint-with", o->paint_with,
                                      "Command that reads a caption and writes a JPEG or PNG")
                           ->type_name("CMD")
                           ->needs(write);
  CLI::Option* pictures =
      add_path(sub, "--pictures", o->pictures, "Folder that the pictures go to", "DIR");
  paint->needs(pictures);
  pictures->needs(paint);
  add_path(sub, "--evaluate", o->evaluate, "Pictures to classify [those painted]", "PATH")
      ->excludes(paint);
  add_path(sub, "--sheet", o->sheet, "PNG that shows pictures, those most like class 0 first");
  add_path(sub, "--out", o->out, "Where the JSON goes [standard output]");
  add_model_of_run(sub, o->model);
  add_common(sub, o->common);
  sub.final_callback([o, &run] {
    if (!o->sheet.empty() && o->evaluate.empty() && o->paint_with.empty()) {
      throw CLI::ValidationError("--sheet", "goes with --evaluate or --paint-with");
    }
    run = [o] { run_adversarial(*o); };
  });
}

/// The subcommand that was named, or the program when none was.
const CLI::App& chosen(const CLI::App& app) {
  const auto subs = app.get_subcommands();
  return subs.empty() ? app : *subs.front();
}

/// One line, whatever the names in it hold.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return text;
}

int run_and_report(const action& run) {
  std::string problem;
  try {
    run();
    flush_output();
    return 0;
  } catch (const std::bad_alloc&) {
    problem = "[memory] expected enough of it, got none left";
  } catch (const std::exception& e) {
    problem = e.what();
  } catch (...) {
    problem = "[run] expected a result, got an unknown exception";
  }
  if (const int signal = stop_signal(); signal != 0) {
    if (signal != SIGPIPE) std::cerr << "solens: stopped: " << one_line(problem) << '\n';
    die_of(signal);
  }
  std::cerr << "solens: " << one_line(problem) << '\n';
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  set_up_console();
  CLI::App app("Says in words what single neurons of a CLIP do.");
  app.formatter(std::make_shared<help_format>("solens SUBCOMMAND [options]"));
  app.set_help_flag("-h,--help", "Print this help and leave");
  app.set_version_flag("--version", "solens " SOLENS_VERSION, "Print the version and leave");
  app.require_subcommand(0, 1);  // an unknown one is named as such, see below for none
  action run;
  declare_demo(app, run);
  declare_info(app, run);
  declare_encode(app, run);
  declare_tokenize(app, run);
  declare_preprocess(app, run);
  declare_decompose(app, run);
  declare_effects(app, run);
  declare_analyze(app, run);
  declare_describe(app, run);
  declare_ablate(app, run);
  declare_segment(app, run);
  declare_heads(app, run);
  declare_pairs(app, run);
  declare_report(app, run);
  declare_concepts(app, run);
  declare_adversarial(app, run);
  try {
    app.parse(argc, argv);
    if (!run) throw CLI::RequiredError("A subcommand");
  } catch (const CLI::CallForHelp&) {
    run = [&] { print(chosen(app).help()); };
  } catch (const CLI::CallForVersion&) {
    run = [&] { print(app.version() + "\n"); };
  } catch (const CLI::ParseError& e) {
    const CLI::App& sub = chosen(app);
    std::cerr << "solens: " << one_line(e.what()) << '\n'
              << dynamic_cast<const help_format&>(*sub.get_formatter()).usage() << "'solens"
              << (&sub == &app ? "" : " " + sub.get_name()) << " --help' says more.\n";
    return 2;
  }
  return run_and_report(run);
}
