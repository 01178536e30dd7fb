#include "truth.hpp"

#include <algorithm>
#include <cmath>     // std::abs
#include <cstddef>   // std::size_t
#include <cstdint>   // std::uint64_t
#include <iterator>  // std::ssize
#include <numeric>   // std::accumulate, std::iota
#include <utility>   // std::as_const, std::move

#include <solens/core/threads.hpp>
#include <solens/findings/description.hpp>
#include <solens/findings/dissect.hpp>
#include <solens/findings/text_dictionary.hpp>
#include <solens/findings/writer_directions.hpp>

#include "grammar.hpp"
#include "observation.hpp"

namespace toyland {

using solens::index_t;
using tensor = solens::host_tensor<float>;
using areas_of_words = solens::host_tensor<double>;  // [n_neurons, n_words]

namespace {

constexpr std::size_t words_judged = 3;

struct chosen_word {
  index_t word;
  double weight;  ///< how much the method makes of it
  bool positive = true;
};

/// The first words of every neuron.
using chosen_words = std::vector<std::vector<chosen_word>>;

chosen_words words_of_directions(const clip::backend& be, const tensor& dictionary,
                                 const tensor& directions, int atoms) {
  const auto codes =
      solens::describe(be, dictionary.view(), directions.view(), {.n_atoms = atoms}).codes;
  chosen_words all;
  for (index_t n = 0; n < directions.extent(0); ++n) {
    auto& words = all.emplace_back();
    for (const auto& [word, weight] :
         solens::ranked_words(codes.atoms.view()[n], codes.weights.view()[n])) {
      words.push_back({word, std::abs(static_cast<double>(weight)), weight > 0});
    }
  }
  return all;
}

/// The words with the highest scores [n_neurons, n_words].
chosen_words best_words(const areas_of_words& scores) {
  chosen_words all;
  std::vector<index_t> order(static_cast<std::size_t>(scores.extent(1)));
  for (index_t n = 0; n < scores.extent(0); ++n) {
    std::iota(order.begin(), order.end(), index_t{0});
    std::partial_sort(order.begin(), order.begin() + words_judged, order.end(),
                      [&](index_t a, index_t b) { return scores(n, a) > scores(n, b); });
    auto& words = all.emplace_back();
    for (std::size_t w = 0; w < words_judged; ++w) words.push_back({order[w], scores(n, order[w])});
  }
  return all;
}

chosen_words random_words(index_t n_neurons, index_t n_words, std::uint64_t seed) {
  random_source random(seed);
  chosen_words all(static_cast<std::size_t>(n_neurons));
  for (auto& words : all) {
    for (std::size_t w = 0; w < words_judged; ++w) {
      words.push_back({random.below(static_cast<int>(n_words)), 1});
    }
  }
  return all;
}

/// Which words are true of which scenes, [n_scenes, n_words].
/// @throws solens::argument_error for a word that is true of all or of none
tensor truth_of(const std::vector<std::string>& words, const data_set_options& o) {
  tensor holds({o.n, std::ssize(words)}, 0.0F);
  std::vector<description> claims;
  for (const std::string& word : words) claims.push_back(claim_of(word));
  std::vector<int> count(words.size(), 0);
  for (int i = 0; i < o.n; ++i) {
    const scene s = scene_of(o, i);
    for (std::size_t w = 0; w < claims.size(); ++w) {
      if (!fits(claims[w], s)) continue;
      holds(i, static_cast<index_t>(w)) = 1;
      ++count[w];
    }
  }
  for (std::size_t w = 0; w < words.size(); ++w) {
    if (count[w] > 0 && count[w] < o.n) continue;
    throw solens::argument_error("truth", "scenes with and without '" + words[w] + "'",
                                 std::to_string(count[w]) + " of " + std::to_string(o.n));
  }
  return holds;
}

/// Ranks of m values less their mean, ties sharing the mean of theirs.
void rank(const float* values, index_t m, float* ranks) {
  std::vector<index_t> order(static_cast<std::size_t>(m));
  std::iota(order.begin(), order.end(), index_t{0});
  std::sort(order.begin(), order.end(),
            [values](index_t a, index_t b) { return values[a] < values[b]; });
  for (auto first = order.begin(); first != order.end();) {
    const auto last =
        std::find_if(first, order.end(), [&](index_t i) { return values[i] != values[*first]; });
    const auto sum = static_cast<float>((first - order.begin()) + (last - order.begin()) - m);
    for (; first != last; ++first) ranks[*first] = sum / 2;
  }
}

}  // namespace

areas_of_words areas_under_roc(const clip::backend& be, const tensor& values, const tensor& holds) {
  const index_t n = values.extent(0), m = values.extent(1), n_words = holds.extent(1);
  tensor ranks({n, m}), sums({n, n_words});
  solens::parallel_for(n, 8, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) rank(values.data() + i * m, m, ranks.data() + i * m);
  });
  // Sums of ranks about their middle, which keeps them small in float.
  be.gemm(1, std::as_const(ranks).view(), holds.view(), 0, sums.view());
  areas_of_words result({n, n_words});
  for (index_t w = 0; w < n_words; ++w) {
    double with = 0;
    for (index_t i = 0; i < m; ++i) with += static_cast<double>(holds(i, w));
    const double pairs = with * (static_cast<double>(m) - with);
    for (index_t i = 0; i < n; ++i) {
      result(i, w) = 0.5 + static_cast<double>(sums(i, w)) / pairs;
    }
  }
  return result;
}

