#include "concept_evaluation.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>   // std::size_t
#include <iterator>  // std::ssize
#include <numeric>   // std::iota
#include <span>
#include <utility>  // std::as_const, std::move

#include <solens/findings/concepts.hpp>
#include <solens/findings/description.hpp>
#include <solens/findings/direction.hpp>
#include <solens/findings/selectivity.hpp>
#include <solens/model/lens_views.hpp>

#include "described_neurons.hpp"
#include "observation.hpp"
#include "painter.hpp"
#include "random.hpp"

namespace toyland {

using solens::index_t, solens::weighted_writer;
using tensor = solens::host_tensor<float>;
using writers_by_scene = std::vector<std::vector<weighted_writer>>;

namespace {

constexpr int most_words = precision_ranks.back();

/// The words of each scene, the best first.
using ranked_words = std::vector<std::vector<index_t>>;

/// The columns with the largest values of each row.
ranked_words best_columns(const tensor& values) {
  ranked_words result;
  std::vector<index_t> order(static_cast<std::size_t>(values.extent(1)));
  for (index_t i = 0; i < values.extent(0); ++i) {
    std::iota(order.begin(), order.end(), index_t{0});
    std::partial_sort(order.begin(), order.begin() + most_words, order.end(),
                      [&](index_t a, index_t b) { return values(i, a) > values(i, b); });
    result.emplace_back(order.begin(), order.begin() + most_words);
  }
  return result;
}

ranked_words words_of(const writers_by_scene& scenes,
                      std::span<const solens::layer_codes<float>> codes) {
  ranked_words result;
  for (const auto& writers : scenes) {
    auto& words = result.emplace_back();
    for (const auto& said : solens::words_said_by<float>(writers, codes)) {
      if (std::ssize(words) == most_words) break;
      words.push_back(said.word);
    }
  }
  return result;
}

/// Direct effects of a layer's neurons, each a number times a direction of the neuron's.
struct direct_neurons {
  std::vector<double> mean, length, threshold;
  solens::sparse_codes<float> codes;
};

direct_neurons describe_direct(const clip& model, const toyland_words& words, seen_layer& of,
                               int atoms) {
  const index_t n = of.direct.n_writers(), m = of.direct_coefficients.extent(1);
  const auto along = of.direct.directions();  // [n, E]
  direct_neurons result;
  for (index_t w = 0; w < n; ++w) {
    double sum = 0, square = 0;
    for (index_t i = 0; i < m; ++i) sum += static_cast<double>(of.direct_coefficients(w, i, 0));
    for (index_t j = 0; j < along.extent(1); ++j) {
      square += static_cast<double>(along(w, j)) * static_cast<double>(along(w, j));
    }
    result.mean.push_back(sum / static_cast<double>(m));
    result.length.push_back(std::sqrt(square));
  }
  const auto found = find_directions(model.be(), of.direct_coefficients.view(), along.split(0, 1));
  std::vector<double> lengths(static_cast<std::size_t>(m));
  for (index_t w = 0; w < n; ++w) {  // coefficients are centered by now
    for (index_t i = 0; i < m; ++i) {
      lengths[static_cast<std::size_t>(i)] =
          std::abs(static_cast<double>(of.direct_coefficients(w, i, 0)));
    }
    const auto last = lengths.begin() + (std::max<index_t>(1, m / 50) - 1);
    std::nth_element(lengths.begin(), last, lengths.end(), std::greater<>());
    result.threshold.push_back(*last);
  }
  result.codes = solens::describe(model.be(), words.dictionary.view(),
                                  std::as_const(found.direction).view(), {.n_atoms = atoms})
                     .codes;
  return result;
}

/// Words by direct effects: significance and lengths as for second-order ones.
ranked_words by_direct_effects(const clip& model, const toyland_words& words,
                               const concept_options& o, const std::vector<index_t>& layers) {
  seen_scenes seen(model, o.scenes, layers), fresh(model, o.fresh, layers);
  std::vector<direct_neurons> neurons;
  std::vector<solens::layer_codes<float>> codes;
  writers_by_scene significant(static_cast<std::size_t>(o.fresh.n));
  for (std::size_t l = 0; l < layers.size(); ++l) {
    neurons.push_back(describe_direct(model, words, seen.layers()[l], o.atoms));
    const tensor& values = fresh.layers()[l].direct_coefficients;
    for (index_t w = 0; w < values.extent(0); ++w) {
      const auto n = static_cast<std::size_t>(w);
      for (index_t i = 0; i < values.extent(1); ++i) {
        const double off = std::abs(static_cast<double>(values(w, i, 0)) - neurons.back().mean[n]);
        if (off <= neurons.back().threshold[n]) continue;
        significant[static_cast<std::size_t>(i)].push_back(
            {layers[l], w, off * neurons.back().length[n]});
      }
    }
  }
  for (std::size_t l = 0; l < layers.size(); ++l) {
    codes.push_back({layers[l], neurons[l].codes.atoms, neurons[l].codes.weights});
  }
  return words_of(significant, codes);
}

/// Cosines of scenes and words, [n_scenes, n_words].
tensor similarities(const clip& model, const toyland_words& words, const data_set_options& o) {
  std::vector<solens::rgb_image> pictures;
  for (int i = 0; i < o.n; ++i) pictures.push_back(paint(scene_of(o, i), o.side).image);
  const tensor rows = model.of_pictures(pictures);
  tensor result({o.n, std::ssize(words.words)});
  model.be().gemm(1, rows.view(), words.embeddings.view().transposed(), 0, result.view());
  return result;
}

void subtract_means(tensor& values, const tensor& of) {
  for (index_t w = 0; w < values.extent(1); ++w) {
    double sum = 0;
    for (index_t i = 0; i < of.extent(0); ++i) sum += static_cast<double>(of(i, w));
    const auto mean = static_cast<float>(sum / static_cast<double>(of.extent(0)));
    for (index_t i = 0; i < values.extent(0); ++i) values(i, w) -= mean;
  }
}

/// The neurons that are significant on fresh scenes.
writers_by_scene significant_on(const clip& model, const data_set_options& fresh,
                                const std::vector<described_layer>& layers) {
  std::vector<solens::found_layer<float>> found;
  std::vector<index_t> numbers;
  for (const auto& l : layers) {
    found.push_back(l.found());
    numbers.push_back(l.number);
  }
  solens::significant_writers<clip::backend> significant(
      model.be(), solens::lens_weights_of(model.vision()), found);
  writers_by_scene result;
  for_each_batch(model, fresh, solens::second_order_sites(model.vision().config(), numbers),
                 [&](index_t, const auto& cache) {
                   for (auto& writers : significant(model.be(), solens::lens_activations_of(cache)))
                     result.push_back(std::move(writers));
                 });
  return result;
}

writers_by_scene of_layer(const writers_by_scene& all, index_t layer) {
  writers_by_scene some(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::copy_if(all[i].begin(), all[i].end(), std::back_inserter(some[i]),
                 [layer](const weighted_writer& w) { return w.layer == layer; });
  }
  return some;
}

/// Holds words against fresh scenes.
class examiner {
 public:
  examiner(const toyland_words& words, const data_set_options& fresh) : words_(words) {
    for (int i = 0; i < fresh.n; ++i) scenes_.push_back(scene_of(fresh, i));
  }

