#include "adversarial_trial.hpp"

#include <algorithm>
#include <cmath>     // std::abs
#include <cstddef>   // std::size_t
#include <iterator>  // std::ssize
#include <numeric>   // std::accumulate, std::iota
#include <span>
#include <utility>  // std::as_const, std::move, std::swap

#include <solens/findings/adversarial.hpp>

#include "described_neurons.hpp"
#include "observation.hpp"
#include "painter.hpp"
#include "random.hpp"

namespace toyland {

using solens::index_t, solens::said_word, solens::weighted_writer;
using tensor = solens::host_tensor<float>;

namespace {

/// Adds what a word says, if all of it can be told.
bool add(const description& claim, kind absent, description& told) {
  description next = told;
  for (const mention& m : claim.things) {
    if (m.what == absent) return false;
    const auto same = std::find_if(next.things.begin(), next.things.end(),
                                   [&](const mention& t) { return !m.what || t.what == m.what; });
    if (same == next.things.end()) {
      if (std::ssize(next.things) == most_things) return false;
      next.things.push_back(m);
      continue;
    }
    if ((m.hue && same->hue) || (m.pattern && same->pattern)) return false;
    if (m.hue) same->hue = m.hue;
    if (m.pattern) same->pattern = m.pattern;
  }
  if (claim.place && next.place) return false;
  if (claim.place) next.place = claim.place;
  if (claim.between && next.between) return false;
  if (claim.between) next.between = claim.between;
  told = std::move(next);
  return true;
}

/// What pictures of one kind are to be taken for, and the words for it.
struct trial {
  kind taken_for, there;
  std::vector<description> claims;  ///< of the words; none for the kind alone
};

/// A picture as the trial wants it.
solens::rgb_image picture_of(const trial& t, int words_a_caption, random_source& random) {
  std::vector<description> claims = t.claims;
  for (std::size_t i = claims.size(); i > 1; --i) {
    std::swap(claims[i - 1], claims[static_cast<std::size_t>(random.below(static_cast<int>(i)))]);
  }
  const description told = scene_with(t.there, t.taken_for, claims, words_a_caption);
  while (true) {
    const auto seed = static_cast<std::uint64_t>(random.below(1 << 30));
    const scene s = imagine(told, seed, {.planted = false});
    picture p = paint(s);
    const auto& of_first = p.masks[0].values();
    const auto seen = std::accumulate(of_first.begin(), of_first.end(), 0LL) / 255;
    if (100 * seen >= usual_side * usual_side) return std::move(p.image);
  }
}

class experiment {
 public:
  experiment(const clip& model, const adversarial_options& o)
      : model_(model),
        o_(o),
        words_(model),
        layers_(describe_neurons(model, words_, o.scenes, o.layers, o.atoms)),
        classes_(kind_classifier(model)) {
    std::vector<std::string> names;
    for (int k = 0; k < n_kinds; ++k) names.emplace_back(name_of(static_cast<kind>(k)));
    names_ = model.of_texts(names);
    find_indirect_effects();
  }

  adversarial_result operator()(kind taken_for, kind there) {
    adversarial_result result{taken_for, there, {}};
    const auto zero = static_cast<index_t>(taken_for), one = static_cast<index_t>(there);
    tensor difference({classes_.extent(1)});
    for (index_t j = 0; j < difference.size(); ++j) {
      difference(j) = classes_(zero, j) - classes_(one, j);
    }
    for (const std::uint64_t seed : o_.seeds) {
      for (std::size_t choice = 0; choice < word_choices.size(); ++choice) {
        trial t{taken_for, there, {}};
        for (const said_word& w : choose(choice, t, difference, seed)) {
          t.claims.push_back(words_.claims[static_cast<std::size_t>(w.word)]);
        }
        result.share[choice].push_back(share(t, difference, seed));
      }
    }
    return result;
  }

 private:
  /// Absolute effects along a difference need the effects themselves: [n_neurons, n_scenes, E] of
  /// every layer.
  void find_indirect_effects() {
    data_set_options few = o_.scenes;
    few.n = o_.indirect_scenes;
    std::vector<index_t> numbers;
    for (const auto& l : layers_) numbers.push_back(l.number);
    seen_scenes seen(model_, few, numbers);
    std::vector<index_t> all(static_cast<std::size_t>(model_.vision().config().d_mlp));
    std::iota(all.begin(), all.end(), index_t{0});
    for (seen_layer& of : seen.layers()) {
      indirect_.push_back(seen.indirect_effects(model_, few, of, all));
    }
  }

