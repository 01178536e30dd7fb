#include "run_folder.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <system_error>

#include <solens/core/atomic_file.hpp>
#include <solens/findings/description.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

namespace solens::program {
namespace {

namespace fs = std::filesystem;

constexpr const char* record_file = "run.json";

template <class T>
host_view<const T> view(const host_tensor<T>& x) {
  return x.view();
}

std::vector<std::string> read_lines(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// A line for every neuron of a layer, out of its tensors.
/// @param words  empty when there are none
void describe_layer(const fs::path& file, index_t layer, const std::vector<std::string>& words,
                    atomic_file& out) {
  const safetensors_file found(file);
  const auto number = [&](const char* name, index_t n) { return found.view<float>(name)(n); };
  const auto images = found.view<index_t>("top_images");
  for (index_t n = 0; n < images.extent(0); ++n) {
    report_json line{{"layer", layer}, {"neuron", n}};
    if (!words.empty()) {
      auto& said = line["words"] = report_json::array();
      for (const auto& [word, weight] : ranked_words(found.view<index_t>("code_atoms")[n],
                                                     found.view<float>("code_weights")[n])) {
        said.push_back({{"word", words.at(static_cast<std::size_t>(word))}, {"weight", weight}});
      }
      for (const char* name : {"code_cosine", "polysemy"}) line[name] = number(name, n);
    }
    for (const char* name : {"explained_variance", "explained_variance_all", "threshold"}) {
      line[name] = number(name, n);
    }
    line["largest_norm"] = found.view<float>("top_norms")(n, 0);
    line["n_significant"] = found.view<index_t>("n_significant")(n);
    line["top_share"] = number("top_share", n);
    auto& top = line["top_images"] = report_json::array();
    for (index_t i = 0; i < images.extent(1); ++i) top.push_back(images(n, i));
    out.write(line.dump() + "\n");
  }
}

/// The files of a run beside its record, its images and its neurons' lines, which are always there.
std::vector<std::string> files_of(const report_json& run) {
  std::vector<std::string> files;
  for (index_t layer : layers_of(run)) files.push_back(run_folder::layer_file(layer));
  if (run.contains("words")) files.insert(files.end(), {"words.txt", "dictionary.safetensors"});
  if (run.contains("heads")) files.push_back("heads.jsonl");
  if (run.contains("ablation")) files.push_back(run_folder::ablation_file);
  if (run.contains("pairs")) {
    for (index_t layer : layers_of(run)) files.push_back(run_folder::pairs_file(layer));
    files.push_back("pairs.jsonl");
  }
  return files;
}

/// Removes what an earlier analysis left and `run` does not speak of.
void remove_others(const fs::path& folder, const report_json& run) {
  const std::vector<std::string> ours = files_of(run);
  std::vector<fs::path> others;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool known = (name.starts_with("layer-") && name.ends_with(".safetensors")) ||
                       name == "words.txt" || name == "dictionary.safetensors" ||
                       name == "heads.jsonl" || name == "pairs.jsonl" ||
                       name == run_folder::ablation_file;
    if (known && std::find(ours.begin(), ours.end(), name) == ours.end()) {
      others.push_back(entry.path());
    }
  }
  for (const fs::path& path : others) fs::remove(path);
}

report_json read_record(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw io_error("run folder", "a finished analysis", "none", file.string());
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  try {
    auto run = report_json::parse(text);
    if (run.at("format") != run_folder::format_version) {
      throw not_supported("run folder", "format " + std::to_string(run_folder::format_version),
                          run.at("format").dump(), file.string());
    }
    for (const char* name : {"path", "sha256"}) run.at("model").at(name).get<std::string>();
    if (!layers_of(run).empty()) return run;
    throw format_error("run folder", "one layer or more", "none", file.string());
  } catch (const report_json::exception& e) {
    throw format_error("run folder", "the record of an analysis", e.what(), file.string());
  }
}

}  // namespace

passing_folder::passing_folder(fs::path path) : path_(std::move(path)) {
  std::error_code problem;
  fs::remove_all(path_, problem);
  if (!problem) fs::create_directory(path_, problem);
  if (problem) {
    throw io_error("run folder", "a folder that can be written", problem.message(),
                   path_.parent_path().string());
  }
}

passing_folder::~passing_folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

run_folder run_folder::create(fs::path path) {
  run_folder folder(std::move(path));
  std::error_code problem;
  fs::create_directories(folder.unfinished(), problem);
  if (problem) {
    throw io_error("run folder", "a folder that can be created", problem.message(),
                   folder.path().string());
  }
  folder.move_into_place();
  return folder;
}

run_folder run_folder::open(fs::path path) {
  run_folder folder(std::move(path));
  folder.move_into_place();
  folder.record();
  return folder;
}

std::string run_folder::layer_file(index_t layer) {
  return "layer-" + std::to_string(layer) + ".safetensors";
}

std::string run_folder::pairs_file(index_t layer) {
  return "layer-" + std::to_string(layer) + ".pairs.safetensors";
}

report_json run_folder::record() const { return read_record(path_ / record_file); }

void run_folder::finish_replacing(const report_json& run) const {
  std::vector<std::string> words;
  if (run.contains("words")) words = read_lines(part() / "words.txt");
  atomic_file descriptions(part() / "descriptions.jsonl");
  for (index_t layer : layers_of(run)) {
    describe_layer(part() / layer_file(layer), layer, words, descriptions);
  }
  descriptions.commit();
  finish_adding(run);
}

void run_folder::finish_adding(const report_json& run) const {
  write_file_atomically(part() / record_file,
                        run.dump(2, ' ', false, report_json::error_handler_t::replace) + "\n");
  fs::rename(part(), path_ / ".next");
  move_into_place();
}

void run_folder::move_into_place() const {
  const fs::path next = path_ / ".next";
  if (!fs::exists(next)) return;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(next)) files.push_back(entry.path());
  for (const fs::path& file : files) fs::rename(file, path_ / file.filename());
  remove_others(path_, record());
  fs::remove(next);
}

std::vector<index_t> layers_of(const report_json& run) {
  return run.at("options").at("layers").get<std::vector<index_t>>();
}

void write_layer(const fs::path& file, const layer_findings<float>& found) {
  const auto& s = found.selectivity;
  const auto& d = found.direction;
  write_safetensors(file, {{"direction", view(d.direction)},
                           {"direction_by_head", view(d.by_head)},
                           {"explained_variance", view(d.explained_variance)},
                           {"explained_variance_all", view(d.explained_variance_all)},
                           {"mean_coefficients", view(found.mean_coefficients)},
                           {"mean_effect", view(found.mean_effect)},
                           {"n_significant", view(s.n_significant)},
                           {"norm_quantiles", view(s.norm_quantiles)},
                           {"threshold", view(s.threshold)},
                           {"top_images", view(s.top_images)},
                           {"top_norms", view(s.top_norms)},
                           {"top_share", view(s.top_share)}});
}

}  // namespace solens::program
