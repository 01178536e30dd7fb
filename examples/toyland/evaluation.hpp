#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <solens/backend/eigen.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/core/threads.hpp>
#include <solens/image/image.hpp>
#include <solens/image/preprocess.hpp>
#include <solens/model/text_tower.hpp>
#include <solens/model/vision_tower.hpp>
#include <solens/text/bpe_tokenizer.hpp>

#include "data_set.hpp"

namespace toyland {

/// A CLIP on disk, ready to compare pictures and texts.
class clip {
 public:
  using backend = solens::eigen_backend<float>;

  /// @param folder  in the Hugging Face layout, with tokenizer and preprocessing
  /// @throws what solens throws for files that are missing or wrong
  explicit clip(const std::filesystem::path& folder, int threads = solens::usable_cpus());

  /// Representations of norm 1, [n, E].
  solens::host_tensor<float> of_texts(const std::vector<std::string>&) const;
  solens::host_tensor<float> of_pictures(std::span<const solens::rgb_image>) const;

  const backend& be() const { return be_; }
  const solens::vision_tower<backend>& vision() const { return vision_; }

  /// What the vision tower sees of a picture.
  /// @param pixels  overwritten, [3, side, side]
  void prepare(const solens::rgb_image& picture, solens::host_view<float> pixels) const {
    solens::preprocess(picture, preprocess_, pixels);
  }

 private:
  backend be_;
  solens::preprocess_options preprocess_;
  solens::bpe_tokenizer tokenizer_;
  solens::vision_tower<backend> vision_;
  solens::text_tower<backend> text_;
};

/// What a kind is called before the text tower: "a photo of a boat", and so on.
inline constexpr const char* kind_sentences[] = {"a photo of {}", "a picture of {}",
                                                 "a drawing of {}", "a painting of {}"};

struct zero_shot_score {
  double best;  ///< share of scenes in which the kind that scores highest is there
  double all;   ///< share of things whose kind is among the n highest, where n things are there
};

/// What stands for each kind: the normalised mean of its `kind_sentences`, [n_kinds, E].
solens::host_tensor<float> kind_classifier(const clip&);

/// How well a CLIP tells which kinds of things are in scenes that are painted for it, by
/// `kind_sentences`.
zero_shot_score zero_shot(const clip&, const data_set_options&);

}  // namespace toyland
