#include <algorithm>  // std::binary_search, std::find, std::sort, std::unique
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>  // std::accumulate
#include <optional>
#include <system_error>

#include <solens/core/atomic_file.hpp>
#include <solens/core/json.hpp>
#include <solens/findings/analysis.hpp>

#include "commands.hpp"
#include "hashing.hpp"
#include "lens_run.hpp"
#include "run_folder.hpp"
#include "stopwatch.hpp"
#include "words.hpp"

namespace solens::program {
namespace {

void declare(option_group command, analyze_call& o) {
  add_model(command, o.model);
  add_input(command, o.input);
  command.numbers("--layers", o.layers, "Layers, as in 8,9,10 or 8-10, or all [all]");
  command.number("--top", o.top, "Images kept of each neuron [100]").within(1, 1'000'000'000);
  add_words(command, o.words);
  add_lens(command, o.how, o.coefficient);
  command.size("--memory", o.memory, "Memory to stay within, as in 4GB [4GB]");
  command.number("--save-every", o.save_every, "Seconds between two states on disk [60]", "S")
      .not_negative();
  command.path("--out", o.out, "Run folder; an unfinished one is gone on with", "DIR").required();
  add_common(command, o.common);
}

using detail::json;

std::vector<index_t> layers_of(const analyze_call& call, const vision_config& c) {
  std::vector<index_t> layers = call.layers;
  if (layers.empty()) {
    for (index_t l = 0; l + 1 < c.n_layers; ++l) layers.push_back(l);
  }
  for (index_t l : layers) {
    if (l < 0 || l + 1 >= c.n_layers) {
      throw argument_error(
          "analyze",
          "layers from 0 to " + std::to_string(c.n_layers - 2) + ", which have later blocks",
          std::to_string(l), "--layers");
    }
  }
  std::sort(layers.begin(), layers.end());
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  return layers;
}

/// The numbers of a vision tower, as `run.json` shows them.
template <class Json>
Json architecture_of(const clip_config& model) {
  const vision_config& c = model.vision;
  return {{"layers", c.n_layers},       {"heads", c.n_heads},          {"d_model", c.d_model},
          {"d_mlp", c.d_mlp},           {"d_joint", model.d_joint},    {"image_size", c.image_size},
          {"patch_size", c.patch_size}, {"activation", name_of(c.act)}};
}

/// Gives a file a second place; as a copy where the file system has no links.
void link_or_copy(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code no_links;
  std::filesystem::create_hard_link(from, to, no_links);
  if (no_links) std::filesystem::copy_file(from, to);
}

/// Everything that the findings depend on, under the names that a message would use.
/// @param model_hash  `sha256_of` the model
json identity_of(const analyze_call& call, const clip_source& model, const std::string& model_hash,
                 const image_input& input, const std::vector<index_t>& layers) {
  std::string list;
  for (index_t i = 0; i < input.size(); ++i) list += input.name(i) + "\n";
  return {{"model", model_hash},
          {"configuration", architecture_of<json>(model.config)},
          {"list of images", sha256(list)},
          {"--layers", layers},
          {"--top", call.top},
          {"--convention", call.how == convention::centered ? "centered" : "reference"},
          {"--coefficient", call.coefficient},
          {"--batch", call.common.batch},
          {"--backend", call.common.backend}};
}

/// How far an analysis has come, and of what.
struct progress_state {
  json identity;
  index_t done = 0;              ///< images of the input that are done with
  std::vector<index_t> batches;  ///< images analysed, by batch
  std::vector<index_t> skipped;  ///< positions of those that could not be read
  std::vector<index_t> found;    ///< layers whose findings are among what is unfinished, for good

  index_t n_images() const { return std::accumulate(batches.begin(), batches.end(), index_t{0}); }
  bool has(index_t layer) const {
    return std::find(found.begin(), found.end(), layer) != found.end();
  }

  static std::filesystem::path file(const run_folder& folder) {
    return folder.unfinished() / "state.json";
  }

  void save(const run_folder& folder) const {
    const json text{{"format", run_folder::format_version},
                    {"identity", identity},
                    {"done", done},
                    {"batches", batches},
                    {"skipped", skipped},
                    {"found", found}};
    write_file_atomically(file(folder), text.dump() + "\n");
  }

  /// What an interrupted analysis left, or the beginning of a new one.
  /// @throws argument_error naming what differs from the interrupted one
  static progress_state open(const run_folder& folder, json identity) {
    progress_state state;
    const std::string name = file(folder).string();
    if (std::ifstream in(name, std::ios::binary); in) {
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      const json found = detail::parse_json_object(text, "resume", name);
      try {
        for (const auto& [key, value] : identity.items()) {
          if (found.at("identity").at(key) == value) continue;
          throw argument_error(
              "resume",
              "the " + key + " of the unfinished analysis, " + found.at("identity").at(key).dump(),
              value.dump(),
              "finish that one, choose another --out, or remove " + folder.unfinished().string());
        }
        state.done = found.at("done");
        state.batches = found.at("batches").get<std::vector<index_t>>();
        state.skipped = found.at("skipped").get<std::vector<index_t>>();
        state.found = found.at("found").get<std::vector<index_t>>();
      } catch (const json::exception& e) {
        throw format_error("resume", "the state of an analysis", e.what(), name);
      }
    }
    state.identity = std::move(identity);
    return state;
  }
};

/// The forward pass over all images that are left, saving the state now and then, and when it ends
/// in whatever way.
template <tensor_backend B>
void take_in(const B& be, const analyze_call& call, lens_run<B>& run, analysis<B>& findings,
             image_input& input, const run_folder& folder, progress_state& state) {
  const std::vector<index_t> skipped_before = state.skipped;
  const auto note = [&] {
    state.done = input.done();
    state.batches = findings.batches();
    state.skipped = skipped_before;
    for (const skipped_image& s : input.skipped()) state.skipped.push_back(s.position);
  };
  const auto save = [&] {
    findings.sync();
    state.save(folder);
  };
  stopwatch since_saved;
  try {
    for_each_batch(input, "analyze", call.common.quiet, [&](const image_input::batch& batch) {
      std::vector<std::string> names;
      for (index_t position : batch.positions) names.push_back(input.name(position));
      findings.add(be, run(batch.pixels), names);
      note();
      if (since_saved.seconds() < call.save_every) return;
      save();
      since_saved = {};
    });
  } catch (...) {
    try {
      save();
    } catch (const error&) {
      // a full disk: the state saved before is still good
    }
    throw;
  }
  note();  // images skipped after the last batch
  save();
}

/// The findings of the layers that are left. Those of a layer are kept before its coefficients go,
/// which a disk does while the next ones are looked at.
template <tensor_backend B>
void find(const B& be, const analyze_call& call, analysis<B>& findings, index_t n_neurons,
          const run_folder& folder, progress_state& state) {
  const std::vector<index_t> layers = findings.options().layers;
  progress bar("findings", "neurons", n_neurons * std::ssize(layers),
               {.style = progress_style_of_stderr(call.common.quiet)});
  findings.finish(
      be, layers,
      [&](index_t layer, const auto& found) {
        write_layer(folder.unfinished() / run_folder::layer_file(layer), found);
        state.found.push_back(layer);
        state.save(folder);
        findings.clear(layer);
      },
      [&](index_t neurons) {
        bar.add(neurons - bar.done());
        throw_if_stopped();
      });
  bar.finish();
}

/// What is left of the memory budget beside the model and its workspace.
std::size_t memory_for_findings(const analyze_call& call, const vision_config& c) {
  const auto weights = static_cast<std::size_t>(
      4 * c.n_layers * (4 * c.d_model * c.d_model + 2 * c.d_model * c.d_mlp));
  const auto activations = static_cast<std::size_t>(8 * call.common.batch * c.n_tokens() * c.d_mlp);
  const std::size_t taken = weights + activations + (std::size_t{192} << 20);
  constexpr std::size_t least = std::size_t{16} << 20;
  if (call.memory < taken + least) {
    throw argument_error(
        "analyze", std::to_string((taken + least) >> 20) + "MB or more for this model and --batch",
        std::to_string(call.memory >> 20) + "MB", "--memory");
  }
  return call.memory - taken;
}

}  // namespace

void run_analyze(const analyze_call& call) {
  const stopwatch whole;
  const clip_source model = open_model(call.model);
  const vision_config& c = vision_of(model);
  const std::vector<index_t> layers = layers_of(call, c);
  const std::size_t memory = memory_for_findings(call, c);
  const int threads = threads_of(call.common);
  const auto open = [&](index_t first) {
    return open_images(call.input, preprocess_of(model), call.common.batch, threads, first);
  };
  auto input = open(0);
  if (input->size() < call.top) {
    throw argument_error("analyze", std::to_string(call.top) + " images or more, as --top says",
                         std::to_string(input->size()), call.input.place());
  }
  const std::string model_hash = sha256_of(model);
  json identity = identity_of(call, model, model_hash, *input, layers);
  std::optional<word_source> words;
  if (!call.words.list.empty()) {
    words.emplace(open_words(call.common, call.words, &model, model_hash, model.config.d_joint));
    identity.update(identity_of(*words));
  }
  const run_folder folder = run_folder::create(call.out);
  const passing_folder next = folder.begin_replacing();
  progress_state state = progress_state::open(folder, std::move(identity));
  if (state.done > 0) input = open(state.done);

  report_json run{{"format", run_folder::format_version},
                  {"solens", SOLENS_VERSION},
                  {"model",
                   {{"path", std::filesystem::absolute(call.model.model).string()},
                    {"config", call.model.config.empty()
                                   ? std::string()
                                   : std::filesystem::absolute(call.model.config).string()},
                    {"sha256", model_hash},
                    {"architecture", architecture_of<report_json>(model.config)}}}};
  report_json seconds;
  const index_t analysed_before = state.n_images();
  std::vector<index_t> left;
  for (index_t layer : layers) {
    if (!state.has(layer)) left.push_back(layer);
  }
  with_backend(call.common, [&]<tensor_backend B>(const B& be) {
    if (left.empty()) return;
    const stopwatch loading;
    const auto sites = second_order_sites(c, left);
    lens_run<B> forward(be, load_vision_tower(be, model),
                        std::min(call.common.batch, input->size()), sites);
    const auto weights = lens_weights_of(forward.tower());
    analysis<B> findings(be, weights,
                         {.layers = left,
                          .top = call.top,
                          .how = call.how,
                          .coefficient = call.coefficient,
                          .scratch = folder.unfinished(),
                          .memory = memory,
                          .n_images = input->size(),
                          .n_tokens = c.n_tokens()},
                         state.batches);
    seconds["load"] = static_cast<float>(loading.seconds());
    const stopwatch reading;
    if (state.done < input->size()) take_in(be, call, forward, findings, *input, folder, state);
    seconds["images"] = static_cast<float>(reading.seconds());
    const stopwatch finding;
    find(be, call, findings, c.d_mlp, folder, state);
    seconds["findings"] = static_cast<float>(finding.seconds());
  });
  for (index_t layer : layers) {
    const std::string file = run_folder::layer_file(layer);
    link_or_copy(folder.unfinished() / file, next.path() / file);
  }

  std::vector<std::string> names;
  for (index_t i = 0; i < input->size(); ++i) {
    if (!std::binary_search(state.skipped.begin(), state.skipped.end(), i)) {
      names.push_back(input->name(i));
    }
  }
  std::string list;
  for (const std::string& name : names) list += name + "\n";
  write_file_atomically(next.path() / "images.txt", list);
  if (words) {
    const stopwatch describing;
    run["words"] = describe_layers(call.common, *words, layers, next.path(), next.path());
    seconds["words"] = static_cast<float>(describing.seconds());
  }
  seconds["total"] = static_cast<float>(whole.seconds());
  run["images"] = {{"source", call.input.place()},
                   {"count", state.n_images()},
                   {"skipped", std::ssize(state.skipped)},
                   {"sha256", sha256(list)}};
  run["options"] = {{"layers", layers},
                    {"top", call.top},
                    {"convention", call.how == convention::centered ? "centered" : "reference"},
                    {"coefficient", static_cast<float>(call.coefficient)},
                    {"batch", call.common.batch},
                    {"backend", call.common.backend},
                    {"threads", call.common.threads},
                    {"memory", call.memory},
                    {"labels", call.input.labels},
                    {"strict", call.input.strict}};
  run["seconds"] = seconds;
  const float spent = seconds.value("images", 0.0F);
  const auto analysed_now = static_cast<float>(state.n_images() - analysed_before);
  run["images_per_second"] = spent > 0 ? analysed_now / spent : 0.0F;
  folder.finish_replacing(run);
  std::filesystem::remove_all(folder.unfinished());
}

void add_analyze(command_line& line) {
  line.add("analyze", "--model M (--images PATH | --pixels F) --out DIR [options]",
           "Every finding about every neuron, in one pass over the images", declare, run_analyze);
}

}  // namespace solens::program