namespace {

/// Values of every neuron of a layer on fresh scenes, as areas.
struct layer_areas {
  areas_of_words effect, activation;
};

layer_areas areas_of(const clip::backend& be, const tensor& holds, seen_layer& fresh,
                     const tensor& direction) {
  const index_t n = direction.extent(0), m = fresh.largest.extent(1);
  tensor along({n, fresh.second_order.n_sources()}), values({n, m});
  fresh.second_order.project(be, direction.view(), along.view());
  be.batched_gemm(1, std::as_const(fresh.coefficients).view(),
                  std::as_const(along).view().split(1, along.extent(1)).transposed(), 0,
                  values.view().split(1, m).transposed());
  return {areas_under_roc(be, values, holds), areas_under_roc(be, fresh.largest, holds)};
}

/// The words, about each of the neurons, that are most true: as their areas are far from one half.
chosen_words truest_words(const areas_of_words& areas) {
  areas_of_words distance(areas.extents());
  for (index_t i = 0; i < areas.size(); ++i) {
    distance.data()[i] = std::abs(areas.data()[i] - 0.5);
  }
  chosen_words all = best_words(distance);
  for (index_t n = 0; n < areas.extent(0); ++n) {
    for (chosen_word& w : all[static_cast<std::size_t>(n)]) w.positive = areas(n, w.word) > 0.5;
  }
  return all;
}

word_score score_of(const std::vector<chosen_word>& words, const areas_of_words& areas, index_t n) {
  word_score score{0.5, 0.5};
  double sum = 0, count = 0;
  for (const chosen_word& w : words) {
    if (count == words_judged) break;
    const double area = w.positive ? areas(n, w.word) : 1 - areas(n, w.word);
    if (count == 0) score.first = area;
    sum += area, ++count;
  }
  if (count > 0) score.first_three = sum / count;
  return score;
}

/// The tenth of the neurons whose first words have the largest weights, ascending.
std::vector<index_t> surest_tenth(const chosen_words& words) {
  std::vector<index_t> order(words.size());
  std::iota(order.begin(), order.end(), index_t{0});
  const auto weight = [&words](index_t n) {
    const auto& of = words[static_cast<std::size_t>(n)];
    return of.empty() ? 0 : of[0].weight;
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](index_t a, index_t b) { return weight(a) > weight(b); });
  order.resize(words.size() / 10);
  std::sort(order.begin(), order.end());
  return order;
}

/// @param words  of all neurons of the layer
judged_descriptions judge(std::string method, index_t layer, const chosen_words& words,
                          const std::vector<index_t>& neurons, const layer_areas& areas) {
  judged_descriptions result{std::move(method), layer, {}, {}};
  for (const index_t n : neurons) {
    const auto& of = words[static_cast<std::size_t>(n)];
    result.effect.push_back(score_of(of, areas.effect, n));
    result.activation.push_back(score_of(of, areas.activation, n));
  }
  return result;
}

effect_figures figures_of(std::string kind, index_t layer, const found_directions& found) {
  const auto mean = [](const tensor& x) {
    return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
  };
  return {std::move(kind),
          layer,
          found.direction.extent(0),
          mean(found.explained_variance),
          mean(found.explained_variance_all),
          mean(found.top_share)};
}

/// Describes the neurons of layers in every way.
class examiner {
 public:
  examiner(const clip& model, const truth_options& o, const std::vector<index_t>& layers)
      : model_(model),
        be_(model.be()),
        o_(o),
        words_(words_and_phrases()),
        holds_(truth_of(words_, o.fresh)),
        embeddings_(model.of_texts(words_)),
        dictionary_(solens::text_dictionary(be_, std::as_const(embeddings_).view())),
        seen_(model, o.scenes, layers),
        fresh_(model, o.fresh, layers),
        similarities_({o.scenes.n, std::ssize(words_)}) {
    be_.gemm(1, seen_.representations().view(), std::as_const(embeddings_).view().transposed(), 0,
             similarities_.view());
  }

