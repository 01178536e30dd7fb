#include "segmentation_task.hpp"

#include <set>
#include <system_error>

#include <solens/core/error.hpp>

#include "backends.hpp"
#include "classifier.hpp"

namespace solens::program {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> names_of_images(const image_input& input, bool are_files) {
  std::vector<std::string> names;
  for (index_t i = 0; i < input.size(); ++i) {
    const std::string number = std::to_string(i);
    names.push_back(are_files
                        ? input.name(i)
                        : std::string(number.size() < 6 ? 6 - number.size() : 0, '0') + number);
  }
  return are_files ? names_of_files(names) : names;
}

std::vector<mask_reader> masks_in_folders(const segmentation_task& task, const image_input& input) {
  std::vector<mask_reader> masks;
  if (task.call.masks.empty()) return masks;
  std::error_code ignored;
  if (fs::equivalent(task.call.masks, fs::path(task.call.out) / "mask", ignored)) {
    throw argument_error("segment", "masks elsewhere than where those found go", task.call.masks,
                         "--masks");
  }
  std::vector<std::string> images;
  for (index_t i = 0; i < input.size(); ++i) images.push_back(input.name(i));
  if (!task.has_several()) {
    masks.push_back(masks_in_folder(task.call.masks, images));
  } else {
    for (index_t c = 0; c < std::ssize(task.classes); ++c) {
      masks.push_back(masks_in_folder(fs::path(task.call.masks) / task.folder_of(c), images));
    }
  }
  return masks;
}

}  // namespace

std::vector<std::string> classes_of(const segment_call& call, const clip_source& model,
                                    const bpe_tokenizer& tokenizer) {
  if (call.given.empty()) return class_names(call.classes, model);
  std::set<std::string> seen;
  for (const std::string& name : call.given) {
    if (!seen.insert(name).second) {
      throw argument_error("read classes", "each class once", "'" + name + "' again", "--class");
    }
    if (tokenizer.encode(name).empty()) {
      throw argument_error("read classes", "a class that the tokenizer knows something of",
                           "'" + name + "'", "--class");
    }
  }
  return call.given;
}

std::vector<index_t> layers_of_call(const segment_call& call, const report_json& record) {
  const std::vector<index_t> there = layers_of(record);
  if (call.layers.empty()) return there;
  for (const index_t l : call.layers) {
    if (std::find(there.begin(), there.end(), l) != there.end()) continue;
    throw argument_error("segment", "layers of " + call.run, std::to_string(l), "--layers");
  }
  return call.layers;
}

std::unique_ptr<image_input> open_input(segmentation_task& task, index_t at_once) {
  const segment_call& call = task.call;
  const int threads = threads_of(call.common);
  if (!is_imagenet_segmentation(call.input.images) && !is_imagenet_segmentation(call.masks)) {
    auto input = open_images(call.input, task.preprocess, at_once, threads);
    task.names = names_of_images(*input, !call.input.images.empty());
    task.masks = masks_in_folders(task, *input);
    return input;
  }
  if (!call.masks.empty() && call.masks != call.input.images) {
    throw argument_error("pair masks", "the same .mat file for --images and --masks",
                         call.input.images + " and " + call.masks);
  }
  if (!call.masks.empty() && task.has_several()) {
    throw argument_error("pair masks", "one --class, as an image has one mask", "several",
                         call.masks);
  }
  const marked_images marked = open_imagenet_segmentation(call.input.images);
  if (!call.masks.empty()) task.masks.push_back(marked.mask);
  auto input = open_images(marked.images, task.preprocess, at_once, threads, 0, call.input.strict);
  task.names = names_of_images(*input, false);
  return input;
}

}  // namespace solens::program
