#include "run_folder.hpp"

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <system_error>

#include <solens/core/atomic_file.hpp>
#include <solens/findings/description.hpp>
#include <solens/text/word_list.hpp>
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
    run.at("images").at("source").get<std::string>();
    run.at("images").at("count").get<index_t>();
    run.at("options").at("convention").get<std::string>();
    run.at("options").at("coefficient").get<float>();
    for (const char* name : {"list", "embeddings"}) {
      if (run.contains("words")) run.at("words").at(name).get<std::string>();
    }
    if (!layers_of(run).empty()) return run;
    throw format_error("run folder", "one layer or more", "none", file.string());
  } catch (const report_json::exception& e) {
    throw format_error("run folder", "the record of an analysis", e.what(), file.string());
  }
}

/// Tensors of a layer's file, of those that it has: [n, width], one width for all of them.
/// @throws shape_error naming file and tensor
void check_rows(const safetensors_file& file, index_t n, std::initializer_list<const char*> names) {
  index_t width = 0;
  for (const char* name : names) {
    if (!file.contains(name)) continue;
    const shape& found = file.info(name).extents;
    if (width == 0 && found.rank() == 2) width = found[1];
    if (width > 0 && found == shape{n, width}) continue;
    throw shape_error("run folder",
                      std::to_string(n) + " rows" +
                          (width > 0 ? " of " + std::to_string(width) + " numbers" : ""),
                      to_string(found), file.name() + ": " + name);
  }
}

/// @throws format_error for a number of a tensor outside of [first, end)
void check_indices(const safetensors_file& file, const char* name, index_t first, index_t end) {
  const auto numbers = file.view<index_t>(name);
  for (index_t i = 0; i < numbers.size(); ++i) {
    const index_t number = numbers.data()[i];
    if (number >= first && number < end) continue;
    throw format_error("run folder",
                       "numbers from " + std::to_string(first) + " to " + std::to_string(end - 1),
                       std::to_string(number), file.name() + ": " + name);
  }
}

/// Whether a layer's tensors fit together, and what they refer to is there.
/// @param n_words  0 for a run without words
void check_layer(const fs::path& path, index_t n_images, index_t n_words) {
  const safetensors_file file(path);
  const index_t n = file.view<float>("threshold").size();
  for (const char* name : {"explained_variance", "explained_variance_all", "n_significant",
                           "threshold", "top_share", "code_cosine", "polysemy"}) {
    if (!file.contains(name) || file.info(name).extents == shape{n}) continue;
    throw shape_error("run folder", to_string(shape{n}), to_string(file.info(name).extents),
                      file.name() + ": " + name);
  }
  check_rows(file, n, {"direction", "mean_effect"});
  check_rows(file, n, {"mean_coefficients", "direction_by_head"});
  check_rows(file, n, {"norm_quantiles"});
  check_rows(file, n, {"top_images", "top_norms"});
  check_indices(file, "top_images", 0, n_images);
  if (n_words == 0) return;
  check_rows(file, n, {"code_atoms", "code_weights"});
  check_indices(file, "code_atoms", -1, n_words);
}

/// What strangers may have changed since the folder was written.
void check_files(const fs::path& folder, const report_json& run) {
  const index_t n_images = std::ssize(read_lines(folder / "images.txt"));
  if (n_images == 0) {
    throw io_error("run folder", "a line an image", "none", (folder / "images.txt").string());
  }
  index_t n_words = 0;
  if (run.contains("words")) {
    n_words = std::ssize(read_word_list(folder / "words.txt").words);
    const safetensors_file dictionary(folder / "dictionary.safetensors");
    check_rows(dictionary, n_words, {"embeddings"});
  }
  for (const index_t layer : layers_of(run)) {
    check_layer(folder / run_folder::layer_file(layer), n_images, n_words);
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
  check_files(folder.path(), folder.record());
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