  /// Mean over scenes of the magnitude of each neuron's indirect effect along the difference.
  std::vector<double> indirect_keys(const tensor& difference) const {
    std::vector<double> keys;
    for (const tensor& effects : indirect_) {
      for (index_t n = 0; n < effects.extent(0); ++n) {
        double sum = 0;
        for (index_t i = 0; i < effects.extent(1); ++i) {
          double product = 0;
          for (index_t j = 0; j < effects.extent(2); ++j) {
            product += static_cast<double>(effects(n, i, j)) * static_cast<double>(difference(j));
          }
          sum += std::abs(product);
        }
        keys.push_back(sum);
      }
    }
    return keys;
  }

  std::vector<said_word> rank(std::size_t choice, const tensor& difference,
                              std::uint64_t seed) const {
    const auto& be = model_.be();
    switch (choice) {
      case 0: return {};
      case 1: return solens::words_at_random(std::ssize(words_.words), seed);
      case 2: return solens::words_along<clip::backend>(be, words_.dictionary.view(), difference);
      default: break;
    }
    std::vector<solens::layer_directions<float>> directions;
    std::vector<solens::layer_codes<float>> codes;
    for (const auto& l : layers_) {
      directions.push_back(l.directions());
      codes.push_back(l.said());
    }
    const auto pulls = solens::pulls<clip::backend>(be, directions, difference);
    auto keys = choice == 3 ? indirect_keys(difference) : std::vector<double>();
    return solens::spurious_words<float>(solens::foremost(pulls, o_.neurons, std::move(keys)),
                                         codes);
  }

  std::vector<said_word> choose(std::size_t choice, const trial& t, const tensor& difference,
                                std::uint64_t seed) const {
    const auto zero = static_cast<index_t>(t.taken_for), one = static_cast<index_t>(t.there);
    tensor bare({2, names_.extent(1)});
    for (index_t j = 0; j < bare.extent(1); ++j) {
      bare(0, j) = names_(zero, j), bare(1, j) = names_(one, j);
    }
    const solens::class_pair<float> pair{
        {std::string(name_of(t.taken_for)), std::string(name_of(t.there))}, bare};
    return solens::without_giveaways<float>(rank(choice, difference, seed), words_.words, pair,
                                            o_.words, [&](std::span<const std::string> texts) {
                                              return model_.of_texts({texts.begin(), texts.end()});
                                            });
  }

  double share(const trial& t, const tensor& difference, std::uint64_t seed) const {
    random_source random(seed);
    std::vector<solens::rgb_image> pictures;
    for (int i = 0; i < o_.pictures; ++i) {
      pictures.push_back(picture_of(t, o_.words_a_caption, random));
    }
    const tensor rows = model_.of_pictures(pictures);
    int taken = 0;
    for (index_t i = 0; i < rows.extent(0); ++i) {
      double margin = 0;
      for (index_t j = 0; j < rows.extent(1); ++j) {
        margin += static_cast<double>(rows(i, j)) * static_cast<double>(difference(j));
      }
      taken += margin > 0;
    }
    return static_cast<double>(taken) / o_.pictures;
  }

  const clip& model_;
  adversarial_options o_;
  toyland_words words_;
  std::vector<described_layer> layers_;
  tensor classes_, names_;  ///< [n_kinds, E]: in sentences, and alone
  std::vector<tensor> indirect_;
};

}  // namespace

description scene_with(kind there, kind absent, const std::vector<description>& claims, int most) {
  description told{.things = {{there, {}, {}}}, .between = {}, .place = {}};
  int taken = 0;
  for (const description& claim : claims) {
    if (taken == most) break;
    taken += add(claim, absent, told);
  }
  if (told.things.size() < 2) told.between.reset();
  return told;
}

std::vector<adversarial_result> try_adversarial(const clip& model, const adversarial_options& o) {
  constexpr int places_on = 7;
  experiment run(model, o);
  std::vector<adversarial_result> results;
  for (int k = 0; k < n_kinds; ++k) {
    results.push_back(run(static_cast<kind>(k), static_cast<kind>((k + places_on) % n_kinds)));
  }
  return results;
}

}  // namespace toyland