  void judge(std::string method, const ranked_words& said) {
    concept_precision score{std::move(method)};
    for (std::size_t r = 0; r < precision_ranks.size(); ++r) {
      for (std::size_t i = 0; i < scenes_.size(); ++i) {
        const auto end =
            said[i].begin() + std::min<std::ptrdiff_t>(std::ssize(said[i]), precision_ranks[r]);
        const auto hits = std::count_if(said[i].begin(), end, [&](index_t word) {
          return fits(words_.claims[static_cast<std::size_t>(word)], scenes_[i]);
        });
        score.at[r] +=
            static_cast<double>(hits) / precision_ranks[r] / static_cast<double>(scenes_.size());
      }
    }
    results_.push_back(std::move(score));
  }

  std::vector<concept_precision> results() && { return std::move(results_); }

 private:
  const toyland_words& words_;
  std::vector<scene> scenes_;
  std::vector<concept_precision> results_;
};

/// By how many scenes a word is true of.
std::vector<index_t> frequent_words(const toyland_words& words, const data_set_options& o) {
  tensor count({1, std::ssize(words.words)}, 0.0F);
  for (int i = 0; i < o.n; ++i) {
    const scene s = scene_of(o, i);
    for (std::size_t w = 0; w < words.claims.size(); ++w) {
      if (fits(words.claims[w], s)) count(0, static_cast<index_t>(w)) += 1;
    }
  }
  return best_columns(count)[0];
}

}  // namespace

std::vector<concept_precision> evaluate_concepts(const clip& model, const concept_options& o) {
  const toyland_words vocabulary(model);
  const auto layers = describe_neurons(model, vocabulary, o.scenes, o.layers, o.atoms);
  std::vector<index_t> numbers;
  std::vector<solens::layer_codes<float>> codes;
  for (const auto& l : layers) {
    numbers.push_back(l.number);
    codes.push_back(l.said());
  }
  examiner of_scenes(vocabulary, o.fresh);
  const writers_by_scene significant = significant_on(model, o.fresh, layers);
  of_scenes.judge("concepts", words_of(significant, codes));
  for (const index_t l : numbers) {
    of_scenes.judge("concepts, layer " + std::to_string(l),
                    words_of(of_layer(significant, l), codes));
  }
  of_scenes.judge("direct effects", by_direct_effects(model, vocabulary, o, numbers));

  tensor cosines = similarities(model, vocabulary, o.fresh);
  of_scenes.judge("similarity", best_columns(cosines));
  subtract_means(cosines, similarities(model, vocabulary, o.scenes));
  of_scenes.judge("similarity, centered", best_columns(cosines));
  const ranked_words frequent(static_cast<std::size_t>(o.fresh.n),
                              frequent_words(vocabulary, o.scenes));
  of_scenes.judge("frequent words", frequent);
  random_source random(o.fresh.seed);
  tensor guesses(cosines.extents());
  for (float& g : guesses) g = static_cast<float>(random.below(1 << 20));
  of_scenes.judge("random words", best_columns(guesses));
  return std::move(of_scenes).results();
}

}  // namespace toyland
