#include <algorithm>
#include <cstdio>  // std::snprintf
#include <filesystem>
#include <iostream>
#include <iterator>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include <solens/core/atomic_file.hpp>
#include <solens/findings/description.hpp>
#include <solens/findings/head_pairs.hpp>
#include <solens/text/word_list.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

#include "commands.hpp"
#include "console.hpp"
#include "lens_run.hpp"
#include "run_folder.hpp"
#include "run_images.hpp"
#include "run_model.hpp"

namespace solens::program {
namespace {

struct pairs_call {
  common_options common;
  model_options model;  ///< empty: the one that the run names
  std::string run;
  index_t heads = 3;  ///< a neuron
};

void declare(option_group command, pairs_call& o) {
  add_run(command, o.run, "Run folder of analyze, with words");
  command.number("--heads", o.heads, "Later heads a neuron [3]").within(1, 4096);
  add_model_of_run(command, o.model);
  add_common(command, o.common);
}

/// What a run found about a layer, and its neurons on their way through single heads.
template <tensor_backend B>
struct layer_of_pairs {
  index_t layer;
  safetensors_file file;
  second_order_map<B> map;
  head_pairs<B> pairs;

  layer_of_pairs(const B& be, const head_maps<B>& heads, const lens_weights<B>& weights, index_t l,
                 const std::filesystem::path& path, index_t n_images)
      : layer(l),
        file(path),
        map(be, heads, weights, l),
        pairs(be, map, file.template view<float>("mean_coefficients"),
              file.template view<index_t>("top_images"), n_images) {}
};

/// How polysemous the pairs of a layer are, beside its neurons, and how well words say them; means.
struct pair_summary {
  index_t layer;
  double of_neurons = 0, of_pairs = 0, of_first = 0;  ///< polysemy; of each neuron's first pair
  double less = 0;       ///< share of neurons whose first pair is less polysemous than they are
  double share = 0;      ///< of the neurons' first head
  double all_share = 0;  ///< of all heads that are kept
  double cosine_of_neurons = 0, cosine_of_first = 0;  ///< with the sums of their words
};

struct described_pairs {
  dominant_heads<float> heads;
  descriptions<float> words;  ///< a row a pair, neuron by neuron
};

/// One pass over the images of the run.
/// @throws io_error when one of them cannot be read any more
template <tensor_backend B>
void take_in(const B& be, const pairs_call& call, lens_run<B>& run, image_input& input,
             double coefficient, std::list<layer_of_pairs<B>>& layers) {
  attention_routes<B> routes(coefficient);
  scratch<B> work;
  const index_t first = layers.front().layer + 1;
  for_each_batch(input, "pairs", call.common.quiet, [&](const image_input::batch& batch) {
    const auto of_any = [&](index_t image) {
      return std::any_of(layers.begin(), layers.end(),
                         [&](const auto& l) { return l.pairs.needs(image); });
    };
    if (std::none_of(batch.positions.begin(), batch.positions.end(), of_any)) return;
    const auto activations = run(batch.pixels);
    routes.update(be, activations, first);
    for (auto& l : layers) {
      l.pairs.add(be, routes, activations.blocks[static_cast<std::size_t>(l.layer)].writers,
                  batch.positions, work);
    }
  });
  if (input.skipped().empty()) return;
  throw io_error("pairs", "all images of the run", input.skipped().front().reason, call.run);
}

/// The pairs of a layer in words, as many words as the neurons have.
template <tensor_backend B>
described_pairs in_words(const B& be, layer_of_pairs<B>& of, index_t n_heads,
                         const_view_of<B> dictionary) {
  auto heads = of.pairs.finish(be, std::min(n_heads, of.map.n_sources()));
  const index_t rows = heads.sources.size(), e = dictionary.extent(1);
  auto directions = be.allocate({rows, e});
  be.upload(std::as_const(heads.direction).view().reshaped({rows, e}), directions.view());
  auto words = describe(be, dictionary, std::as_const(directions).view(),
                        {.n_atoms = of.file.info("code_atoms").extents[1]});
  return {std::move(heads), std::move(words)};
}

/// @param found  the findings of the layer
pair_summary summary_of(index_t layer, const safetensors_file& found, const described_pairs& p) {
  const auto polysemy = found.view<float>("polysemy"), cosine = found.view<float>("code_cosine");
  const index_t n = p.heads.sources.extent(0), h = p.heads.sources.extent(1);
  pair_summary s{layer};
  const auto add = [n](double& mean, double x) { mean += x / static_cast<double>(n); };
  for (index_t w = 0; w < n; ++w) {
    add(s.of_neurons, double{polysemy(w)});
    add(s.of_first, double{p.words.polysemy(w * h)});
    add(s.less, p.words.polysemy(w * h) < polysemy(w) ? 1 : 0);
    add(s.share, double{p.heads.share(w, 0)});
    add(s.cosine_of_neurons, double{cosine(w)});
    add(s.cosine_of_first, double{p.words.cosine(w * h)});
    for (index_t i = 0; i < h; ++i) {
      add(s.of_pairs, double{p.words.polysemy(w * h + i)} / static_cast<double>(h));
      add(s.all_share, double{p.heads.share(w, i)});
    }
  }
  return s;
}

report_json in_json(const pair_summary& s) {
  return {{"layer", s.layer},
          {"polysemy_of_neurons", static_cast<float>(s.of_neurons)},
          {"polysemy_of_pairs", static_cast<float>(s.of_pairs)},
          {"polysemy_of_first_pairs", static_cast<float>(s.of_first)},
          {"less_polysemous", static_cast<float>(s.less)},
          {"code_cosine_of_neurons", static_cast<float>(s.cosine_of_neurons)},
          {"code_cosine_of_first_pairs", static_cast<float>(s.cosine_of_first)},
          {"share_of_first", static_cast<float>(s.share)},
          {"share_of_all", static_cast<float>(s.all_share)}};
}

std::string in_words(const pair_summary& s) {
  char text[320];
  std::snprintf(
      text, sizeof text,
      "layer %lld  polysemy: neurons %.3f, pairs %.3f, first pairs %.3f (of %.0f %% of the "
      "neurons less than their own); cosine of the words: neurons %.3f, first pairs %.3f; "
      "share: first pairs %.0f %%, all %.0f %%\n",
      static_cast<long long>(s.layer), s.of_neurons, s.of_pairs, s.of_first, 100 * s.less,
      s.cosine_of_neurons, s.cosine_of_first, 100 * s.share, 100 * s.all_share);
  return text;
}

void write_layer(const std::filesystem::path& path, const described_pairs& p, index_t first_block,
                 index_t n_heads) {
  const index_t n = p.heads.sources.extent(0), h = p.heads.sources.extent(1);
  const index_t m = p.words.codes.atoms.extent(1);
  host_tensor<index_t> layers({n, h}), heads({n, h});
  for (index_t i = 0; i < n * h; ++i) {
    layers.data()[i] = first_block + p.heads.sources.data()[i] / n_heads;
    heads.data()[i] = p.heads.sources.data()[i] % n_heads;
  }
  write_safetensors(path, {{"layer", std::as_const(layers).view()},
                           {"head", std::as_const(heads).view()},
                           {"direction", p.heads.direction.view()},
                           {"norm", p.heads.norm.view()},
                           {"share", p.heads.share.view()},
                           {"code_atoms", p.words.codes.atoms.view().reshaped({n, h, m})},
                           {"code_weights", p.words.codes.weights.view().reshaped({n, h, m})},
                           {"code_cosine", p.words.cosine.view().reshaped({n, h})},
                           {"polysemy", p.words.polysemy.view().reshaped({n, h})}});
}

/// A line a neuron.
void write_lines(atomic_file& out, index_t layer, host_view<const float> polysemy,
                 const described_pairs& p, index_t n_heads, const std::vector<std::string>& words) {
  const index_t n = p.heads.sources.extent(0), h = p.heads.sources.extent(1);
  for (index_t w = 0; w < n; ++w) {
    report_json line{{"layer", layer},
                     {"neuron", w},
                     {"polysemy", polysemy(w)},
                     {"pairs", report_json::array()}};
    for (index_t i = 0; i < h; ++i) {
      const index_t row = w * h + i, source = p.heads.sources(w, i);
      report_json said = report_json::array();
      for (const auto& [word, weight] :
           ranked_words(p.words.codes.atoms.view()[row], p.words.codes.weights.view()[row])) {
        said.push_back({{"word", words.at(static_cast<std::size_t>(word))}, {"weight", weight}});
      }
      line["pairs"].push_back({{"layer", layer + 1 + source / n_heads},
                               {"head", source % n_heads},
                               {"norm", p.heads.norm(w, i)},
                               {"share", p.heads.share(w, i)},
                               {"polysemy", p.words.polysemy(row)},
                               {"code_cosine", p.words.cosine(row)},
                               {"words", std::move(said)}});
    }
    out.write(line.dump(-1, ' ', false, report_json::error_handler_t::replace) + "\n");
  }
}

/// Everything that the run's folder is to hold beside what it has.
/// @returns what run.json says of it
template <tensor_backend B>
report_json find_pairs(const B& be, const pairs_call& call, const run_folder& folder,
                       const report_json& record, const clip_source& model, image_input& input,
                       const std::filesystem::path& to) {
  const vision_config& c = vision_of(model);
  const std::vector<index_t> layers = layers_of(record);
  const report_json& options = record.at("options");
  lens_run<B> run(be, load_vision_tower(be, model), std::min(call.common.batch, input.size()),
                  second_order_sites(c, layers));
  const auto weights = lens_weights_of(run.tower());
  const bool reference = options.at("convention") == "reference";
  const head_maps<B> heads(be, weights, reference ? convention::reference : convention::centered);
  std::list<layer_of_pairs<B>> found;
  for (const index_t l : layers) {
    found.emplace_back(be, heads, weights, l, folder.path() / run_folder::layer_file(l),
                       input.size());
  }
  take_in(be, call, run, input, options.at("coefficient").get<double>(), found);

  const safetensors_file dictionary(folder.path() / "dictionary.safetensors");
  const auto rows = dictionary.view<float>("embeddings");
  auto words = be.allocate(rows.extents());
  be.upload(rows, words.view());
  const word_list list = read_word_list((folder.path() / "words.txt").string());
  atomic_file lines(to / "pairs.jsonl");
  report_json result{{"heads", call.heads}, {"layers", report_json::array()}};
  progress bar("describe", "layers", std::ssize(layers),
               {.style = progress_style_of_stderr(call.common.quiet)});
  std::string table;
  for (auto& l : found) {
    const auto pairs = in_words(be, l, call.heads, std::as_const(words).view());
    const auto polysemy = l.file.template view<float>("polysemy");
    write_layer(to / run_folder::pairs_file(l.layer), pairs, l.layer + 1, c.n_heads);
    write_lines(lines, l.layer, polysemy, pairs, c.n_heads, list.words);
    const pair_summary summary = summary_of(l.layer, l.file, pairs);
    result["layers"].push_back(in_json(summary));
    table += in_words(summary);
    bar.add(1);
    throw_if_stopped();
  }
  bar.finish();
  lines.commit();
  if (!call.common.quiet) std::cerr << table;
  return result;
}

void run_pairs(const pairs_call& call) {
  const run_folder folder = run_folder::open(call.run);
  report_json record = folder.record();
  if (!record.contains("words")) {
    throw argument_error("pairs", "a run with words (solens describe)", "none", call.run);
  }
  const clip_source model = open_model_of_run(call.run, record, call.model);
  const auto input = open_images(images_of_run(folder, record), preprocess_of(model),
                                 call.common.batch, threads_of(call.common));
  if (const index_t count = record.at("images").at("count"); input->size() != count) {
    throw argument_error("pairs", std::to_string(count) + " images, as the run has",
                         std::to_string(input->size()),
                         record.at("images").at("source").get<std::string>());
  }
  const passing_folder next = folder.begin_replacing();
  with_backend(call.common, [&]<tensor_backend B>(const B& be) {
    record["pairs"] = find_pairs(be, call, folder, record, model, *input, next.path());
  });
  folder.finish_adding(record);
}

}  // namespace

void add_pairs(command_line& line) {
  line.add("pairs", "--run DIR [options]", "Neurons through single later heads, in words", declare,
           run_pairs);
}

}  // namespace solens::program
