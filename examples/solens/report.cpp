#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <solens/core/atomic_file.hpp>
#include <solens/findings/description.hpp>
#include <solens/findings/selectivity.hpp>
#include <solens/report/page.hpp>
#include <solens/weights/safetensors.hpp>

#include "commands.hpp"
#include "console.hpp"
#include "report_pictures.hpp"
#include "run_folder.hpp"

namespace solens::program {
namespace {

namespace fs = std::filesystem;

void declare(option_group command, report_call& o) {
  add_run(command, o.run, "Run folder of analyze");
  command.size("--thumbnails", o.thumbnails,
               "Size of the page that pictures and heat maps may take; 0 for none [20MB]");
  command.number("--top", o.top, "Images shown of each neuron, at most those of the run [24]")
      .within(1, 1000);
  command.path("--ablation", o.ablation, "JSON of ablate [the run folder's ablation.json]");
  command.path("--out", o.out, "Where the page goes [report.html in the run folder]");
  add_model_of_run(command, o.model);
  add_common(command, o.common);
}

constexpr index_t most_words = 64;  ///< of a neuron, on the page

std::vector<std::string> read_lines(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw io_error("report", "a file of the run", "none", file.string());
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

report_json read_json(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw io_error("report", "a JSON file", "none", file.string());
  try {
    return report_json::parse(in);
  } catch (const report_json::exception& e) {
    throw format_error("report", "JSON", e.what(), file.string());
  }
}

/// The row of a tensor [n, width] that lies in memory as it lies in the file.
template <class T>
std::span<const T> row(const host_view<const T>& x, index_t n) {
  return {&x(n, 0), static_cast<std::size_t>(x.extent(1))};
}

/// The numbers of all neurons, layer after layer.
class neuron_columns {
 public:
  neuron_columns(index_t n_words, index_t shown) : n_words_(n_words), shown_(shown) {}

  void add(const safetensors_file& layer) {
    const auto images = layer.view<index_t>("top_images");
    const index_t n = images.extent(0);
    for (auto& column : scalars_) {
      if (!layer.contains(column.first)) continue;
      for (const float x : host_span(layer.view<float>(column.first))) column.second.add(x);
    }
    for (const index_t x : host_span(layer.view<index_t>("n_significant"))) {
      n_significant_.add(static_cast<std::uint32_t>(x));
    }
    const auto norms = layer.view<float>("top_norms"), spread = layer.view<float>("norm_quantiles");
    for (index_t w = 0; w < n; ++w) {
      const float largest = norms(w, 0);
      largest_norm_.add(largest);
      add_quantized(row(spread, w), largest, quantiles_);
      add_quantized(row(norms, w).first(static_cast<std::size_t>(shown_)), largest, top_norms_);
      for (index_t r = 0; r < shown_; ++r) {
        images_.push_back(images(w, r));
        top_images_.add(static_cast<std::uint32_t>(images_.back()));
      }
    }
    if (n_words_ > 0) add_words(layer);
    if (layer.contains("direction_by_head")) add_heads(layer);
  }

  /// [neurons, shown]: the images
  host_tensor<index_t> images() const {
    host_tensor<index_t> result({std::ssize(images_) / shown_, shown_});
    std::copy(images_.begin(), images_.end(), result.data());
    return result;
  }

  std::vector<report_column> columns() const {
    std::vector<report_column> all;
    for (const auto& column : scalars_) {
      if (!column.second.values().empty()) all.push_back(column.second.column());
    }
    all.push_back(n_significant_.column());
    all.push_back(largest_norm_.column());
    all.push_back(quantiles_.column());
    all.push_back(top_norms_.column());
    all.push_back(top_images_.column());
    if (n_words_ > 0) {
      for (auto column : {words_.column(), word_weights_.column(), word_scale_.column()}) {
        all.push_back(std::move(column));
      }
    }
    if (!head_scale_.values().empty()) {
      all.push_back(heads_.column());
      all.push_back(head_scale_.column());
    }
    return all;
  }

 private:
  template <class T>
  static std::span<const T> host_span(host_view<const T> x) {
    return {x.data(), static_cast<std::size_t>(x.size())};
  }

  /// Words by magnitude, with weights in parts of the largest.
  void add_words(const safetensors_file& layer) {
    const auto atoms = layer.view<index_t>("code_atoms");
    const auto weights = layer.view<float>("code_weights");
    const index_t m = std::min(most_words, atoms.extent(1));
    for (index_t w = 0; w < atoms.extent(0); ++w) {
      const auto ranked = ranked_words(atoms[w], weights[w]);
      std::vector<float> sizes(static_cast<std::size_t>(m), 0.0F);
      for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (i < ranked.size()) sizes[i] = ranked[i].weight;
        words_.add(i < ranked.size() ? static_cast<std::int32_t>(ranked[i].word) : -1);
      }
      const double scale = largest_magnitude(std::span<const float>(sizes));
      word_scale_.add(static_cast<float>(scale));
      add_quantized(std::span<const float>(sizes), scale, word_weights_);
    }
  }

  void add_heads(const safetensors_file& layer) {
    const auto terms = layer.view<float>("direction_by_head");
    for (index_t w = 0; w < terms.extent(0); ++w) {
      const double scale = largest_magnitude(row(terms, w));
      head_scale_.add(static_cast<float>(scale));
      add_quantized(row(terms, w), scale, heads_);
    }
  }

  index_t n_words_, shown_;
  std::vector<std::pair<std::string, column_writer<float>>> scalars_{
      scalar("explained_variance"), scalar("explained_variance_all"),
      scalar("threshold"),          scalar("top_share"),
      scalar("code_cosine"),        scalar("polysemy")};
  static std::pair<std::string, column_writer<float>> scalar(const std::string& name) {
    return {name, column_writer<float>(name)};
  }
  column_writer<std::uint32_t> n_significant_{"n_significant"}, top_images_{"top_images"};
  column_writer<float> largest_norm_{"largest_norm"}, word_scale_{"word_scale"},
      head_scale_{"head_scale"};
  column_writer<std::uint16_t> quantiles_{"norm_quantiles"}, top_norms_{"top_norms"};
  column_writer<std::int32_t> words_{"words"};
  column_writer<std::int16_t> word_weights_{"word_weights"};
  column_writer<std::int8_t> heads_{"heads"};
  std::vector<index_t> images_;
};

/// What `ablate` measured of this run; null where nothing is.
report_json ablation_of(const report_call& call, const run_folder& folder) {
  const fs::path own = folder.path() / run_folder::ablation_file;
  if (call.ablation.empty() && !fs::exists(own)) return nullptr;
  const fs::path file = call.ablation.empty() ? own : fs::path(call.ablation);
  report_json ablation = read_json(file);
  try {
    for (const auto& layer : ablation.at("layers")) {
      layer.at("layer").get<index_t>();
      for (const auto& r : layer.at("rows")) {
        r.at("row").get<std::string>();
        r.at("top_1").at("share").get<double>();
      }
    }
  } catch (const report_json::exception& e) {
    throw format_error("report", "the JSON of solens ablate", e.what(), file.string());
  }
  return ablation;
}

/// Heads in words, a line a head, where another command left them; null where none did.
report_json heads_of(const run_folder& folder) {
  const fs::path file = folder.path() / "heads.jsonl";
  if (!fs::exists(file)) return nullptr;
  report_json heads = report_json::array();
  for (const std::string& line : read_lines(file)) {
    try {
      heads.push_back(report_json::parse(line));
    } catch (const report_json::exception& e) {
      throw format_error("report", "a JSON object a line", e.what(), file.string());
    }
  }
  return heads;
}

}  // namespace

void run_report(const report_call& call) {
  const run_folder folder = run_folder::open(call.run);
  const report_json record = folder.record();
  const fs::path path = call.out.empty() ? folder.path() / "report.html" : fs::path(call.out);
  atomic_file out(path);

  report_json page{{"record", record},
                   {"layers", report_json::array()},
                   {"ablation", ablation_of(call, folder)},
                   {"head_words", heads_of(folder)}};
  shown_images shown{read_lines(folder.path() / "images.txt"), {}};
  std::vector<std::string> words;
  if (record.contains("words")) words = read_lines(folder.path() / "words.txt");
  std::optional<neuron_columns> numbers;
  index_t n_atoms = 0;
  for (const index_t layer : layers_of(record)) {
    const safetensors_file file(folder.path() / run_folder::layer_file(layer));
    const shape top = file.info("top_images").extents;
    if (!numbers) {
      page["shown"] = std::min(call.top, top[1]);
      numbers.emplace(std::ssize(words), page["shown"].get<index_t>());
    }
    if (!words.empty()) n_atoms = std::min(most_words, file.info("code_atoms").extents[1]);
    numbers->add(file);
    page["layers"].push_back({{"layer", layer},
                              {"neurons", top[0]},
                              {"heads", file.info("mean_coefficients").extents[1]}});
  }
  shown.of_neuron = numbers->images();
  const report_pictures pictures = make_pictures(call, folder, record, shown);
  if (!pictures.note.empty()) std::cerr << "report: " << pictures.note << '\n';

  page["atoms"] = n_atoms;
  page["probabilities"] = norm_probabilities;
  page["pictures"] = {
      {"count", pictures.count}, {"heat_ranks", pictures.heat_ranks}, {"note", pictures.note}};
  page["words"] = words;
  page["images"] = shown.names;
  report_data data{"solens: " + fs::path(record.at("model").at("path")).filename().string(),
                   page.dump(-1, ' ', false, report_json::error_handler_t::replace),
                   numbers->columns()};
  for (const report_column& column : pictures.columns) data.columns.push_back(column);
  write_report_page(data, [&](std::string_view part) { out.write(part); });
  out.commit();
  print(path.string() + "\n");
}

void add_report(command_line& line) {
  line.add("report", "--run DIR [options]", "One page for a run folder, which opens from disk",
           declare, run_report);
}

}  // namespace solens::program
