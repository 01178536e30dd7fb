#include "described_neurons.hpp"

#include <algorithm>  // std::max
#include <cstddef>    // std::size_t
#include <filesystem>
#include <numeric>  // std::iota
#include <random>   // std::random_device
#include <utility>  // std::as_const, std::move

#include <solens/findings/description.hpp>
#include <solens/findings/text_dictionary.hpp>
#include <solens/model/lens_views.hpp>

#include "grammar.hpp"
#include "observation.hpp"

namespace toyland {

using solens::index_t;

namespace {

/// A folder of its own, removed at the end.
class passing_folder {
 public:
  passing_folder() {
    std::random_device seed;
    do {
      path_ = std::filesystem::temp_directory_path() / ("toyland-" + std::to_string(seed()));
    } while (!std::filesystem::create_directory(path_));
  }
  ~passing_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  passing_folder(const passing_folder&) = delete;
  passing_folder& operator=(const passing_folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

toyland_words::toyland_words(const clip& model)
    : words(words_and_phrases()),
      embeddings(model.of_texts(words)),
      dictionary(solens::text_dictionary(model.be(), std::as_const(embeddings).view())) {
  for (const std::string& word : words) claims.push_back(claim_of(word));
}

std::vector<described_layer> describe_neurons(const clip& model, const toyland_words& vocabulary,
                                              const data_set_options& scenes,
                                              std::vector<index_t> layers, int atoms) {
  const auto& config = model.vision().config();
  if (layers.empty()) {
    layers.resize(static_cast<std::size_t>(config.n_layers - 1));
    std::iota(layers.begin(), layers.end(), index_t{0});
  }
  const passing_folder folder;
  solens::analysis<clip::backend> analysis(
      model.be(), solens::lens_weights_of(model.vision()),
      {.layers = layers, .top = std::max(1, scenes.n / 50), .scratch = folder.path()});
  for_each_batch(model, scenes, solens::second_order_sites(config, layers),
                 [&](index_t, const auto& cache) {
                   analysis.add(model.be(), solens::lens_activations_of(cache));
                 });
  std::vector<described_layer> result;
  for (const index_t l : layers) {
    auto found = analysis.finish(model.be(), l);
    auto codes =
        solens::describe(model.be(), vocabulary.dictionary.view(),
                         std::as_const(found.direction.direction).view(), {.n_atoms = atoms})
            .codes;
    result.push_back({l, std::move(found), std::move(codes)});
  }
  return result;
}

}  // namespace toyland
