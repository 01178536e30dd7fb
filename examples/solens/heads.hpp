#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <solens/lens/head_outputs.hpp>

#include "image_input.hpp"
#include "lens_run.hpp"
#include "run_folder.hpp"
#include "run_images.hpp"
#include "run_model.hpp"

namespace solens::program {

/// Attention heads in texts, or, where `remove` names any, what a classifier makes of the rest.
///
/// One of `run` and `model.model` is set. To remove heads, one of `input.labels` and `label_ids`.
struct heads_call {
  common_options common;
  model_options model;
  image_options input;  ///< none: the images of the run
  std::string run;
  word_options words;           ///< no list: the words of the run
  std::vector<index_t> layers;  ///< empty: all
  index_t texts = 20;           ///< at most so many a head
  std::vector<head_place> remove;
  std::string label_ids;  ///< .npy of class numbers, one an image
  class_options classes;
  std::uint64_t seed = 0;
  std::string out;  ///< empty: into the run, or, without one or when heads are removed, to standard
                    ///< output
};

/// What a call is about: a model, images, and the run that they may come from.
struct head_task {
  const heads_call& call;
  std::optional<run_folder> folder;
  report_json record;  ///< of the run
  clip_source model;
  image_options input;

  explicit head_task(const heads_call& c)
      : call(c),
        folder(c.run.empty() ? std::nullopt : std::optional(run_folder::open(c.run))),
        record(folder ? folder->record() : report_json()),
        model(folder ? open_model_of_run(c.run, record, c.model) : open_model(c.model)),
        input(c.input.any() || !folder ? c.input : images_of_run(*folder, record)) {
    vision_of(model);
  }

  double coefficient() const {
    return folder ? record.at("options").at("coefficient").get<double>() : 100.0;
  }
  std::unique_ptr<image_input> images() const {
    return open_images(input, preprocess_of(model), call.common.batch, threads_of(call.common));
  }
};

/// `layer.head`.
std::string name_of(const head_place& p);

/// The sites that the outputs of heads need.
std::vector<site> sites_of(const std::vector<head_place>& places);

/// What a classifier makes of representations without the heads of the call.
void remove_heads(const head_task& task);

}  // namespace solens::program
