// The program `toyland`: pictures of a small world whose every concept is known.

#include <CLI/CLI.hpp>

#include <algorithm>  // std::max
#include <array>
#include <cmath>  // std::sqrt
#include <cstdint>
#include <cstdio>  // std::printf
#include <exception>
#include <filesystem>
#include <iostream>
#include <iterator>  // std::istreambuf_iterator
#include <string>
#include <vector>

#include <solens/image/encode_png.hpp>

#include "adversarial_trial.hpp"
#include "concept_evaluation.hpp"
#include "data_set.hpp"
#include "evaluation.hpp"
#include "grammar.hpp"
#include "painter.hpp"
#include "truth.hpp"
#include "segmentation.hpp"

namespace {

using namespace toyland;

struct paint_call {
  data_set_options data;
  bool raw = false, evenly = false;
  std::string out;
};

struct sheet_call {
  data_set_options data{.n = 96};
  int columns = 16;
  std::string out;
};

struct prompt_call {
  std::string text, out;
  std::uint64_t seed = 1;
  int side = 256;
};

void declare_paint(CLI::App& app, paint_call& call) {
  CLI::App* sub = app.add_subcommand("paint", "Paints scenes, with masks and captions");
  sub->add_option("--n", call.data.n, "Scenes [2000]")->check(CLI::Range(1, 10'000'000));
  sub->add_option("--seed", call.data.seed, "Other seeds, other scenes [1]");
  sub->add_option("--things", call.data.things, "Things in every scene [one to three]")
      ->check(CLI::Range(1, most_things));
  sub->add_option("--side", call.data.side, "Pixels a side [64]")->check(CLI::Range(8, 1024));
  sub->add_flag("--evenly", call.evenly, "Colours, textures and settings without correlations");
  sub->add_flag("--raw", call.raw, "One .safetensors file for training, not a folder of PNGs");
  sub->add_option("--out", call.out, "The folder or file")->required();
  sub->callback([&call] {
    call.data.how.planted = !call.evenly;
    if (call.raw) {
      write_raw(call.data, call.out);
    } else {
      write_pictures(call.data, call.out);
    }
  });
}

void declare_sheet(CLI::App& app, sheet_call& call) {
  CLI::App* sub = app.add_subcommand("sheet", "Paints scenes side by side, for a look");
  sub->add_option("--n", call.data.n, "Scenes [96]")->check(CLI::Range(1, 1000));
  sub->add_option("--columns", call.columns, "Scenes in a row [16]")->check(CLI::Range(1, 100));
  sub->add_option("--seed", call.data.seed, "Other seeds, other scenes [1]");
  sub->add_option("--side", call.data.side, "Pixels a side of each [64]")
      ->check(CLI::Range(8, 256));
  sub->add_option("--out", call.out, "The PNG file")->required();
  sub->callback([&call] { write_sheet(call.data, call.columns, call.out); });
}

void declare_words(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("words", "Words and phrases of the world, one a line");
  sub->callback([] {
    for (const std::string& text : words_and_phrases()) std::cout << text << '\n';
  });
}

void declare_prompt(CLI::App& app, prompt_call& call) {
  CLI::App* sub = app.add_subcommand("prompt", "Paints what a text asks for");
  sub->add_option("text", call.text,
                  "\"a red boat on the sea and a yellow moon\"; - reads it from standard input")
      ->required();
  sub->add_option("--seed", call.seed, "Other seeds, other pictures [1]");
  sub->add_option("--side", call.side, "Pixels a side [256]")->check(CLI::Range(8, 1024));
  sub->add_option("--out", call.out, "The PNG file; - for standard output")->required();
  sub->callback([&call] {
    if (call.text == "-") call.text.assign(std::istreambuf_iterator<char>(std::cin), {});
    const parsed_prompt prompt = parse(call.text);
    for (const std::string& word : prompt.ignored)
      std::cerr << "toyland: no '" << word << "' here\n";
    const scene s = imagine(prompt.told, call.seed);
    const solens::rgb_image image = paint(s, call.side).image;
    if (call.out == "-") {
      std::cout << solens::encode_png(image.view());
      return;
    }
    solens::write_png(call.out, image.view());
    random_source r(call.seed);
    std::cout << caption(describe(s), r) << '\n';
  });
}

struct evaluate_call {
  std::string model;
  int n = 500;
  std::uint64_t seed = 2024;
};

/// Kinds told apart zero-shot, by the number of things and with or without the correlations.
void evaluate(const evaluate_call& call) {
  const clip model(call.model);
  std::printf("zero-shot accuracy, %d kinds, %d scenes a row\n", n_kinds, call.n);
  std::printf("%-26s %9s %9s\n", "", "best kind", "all kinds");
  for (const bool planted : {true, false}) {
    for (int things = 1; things <= most_things; ++things) {
      const zero_shot_score score = zero_shot(
          model, {.n = call.n, .seed = call.seed, .things = things, .how = {.planted = planted}});
      const std::string row = std::to_string(things) + (things == 1 ? " thing" : " things") +
                              (planted ? "" : ", correlations off");
      std::printf("%-26s %8.1f%% %8.1f%%\n", row.c_str(), 100 * score.best, 100 * score.all);
    }
  }
}

void declare_evaluate(CLI::App& app, evaluate_call& call) {
  CLI::App* sub = app.add_subcommand("evaluate", "How well a CLIP tells the kinds of things");
  sub->add_option("--model", call.model, "Folder of the model")->required();
  sub->add_option("--n", call.n, "Scenes a row [500]")->check(CLI::Range(1, 100'000));
  sub->add_option("--seed", call.seed, "Of the scenes [2024]; training had 7");
  sub->callback([&call] { evaluate(call); });
}

struct truth_call {
  std::string model;
  truth_options how;
};

struct summary {
  double mean, error;  ///< standard error of the mean
  double high, low;    ///< shares of 0.9 and more, of 0.1 and less
};

template <class F>
summary summary_of(const std::vector<word_score>& scores, F&& value) {
  double sum = 0, squares = 0, high = 0, low = 0;
  const auto n = static_cast<double>(scores.size());
  for (const word_score& s : scores) {
    const double x = value(s);
    sum += x, squares += x * x, high += x >= 0.9, low += x <= 0.1;
  }
  const double mean = sum / n, variance = (squares / n - mean * mean) * n / std::max(1.0, n - 1);
  return {mean, std::sqrt(std::max(0.0, variance) / n), high / n, low / n};
}

void print_scores(const std::string& name, const std::vector<word_score>& effect,
                  const std::vector<word_score>& activation) {
  std::printf("%-38s %7zu", name.c_str(), effect.size());
  for (const auto* scores : {&effect, &activation}) {
    const summary first = summary_of(*scores, [](const word_score& s) { return s.first; });
    const summary three = summary_of(*scores, [](const word_score& s) { return s.first_three; });
    std::printf("  | %.3f +- %.3f  %5.1f %%  %5.1f %%  %.3f +- %.3f", first.mean, first.error,
                100 * first.high, 100 * first.low, three.mean, three.error);
  }
  std::printf("\n");
}

/// Methods in the order of the first layer, all layers' scores together; then by layer.
void print_descriptions(const std::vector<judged_descriptions>& all) {
  std::printf("%-38s %7s  | %-48s  | %s\n%-38s %7s", "", "", "second-order effect",
              "largest activation", "descriptions by", "neurons");
  for (int i = 0; i < 2; ++i) {
    std::printf("  | %-14s  %7s  %7s  %-14s", "first word", ">= 0.9", "<= 0.1", "first three");
  }
  std::printf("\n");
  std::vector<std::string> methods;
  for (const auto& d : all) {
    if (d.layer == all.front().layer) methods.push_back(d.method);
  }
  for (const std::string& method : methods) {
    std::vector<word_score> effect, activation;
    for (const auto& d : all) {
      if (d.method != method) continue;
      effect.insert(effect.end(), d.effect.begin(), d.effect.end());
      activation.insert(activation.end(), d.activation.begin(), d.activation.end());
    }
    print_scores(method, effect, activation);
  }
  for (const auto& d : all) {
    print_scores("layer " + std::to_string(d.layer) + ": " + d.method, d.effect, d.activation);
  }
}

void print_truth(const truth& t) {
  print_descriptions(t.descriptions);
  std::printf("\n%-14s %5s %8s  %18s  %8s  %s\n", "effects", "layer", "neurons", "in one direction",
              "of all", "norms on the strongest 2 %");
  for (const effect_figures& f : t.effects) {
    std::printf("%-14s %5d %8d  %16.1f %%  %6.1f %%  %.1f %%\n", f.kind.c_str(),
                static_cast<int>(f.layer), static_cast<int>(f.n_neurons),
                100 * f.explained_variance, 100 * f.explained_variance_all, 100 * f.top_share);
  }
}

void declare_truth(CLI::App& app, truth_call& call) {
  CLI::App* sub = app.add_subcommand("truth", "How true descriptions of neurons are");
  truth_options& how = call.how;
  sub->add_option("--model", call.model, "Folder of the model")->required();
  sub->add_option("--n", how.scenes.n, "Scenes that descriptions are made from [2000]")
      ->check(CLI::Range(100, 100'000));
  sub->add_option("--seed", how.scenes.seed, "Of these [1]; training had 7");
  sub->add_option("--fresh", how.fresh.n, "Scenes that they are held against [4000]")
      ->check(CLI::Range(100, 100'000));
  sub->add_option("--fresh-seed", how.fresh.seed, "Of those [99]");
  sub->add_flag("--planted", how.fresh.how.planted, "Those with the correlations, too");
  sub->add_option("--atoms", how.atoms, "Words in a sparse code [8]")->check(CLI::Range(1, 128));
  sub->add_option("--indirect", how.indirect, "Neurons a layer for indirect effects [16]")
      ->check(CLI::Range(0, 1'000'000));
  sub->callback([&call] { print_truth(hold_against_truth(clip(call.model), call.how)); });
}

void segment(const segmentation_call& call) {
  const auto rows = compare_segmentations(call);
  std::printf("%lld things in %d scenes\n", static_cast<long long>(rows.front().scores.n()),
              call.n);
  std::printf("%-28s %14s %7s %7s\n", "", "pixel accuracy", "mIoU", "mAP");
  for (const segmentation_row& row : rows) {
    std::printf("%-28s %12.2f %% %5.2f %% %5.2f %%\n", row.name.c_str(),
                100 * row.scores.pixel_accuracy(), 100 * row.scores.mean_iou(),
                100 * row.scores.mean_average_precision());
  }
}

void declare_segment(CLI::App& app, segmentation_call& call) {
  CLI::App* sub = app.add_subcommand("segment", "How well things are found in cluttered scenes");
  sub->add_option("--model", call.model, "Folder of the model")->required();
  sub->add_option("--run", call.run, "Run folder of solens analyze on it")->required();
  sub->add_option("--layers", call.layers, "Layers whose neurons are read, as in 3,4")
      ->delimiter(',')
      ->required();
  sub->add_option("--neurons", call.neurons, "Neurons for a kind [200]")
      ->check(CLI::Range(1, 100'000));
  sub->add_option("--n", call.n, "Scenes, of two and three things in turn [500]")
      ->check(CLI::Range(1, 100'000));
  sub->add_option("--seed", call.seed, "Of the scenes [2025]");
  sub->add_flag("--evenly", call.evenly, "Colours, textures and settings without correlations");
  sub->callback([&call] { segment(call); });
}

struct concepts_call {
  std::string model;
  concept_options how;
};

void declare_concepts(CLI::App& app, concepts_call& call) {
  CLI::App* sub = app.add_subcommand("concepts", "Whether the words that scenes get are true");
  sub->add_option("--model", call.model, "Folder of the model")->required();
  sub->add_option("--n", call.how.scenes.n, "Scenes that neurons are described from [5000]")
      ->check(CLI::Range(50, 100'000));
  sub->add_option("--fresh", call.how.fresh.n, "Scenes that get words [500]")
      ->check(CLI::Range(1, 100'000));
  sub->add_option("--seed", call.how.fresh.seed, "Of these [99]");
  sub->add_option("--layers", call.how.layers, "Layers, as in 3,4 [all with later blocks]")
      ->delimiter(',');
  sub->add_option("--atoms", call.how.atoms, "Words a neuron [32]")->check(CLI::Range(1, 128));
  sub->callback([&call] {
    std::printf("%-24s %8s %8s %8s\n", "share of true words", "first", "first 5", "first 10");
    for (const auto& [method, at] : evaluate_concepts(clip(call.model), call.how)) {
      std::printf("%-24s %7.1f%% %7.1f%% %7.1f%%\n", method.c_str(), 100 * at[0], 100 * at[1],
                  100 * at[2]);
    }
  });
}

struct adversarial_call {
  std::string model;
  adversarial_options how;
};

/// A mean and its spread over seeds, in percent.
std::string mean_and_spread(const std::vector<double>& shares) {
  double sum = 0, squares = 0;
  for (const double s : shares) sum += s, squares += s * s;
  const auto n = static_cast<double>(shares.size());
  const double mean = sum / n, variance = (squares / n - mean * mean) * n / std::max(1.0, n - 1);
  char text[40];
  std::snprintf(text, sizeof text, "%.1f +- %.1f", 100 * mean,
                100 * std::sqrt(std::max(0.0, variance)));
  return text;
}

void print_adversarial(const std::vector<adversarial_result>& results) {
  std::printf("%-22s", "");
  for (const char* choice : word_choices) std::printf(" %18s", choice);
  std::printf("\n");
  std::array<std::vector<double>, word_choices.size()> all;  // by choice and seed, over the pairs
  for (const auto& r : results) {
    const std::string pair =
        std::string(name_of(r.there)) + " for " + std::string(name_of(r.taken_for));
    std::printf("%-22s", pair.c_str());
    for (std::size_t c = 0; c < word_choices.size(); ++c) {
      std::printf(" %18s", mean_and_spread(r.share[c]).c_str());
      all[c].resize(r.share[c].size());
      for (std::size_t s = 0; s < all[c].size(); ++s) {
        all[c][s] += r.share[c][s] / static_cast<double>(results.size());
      }
    }
    std::printf("\n");
  }
  std::printf("%-22s", "all");
  for (const auto& shares : all) std::printf(" %18s", mean_and_spread(shares).c_str());
  std::printf("\n");
}

void declare_adversarial(CLI::App& app, adversarial_call& call) {
  CLI::App* sub = app.add_subcommand("adversarial", "Whether spurious words deceive the model");
  sub->add_option("--model", call.model, "Folder of the model")->required();
  sub->add_option("--n", call.how.scenes.n, "Scenes that neurons are described from [5000]")
      ->check(CLI::Range(50, 100'000));
  sub->add_option("--pictures", call.how.pictures, "Pictures a pair, choice and seed [40]")
      ->check(CLI::Range(1, 100'000));
  sub->add_option("--words", call.how.words, "Words that captions are made from [25]")
      ->check(CLI::Range(1, 400));
  sub->add_option("--words-a-caption", call.how.words_a_caption, "Of these, in a caption [4]")
      ->check(CLI::Range(1, 10));
  sub->add_option("--neurons", call.how.neurons, "Neurons whose words count [100]")
      ->check(CLI::Range(1, 100'000));
  sub->add_option("--layers", call.how.layers, "Layers, as in 3,4 [all with later blocks]")
      ->delimiter(',');
  sub->add_option("--seeds", call.how.seeds, "Of words, captions and pictures [1,2,3]")
      ->delimiter(',');
  sub->callback([&call] { print_adversarial(try_adversarial(clip(call.model), call.how)); });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Paints a small world whose every concept is known.");
  app.require_subcommand(1);
  paint_call paint_options;
  sheet_call sheet_options;
  prompt_call prompt_options;
  evaluate_call evaluate_options;
  truth_call truth_words;
  segmentation_call segment_options;
  declare_paint(app, paint_options);
  declare_sheet(app, sheet_options);
  declare_prompt(app, prompt_options);
  declare_evaluate(app, evaluate_options);
  declare_truth(app, truth_words);
  declare_segment(app, segment_options);
  declare_words(app);
  concepts_call concepts_options;
  declare_concepts(app, concepts_options);
  adversarial_call adversarial_options_of_call;
  declare_adversarial(app, adversarial_options_of_call);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const std::exception& e) {
    std::cerr << "toyland: " << e.what() << '\n';
    return 1;
  }
  return 0;
}