  truth operator()() {
    for (std::size_t i = 0; i < seen_.layers().size(); ++i) {
      examine(seen_.layers()[i], fresh_.layers()[i]);
    }
    return std::move(result_);
  }

 private:
  void examine(seen_layer& of, seen_layer& fresh) {
    const index_t layer = of.second_order.layer(), n = of.second_order.n_writers();
    tensor directions({n, of.second_order.n_sources(), embeddings_.extent(1)});
    of.second_order.directions(be_, 0, n, directions.view());
    const auto second =
        find("second order", layer, of.coefficients, std::as_const(directions).view());
    const auto direct =
        find("direct", layer, of.direct_coefficients, of.direct.directions().split(0, 1));

    std::vector<index_t> all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), index_t{0});
    const layer_areas areas = areas_of(be_, holds_, fresh, second.direction);
    const auto add = [&](std::string method, const chosen_words& words,
                         const std::vector<index_t>& neurons) {
      result_.descriptions.push_back(judge(std::move(method), layer, words, neurons, areas));
    };
    const chosen_words ours = words_of(second), dissected = dissect(of.largest);
    add("second order", ours, all);
    add("direct", words_of(direct), all);
    add("soft WPMI, largest activation", dissected, all);
    add("soft WPMI, mean activation", dissect(of.mean), all);
    add("random words", random_words(n, std::ssize(words_), static_cast<std::uint64_t>(layer)),
        all);
    add("best word", truest_words(areas.effect), all);
    add("second order, surest tenth", ours, surest_tenth(ours));
    add("soft WPMI, surest tenth", dissected, surest_tenth(dissected));
    if (o_.indirect == 0) return;
    const auto some = solens::random_subset(n, std::min<index_t>(n, o_.indirect),
                                            {static_cast<std::uint64_t>(layer)});
    const chosen_words few = words_of(indirect(of, some));
    chosen_words by_indirect(all.size());
    for (std::size_t i = 0; i < some.size(); ++i) {
      by_indirect[static_cast<std::size_t>(some[i])] = few[i];
    }
    add("indirect, some neurons", by_indirect, some);
    add("second order, the same neurons", ours, some);
  }

  found_directions find(std::string kind, index_t layer, tensor& coefficients,
                        solens::const_view_of<clip::backend> directions) {
    found_directions found = find_directions(be_, coefficients.view(), directions);
    result_.effects.push_back(figures_of(std::move(kind), layer, found));
    return found;
  }

  /// Indirect effects as coefficients of the axes of the joint space.
  found_directions indirect(seen_layer& of, const std::vector<index_t>& neurons) {
    data_set_options scenes = o_.scenes;
    scenes.n = std::min(scenes.n, o_.indirect_scenes);
    tensor effects = seen_.indirect_effects(model_, scenes, of, neurons);
    const index_t e = effects.extent(2);
    tensor axes({e, e}, 0.0F);
    for (index_t j = 0; j < e; ++j) axes(j, j) = 1;
    return find("indirect", of.second_order.layer(), effects,
                std::as_const(axes).view().repeated(effects.extent(0)));
  }

  chosen_words words_of(const found_directions& found) const {
    return words_of_directions(be_, dictionary_, found.direction, o_.atoms);
  }

  chosen_words dissect(const tensor& activations) const {
    return best_words(solens::soft_wpmi(be_, activations.view(), similarities_.view(),
                                        {.top = std::min<index_t>(100, activations.extent(1))}));
  }

  const clip& model_;
  const clip::backend& be_;
  truth_options o_;
  std::vector<std::string> words_;
  tensor holds_;                    ///< [n_fresh, n_words]
  tensor embeddings_, dictionary_;  ///< [n_words, d_joint], unit rows
  seen_scenes seen_, fresh_;
  tensor similarities_;  ///< [n_scenes, n_words], of the scenes that descriptions are made from
  truth result_;
};

}  // namespace

truth hold_against_truth(const clip& model, const truth_options& o) {
  std::vector<index_t> layers = o.layers;
  for (index_t l = 0; o.layers.empty() && l + 1 < model.vision().config().n_layers; ++l) {
    layers.push_back(l);
  }
  return examiner(model, o, layers)();
}

}  // namespace toyland
