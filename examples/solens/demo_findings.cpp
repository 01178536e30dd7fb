#include "demo_findings.hpp"

#include <algorithm>  // std::count_if, std::find, std::stable_sort
#include <cstddef>    // std::ptrdiff_t, std::size_t
#include <cstdio>     // std::snprintf
#include <fstream>
#include <functional>
#include <iterator>  // std::ssize
#include <utility>   // std::pair
#include <vector>

#include <solens/findings/description.hpp>
#include <solens/weights/safetensors.hpp>

#include "toyland/grammar.hpp"

namespace solens::program {
namespace {

/// What is kept of a neuron.
struct neuron {
  index_t layer, number;
  std::vector<weighted_word<float>> words;  ///< the largest magnitude first
  float explained_variance;
  std::vector<index_t> strongest;  ///< scenes
};

struct word {
  std::string text;
  toyland::description claim;
};

std::vector<word> read_words(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::vector<word> words;
  for (std::string line; std::getline(in, line);) words.push_back({line, toyland::claim_of(line)});
  return words;
}

void read_layer(const std::filesystem::path& file, index_t layer, std::vector<neuron>& all) {
  const safetensors_file found(file);
  const auto images = found.view<index_t>("top_images");
  for (index_t n = 0; n < images.extent(0); ++n) {
    const auto strongest = row_of(images, n);
    all.push_back(
        {layer,
         n,
         ranked_words(found.view<index_t>("code_atoms")[n], found.view<float>("code_weights")[n]),
         found.view<float>("explained_variance")(n),
         {strongest.data, strongest.data + strongest.size}});
  }
}

class toyland_run {
 public:
  toyland_run(const run_folder& folder, const toyland::data_set_options& o)
      : layers_(layers_of(folder.record())), words_(read_words(folder.path() / "words.txt")) {
    const safetensors_file dictionary(folder.path() / "dictionary.safetensors");
    dictionary_ = dictionary.tensor<float>("embeddings");
    for (const index_t layer : layers_) {
      read_layer(folder.path() / run_folder::layer_file(layer), layer, neurons_);
    }
    for (int i = 0; i < o.n; ++i) scenes_.push_back(scene_of(o, i));
  }

  std::string text() const {
    const std::string head =
        "\n  layer  neuron  in one direction   word                     weight   true of strongest"
        "   of all\n";
    return "\nNeurons that say one thing:\n" + head + chosen(5, 1, one_thing) +
           "\nNeurons that say two:\n" + head +
           chosen(3, 2, [this](const neuron& n) { return two_things(n); }) +
           "\nThe layers, and what the first words of their neurons tell of:\n\n" + layers();
  }

 private:
  /// How much a neuron does in one direction, and how much of that its first word says.
  static float one_thing(const neuron& n) {
    return n.words.empty() ? 0 : n.explained_variance * n.words[0].weight;
  }

  /// The same for the second word, where the two have little to do with each other.
  float two_things(const neuron& n) const {
    if (n.words.size() < 2 || n.words[0].weight < 0 || n.words[1].weight < 0) return 0;
    const auto a = row_of(dictionary_.view(), n.words[0].word);
    const auto b = row_of(dictionary_.view(), n.words[1].word);
    float cosine = 0;
    for (index_t j = 0; j < a.size; ++j) cosine += a[j] * b[j];
    return cosine > 0.1F ? 0 : n.explained_variance * n.words[1].weight;
  }

  /// The neurons with the highest scores, none that says what one before it does.
  std::string chosen(int n, std::size_t n_words,
                     const std::function<float(const neuron&)>& score) const {
    std::vector<std::pair<float, const neuron*>> ranked;
    for (const neuron& of : neurons_) ranked.emplace_back(score(of), &of);
    std::stable_sort(ranked.begin(), ranked.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<toyland::description> said;
    std::string lines;
    for (const auto& [value, of] : ranked) {
      if (std::ssize(said) == n || value <= 0) break;
      const auto& claim = of_word(of->words[0]).claim;
      if (std::find(said.begin(), said.end(), claim) != said.end()) continue;
      said.push_back(claim);
      lines += rows(*of, n_words);
    }
    return lines;
  }

  const word& of_word(const weighted_word<float>& w) const {
    return words_[static_cast<std::size_t>(w.word)];
  }

  /// A row for each of a neuron's first words.
  std::string rows(const neuron& n, std::size_t n_words) const {
    std::string lines;
    for (std::size_t w = 0; w < n_words; ++w) {
      const word& said = of_word(n.words[w]);
      const auto fits = [&](const toyland::scene& s) { return toyland::fits(said.claim, s); };
      const auto strongest = std::count_if(n.strongest.begin(), n.strongest.end(), [&](index_t i) {
        return fits(scenes_[static_cast<std::size_t>(i)]);
      });
      const auto all = std::count_if(scenes_.begin(), scenes_.end(), fits);
      char text[160];
      std::snprintf(text, sizeof text,
                    "  %5d  %6d  %14.0f %%   %-23s  %+5.2f  %15.0f %%  %5.1f %%\n",
                    static_cast<int>(n.layer), static_cast<int>(n.number),
                    100 * static_cast<double>(n.explained_variance), said.text.c_str(),
                    static_cast<double>(n.words[w].weight), share(strongest, n.strongest.size()),
                    share(all, scenes_.size()));
      lines += text;
    }
    return lines;
  }

  static double share(std::ptrdiff_t part, std::size_t whole) {
    return 100 * static_cast<double>(part) / static_cast<double>(whole);
  }

  std::string layers() const {
    std::string lines = "  layer  in one direction   kind  colour  texture  setting\n";
    for (const index_t layer : layers_) {
      double n = 0, variance = 0, kind = 0, colour = 0, texture = 0, setting = 0;
      for (const neuron& of : neurons_) {
        if (of.layer != layer || of.words.empty()) continue;
        const auto& claim = of_word(of.words[0]).claim;
        const toyland::mention thing = claim.things.empty() ? toyland::mention{} : claim.things[0];
        ++n, variance += static_cast<double>(of.explained_variance);
        kind += thing.what.has_value(), colour += thing.hue.has_value();
        texture += thing.pattern.has_value(), setting += claim.place.has_value();
      }
      char text[160];
      std::snprintf(text, sizeof text, "  %5d  %14.0f %% %5.0f%% %6.0f%% %7.0f%% %7.0f%%\n",
                    static_cast<int>(layer), 100 * variance / n, 100 * kind / n, 100 * colour / n,
                    100 * texture / n, 100 * setting / n);
      lines += text;
    }
    return lines;
  }

  std::vector<index_t> layers_;
  std::vector<word> words_;
  host_tensor<float> dictionary_;  ///< [words, E], unit rows
  std::vector<neuron> neurons_;
  std::vector<toyland::scene> scenes_;
};

}  // namespace

std::string findings_to_read(const run_folder& folder, const toyland::data_set_options& scenes) {
  return toyland_run(folder, scenes).text();
}

}  // namespace solens::program
