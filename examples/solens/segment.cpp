#include <algorithm>
#include <cstdio>  // std::snprintf
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <solens/core/atomic_file.hpp>
#include <solens/findings/segmenter.hpp>
#include <solens/image/encode_png.hpp>
#include <solens/image/heat_map.hpp>
#include <solens/stats/segmentation_scores.hpp>
#include <solens/weights/safetensors.hpp>

#include "classifier.hpp"
#include "commands.hpp"
#include "console.hpp"
#include "lens_run.hpp"
#include "run_folder.hpp"
#include "run_model.hpp"
#include "segmentation_task.hpp"
#include "stopwatch.hpp"

namespace solens::program {
namespace {

namespace fs = std::filesystem;

void declare(option_group command, segment_call& o) {
  add_run(command, o.run, "Run folder of analyze");
  add_input(command, o.input);
  const option_group classes = command.one_of("Classes, one of");
  classes.texts("--class", o.given, "Word or phrase to look for; several where repeated");
  classes.path("--classes", o.classes.classes,
               "Text file, a class a line: of each image, the one that it is taken for");
  add_templates(command, o.classes.templates,
                "Text file, a sentence with {} a line [a photo of a {}.]");
  add_vocab(command, o.classes.vocab);
  command.path("--masks", o.masks,
               "Where the classes are, to score: grey PNGs of the images' names and sizes, in "
               "folders of the classes' names for several; or gtsegs_ijcv.mat, as --images",
               "PATH");
  command
      .text("--method", o.method,
            "neurons, or to compare: random, attention, rollout, direct, patches [neurons]", "M")
      .among({"neurons", "random", "attention", "rollout", "direct", "patches"});
  command.numbers("--layers", o.layers, "Layers whose neurons are read, of the run's [all]");
  command.number("--neurons", o.neurons, "Neurons for a class [200]").within(1, 1'000'000'000);
  command.flag("--signed", o.by_sign, "Neurons that push toward the class, not against it");
  command.flag("--weighted", o.weighted,
               "Neurons weigh as much as they push toward the class, not the same");
  command.number("--threshold", o.threshold, "Heat above which a pixel is of the class [0.5]", "X")
      .within(0.0, 1.0);
  command.number("--seed", o.seed, "Of random neurons [0]");
  command.path("--out", o.out, "Folder for PNGs and segmentation.json", "DIR").required();
  add_model_of_run(command, o.model);
  add_common(command, o.common);
}

void check(const segment_call& o) {
  if (!o.masks.empty() && o.input.images.empty()) {
    throw usage_error("--masks: goes with --images");
  }
}

constexpr const char* kinds_of_pictures[] = {"heat", "mask", "overlay"};

/// @throws io_error naming it
const fs::path& created(const fs::path& folder) {
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (!problem) return folder;
  throw io_error("segment", "a folder that can be created", problem.message(), folder.string());
}

/// Draws, writes and scores what is found in images; what is said of it at the end. Pictures appear
/// in their places all together, when all are there.
class picture_writer {
 public:
  explicit picture_writer(const segmentation_task& task)
      : task_(task), out_(task.call.out), part_(created(out_) / ".part") {
    create_folders(part_.path());
  }

  /// @param map     [rows, columns] over the patches
  /// @param pixels  [3, height, width] as the model sees them
  void add(const std::string& image, index_t position, index_t c, host_view<const float> map,
           host_view<const float> pixels) {
    const index_t height = pixels.extent(1), width = pixels.extent(2);
    const host_tensor<float> heat = heat_map(map, height, width);
    const host_tensor<std::uint8_t> mask = mask_of(heat, task_.call.threshold);
    report_json line{{"image", image}, {"class", task_.classes[static_cast<std::size_t>(c)]}};
    const auto found = std::count(mask.begin(), mask.end(), 1);
    line["share"] = static_cast<float>(found) / static_cast<float>(mask.size());
    const auto write = [&](const char* kind, host_view<const std::uint8_t> picture) {
      const fs::path place = task_.picture(kind, position, c);
      write_png(part_.path() / place, picture);
      line[kind] = place.generic_string();
    };
    host_tensor<std::uint8_t> grey({height, width});
    std::transform(heat.begin(), heat.end(), grey.begin(),
                   [](float h) { return static_cast<std::uint8_t>(h * 255 + 0.5F); });
    write("heat", grey);
    std::transform(mask.begin(), mask.end(), grey.begin(),
                   [](std::uint8_t m) { return static_cast<std::uint8_t>(255 * m); });
    write("mask", grey);
    write("overlay", overlay(denormalize(pixels, task_.preprocess), heat, mask).view());
    if (!task_.masks.empty()) {
      const auto& mask_at = task_.masks[task_.has_several() ? static_cast<std::size_t>(c) : 0];
      const auto of = scores_.add(heat, mask_as_seen(mask_at(position), task_.preprocess),
                                  task_.call.threshold);
      line["pixel_accuracy"] = static_cast<float>(of.pixel_accuracy);
      line["object_iou"] = static_cast<float>(of.object_iou);
      line["average_precision"] = static_cast<float>(of.average_precision);
    }
    lines_.push_back(std::move(line));
  }

  void move_into_place() const {
    create_folders(out_);
    for (const report_json& line : lines_) {
      for (const char* kind : kinds_of_pictures) {
        const auto place = line.at(kind).get<std::string>();
        fs::rename(part_.path() / place, out_ / place);
      }
    }
  }

  /// A line for each image and class.
  report_json& lines() { return lines_; }
  const stats::segmentation_scores& scores() const { return scores_; }

 private:
  void create_folders(const fs::path& root) const {
    for (const char* kind : kinds_of_pictures) {
      for (index_t c = 0; c < (task_.has_several() ? std::ssize(task_.classes) : 1); ++c) {
        created((root / task_.picture(kind, 0, c)).parent_path());
      }
    }
  }

  const segmentation_task& task_;
  fs::path out_;
  passing_folder part_;
  report_json lines_ = report_json::array();
  stats::segmentation_scores scores_;
};

/// The class of each image that its representation has most in common with.
template <tensor_backend B>
std::vector<index_t> likeliest(const B& be, const_view_of<B> representation,
                               const_view_of<B> classifier) {
  const index_t n = representation.extent(0);
  auto products = be.allocate({n, classifier.extent(1)}), most = be.allocate({n, 1});
  auto which = be.allocate_indices({n, 1});
  be.gemm(1, representation, classifier, 0, products.view());
  be.top_k(const_view_of<B>(products.view()), most.view(), which.view());
  host_tensor<index_t> host({n, 1});
  be.download(const_index_view_of<B>(which.view()), host);
  return {host.begin(), host.end()};
}

/// What stands for the classes in the maps: their texts, but for the direct decomposition what
/// tells them apart, where there are several.
template <tensor_backend B>
typename B::tensor readers_of(const B& be, const segmentation_task& task,
                              const typename B::tensor& classifier) {
  if (task.source == map_source::direct && task.classes.size() > 1) {
    return less_mean_class(be, classifier.view());
  }
  auto copy = be.allocate(classifier.view().extents());
  be.copy(classifier.view(), copy.view());
  return copy;
}

template <tensor_backend B>
class segmentation_run {
 public:
  segmentation_run(const B& be, const segmentation_task& task, const run_folder& folder,
                   const bpe_tokenizer& tokenizer, index_t at_once)
      : be_(be),
        task_(task),
        classifier_(zero_shot_classifier(be, load_text_tower(be, task.model), tokenizer,
                                         task.classes, templates_of(task.call.classes))),
        run_(be, load_vision_tower(be, task.model), at_once, sites_of(task)),
        segmenter_(be, run_.tower(), task.source, read_directions(folder),
                   readers_of(be, task, classifier_).view(),
                   {.n_writers = task.call.neurons,
                    .by_magnitude = !task.call.by_sign,
                    .weighted = task.call.weighted,
                    .random = task.call.seed}) {}

  /// Maps of a batch, given to `f(which image of the batch, class, map [rows, columns])`.
  template <class F>
  void operator()(host_view<const float> pixels, F&& f) {
    const auto activations = run_(pixels);
    const index_t n = pixels.extent(0), grid = run_.tower().config().grid();
    std::vector<index_t> of_image;
    if (task_.predicts()) {
      of_image = likeliest<B>(be_, activations.representation, std::as_const(classifier_).view());
    }
    std::set<index_t> distinct(of_image.begin(), of_image.end());
    for (index_t c = 0; !task_.predicts() && c < std::ssize(task_.classes); ++c) distinct.insert(c);
    const std::vector<index_t> classes(distinct.begin(), distinct.end());
    const view_of<B> maps = maps_.get(be_, {n, std::ssize(classes), grid * grid});
    segmenter_.maps(be_, run_.cache(), classes, maps);
    host_tensor<float> host({n, std::ssize(classes), grid, grid});
    be_.download(const_view_of<B>(maps), host.view().reshaped(maps.extents()));
    for (index_t i = 0; i < n; ++i) {
      for (index_t c = 0; c < std::ssize(classes); ++c) {
        const index_t drawn = classes[static_cast<std::size_t>(c)];
        if (task_.predicts() && of_image[static_cast<std::size_t>(i)] != drawn) continue;
        f(i, drawn, std::as_const(host).view()[i][c]);
      }
    }
  }

  std::span<const chosen_writer> neurons(index_t c) const { return segmenter_.neurons(c); }

 private:
  static std::vector<site> sites_of(const segmentation_task& task) {
    auto sites = segmentation_sites(vision_of(task.model), task.source, task.layers);
    sites.push_back({site_kind::representation});
    return sites;
  }

  std::vector<directions_of_layer<float>> read_directions(const run_folder& folder) {
    std::vector<directions_of_layer<float>> layers;
    if (!needs_directions(task_.source)) return layers;
    for (const index_t l : task_.layers) {
      files_.push_back(
          std::make_unique<safetensors_file>(folder.path() / run_folder::layer_file(l)));
      layers.push_back({l, files_.back()->view<float>("direction")});
    }
    return layers;
  }

  const B& be_;
  const segmentation_task& task_;
  std::vector<std::unique_ptr<safetensors_file>> files_;
  typename B::tensor classifier_;
  lens_run<B> run_;
  segmenter<B> segmenter_;
  scratch<B> maps_;
};

report_json in_json(const stats::segmentation_scores& s) {
  return {{"maps", s.n()},
          {"pixel_accuracy", static_cast<float>(s.pixel_accuracy())},
          {"mean_iou", static_cast<float>(s.mean_iou())},
          {"background_iou", static_cast<float>(s.background_iou())},
          {"object_iou", static_cast<float>(s.object_iou())},
          {"mean_average_precision", static_cast<float>(s.mean_average_precision())}};
}

/// The classes that were drawn, with the neurons that stand for them.
template <class Run>
report_json classes_in_json(const segmentation_task& task, const report_json& lines,
                            const Run& run) {
  std::set<std::string> drawn;
  for (const auto& line : lines) drawn.insert(line.at("class").get<std::string>());
  report_json classes = report_json::array();
  for (std::size_t c = 0; c < task.classes.size(); ++c) {
    if (!drawn.contains(task.classes[c])) continue;
    report_json of{{"class", task.classes[c]}, {"neurons", report_json::array()}};
    for (const chosen_writer& w : run.neurons(static_cast<index_t>(c))) {
      of["neurons"].push_back(
          {{"layer", w.layer}, {"neuron", w.writer}, {"product", static_cast<float>(w.product)}});
    }
    classes.push_back(std::move(of));
  }
  return classes;
}

report_json options_in_json(const segmentation_task& task) {
  const segment_call& call = task.call;
  report_json options{{"method", call.method}, {"threshold", call.threshold}};
  if (needs_directions(task.source)) {
    options["layers"] = task.layers;
    options["neurons"] = call.neurons;
    options["signed"] = call.by_sign;
    options["weighted"] = call.weighted;
  }
  if (task.source == map_source::random) options["seed"] = call.seed;
  return options;
}

/// Images in a batch such that the activations that are kept stay below 256 MB.
index_t batch_of(const segmentation_task& task) {
  const vision_config& c = vision_of(task.model);
  index_t numbers = 0;
  for (const site& s : segmentation_sites(c, task.source, task.layers)) {
    numbers += shape_of(s, site_extents_of(c, task.model.config.d_joint, 1)).size();
  }
  return bounded_batch(task.call.common.batch, numbers);
}

void run_segment(const segment_call& call) {
  const stopwatch whole;
  const run_folder folder = run_folder::open(call.run);
  const report_json record = folder.record();
  const clip_source model = open_model_of_run(call.run, record, call.model);
  vision_of(model);
  text_of(model);
  const bpe_tokenizer tokenizer = open_tokenizer(call.classes.vocab, model);
  segmentation_task task{call,
                         model,
                         preprocess_of(model),
                         parse_map_source(call.method),
                         classes_of(call, model, tokenizer),
                         layers_of_call(call, record),
                         {},
                         {}};
  const index_t at_once = batch_of(task);
  const auto input = open_input(task, at_once);
  picture_writer pictures(task);
  report_json classes;
  with_backend(call.common, [&]<tensor_backend B>(const B& be) {
    segmentation_run<B> run(be, task, folder, tokenizer, std::min(at_once, input->size()));
    for_each_batch(*input, "segment", call.common.quiet, [&](const image_input::batch& batch) {
      run(batch.pixels, [&](index_t i, index_t c, host_view<const float> map) {
        const index_t position = batch.positions[static_cast<std::size_t>(i)];
        pictures.add(input->name(position), position, c, map, batch.pixels[i]);
      });
    });
    classes = classes_in_json(task, pictures.lines(), run);
  });
  pictures.move_into_place();

  report_json report{{"format", 1},
                     {"solens", SOLENS_VERSION},
                     {"run", call.run},
                     {"model", record.at("model")},
                     {"images",
                      {{"source", call.input.place()},
                       {"count", input->size() - std::ssize(input->skipped())},
                       {"skipped", std::ssize(input->skipped())}}},
                     {"options", options_in_json(task)},
                     {"classes", std::move(classes)},
                     {"maps", std::move(pictures.lines())}};
  if (!task.masks.empty()) report["scores"] = in_json(pictures.scores());
  report["seconds"] = static_cast<float>(whole.seconds());
  write_file_atomically(fs::path(call.out) / "segmentation.json",
                        report.dump(2, ' ', false, report_json::error_handler_t::replace) + "\n");
  if (call.common.quiet || task.masks.empty()) return;
  const auto& s = pictures.scores();
  char line[160];
  std::snprintf(line, sizeof line, "%lld maps: pixel accuracy %.2f %%, mIoU %.2f %%, mAP %.2f %%\n",
                static_cast<long long>(s.n()), 100 * s.pixel_accuracy(), 100 * s.mean_iou(),
                100 * s.mean_average_precision());
  std::cerr << line;
}

}  // namespace

void add_segment(command_line& line) {
  line.add("segment",
           "--run DIR (--images PATH | --pixels F) (--class TEXT | --classes FILE)"
           " --out DIR [options]",
           "Where in images a class is: heat maps, masks, and their scores", declare, run_segment,
           check);
}

}  // namespace solens::program
