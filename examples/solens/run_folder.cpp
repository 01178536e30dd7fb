#include "run_folder.hpp"

#include <algorithm>
#include <system_error>

#include <solens/core/atomic_file.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

namespace solens::program {
namespace {

namespace fs = std::filesystem;

std::string layer_file(index_t layer) { return "layer-" + std::to_string(layer) + ".safetensors"; }

template <class T>
host_view<const T> view(const host_tensor<T>& x) {
  return x.view();
}

/// A line for every neuron of a layer, out of its tensors.
void describe_layer(const fs::path& file, index_t layer, atomic_file& out) {
  const safetensors_file found(file);
  const auto explained = found.view<float>("explained_variance");
  const auto explained_all = found.view<float>("explained_variance_all");
  const auto threshold = found.view<float>("threshold");
  const auto significant = found.view<index_t>("n_significant");
  const auto share = found.view<float>("top_share");
  const auto images = found.view<index_t>("top_images");
  const auto norms = found.view<float>("top_norms");
  for (index_t n = 0; n < explained.extent(0); ++n) {
    report_json line;
    line["layer"] = layer;
    line["neuron"] = n;
    line["explained_variance"] = explained(n);
    line["explained_variance_all"] = explained_all(n);
    line["threshold"] = threshold(n);
    line["largest_norm"] = norms(n, 0);
    line["n_significant"] = significant(n);
    line["top_share"] = share(n);
    auto& top = line["top_images"] = report_json::array();
    for (index_t i = 0; i < images.extent(1); ++i) top.push_back(images(n, i));
    out.write(line.dump() + "\n");
  }
}

/// Removes the layers of an earlier analysis that this one did not look at.
void remove_other_layers(const fs::path& folder, const std::vector<index_t>& layers) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("layer-") || !name.ends_with(".safetensors")) continue;
    const bool ours = std::any_of(layers.begin(), layers.end(),
                                  [&](index_t layer) { return name == layer_file(layer); });
    if (!ours) fs::remove(entry.path());
  }
}

}  // namespace

run_folder::run_folder(fs::path path) : path_(std::move(path)) {
  std::error_code problem;
  fs::create_directories(unfinished(), problem);
  if (problem) {
    throw io_error("run folder", "a folder that can be created", problem.message(), path_.string());
  }
}

void run_folder::write_layer(index_t layer, const layer_findings<float>& found) {
  const auto& s = found.selectivity;
  const auto& d = found.direction;
  write_safetensors(unfinished() / layer_file(layer),
                    {{"direction", view(d.direction)},
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

void run_folder::publish(const std::vector<index_t>& layers, const std::vector<std::string>& images,
                         const report_json& run) {
  std::string list;
  for (const std::string& image : images) list += image + "\n";
  atomic_file descriptions(path_ / "descriptions.jsonl");
  for (index_t layer : layers) {
    describe_layer(unfinished() / layer_file(layer), layer, descriptions);
  }
  // From here on nothing fails but a disk that does.
  for (index_t layer : layers) {
    fs::rename(unfinished() / layer_file(layer), path_ / layer_file(layer));
  }
  remove_other_layers(path_, layers);
  descriptions.commit();
  write_file_atomically(path_ / "images.txt", list);
  write_file_atomically(path_ / "run.json",
                        run.dump(2, ' ', false, report_json::error_handler_t::replace) + "\n");
  fs::remove_all(unfinished());
}

}  // namespace solens::program
