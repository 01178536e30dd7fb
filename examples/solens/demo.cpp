#include <algorithm>  // std::max
#include <filesystem>
#include <string>

#include <solens/core/atomic_file.hpp>

#include "commands.hpp"
#include "console.hpp"
#include "demo_findings.hpp"
#include "run_folder.hpp"
#include "toyland/data_set.hpp"
#include "toyland/embedded_model.hpp"
#include "toyland/grammar.hpp"

namespace solens::program {
namespace {

namespace fs = std::filesystem;

struct demo_call {
  common_options common;
  int scenes = 2000;
  std::string out = "solens-demo";
};

void declare(option_group command, demo_call& o) {
  command.number("--scenes", o.scenes, "Scenes to paint and look at [2000]").within(10, 1'000'000);
  command.path("--out", o.out, "Run folder [solens-demo]", "DIR");
  add_common(command, o.common);
}

/// Makes a folder the demo's, such that nobody else's files are ever overwritten.
void take_folder(const fs::path& folder) {
  const fs::path mark = folder / ".solens-demo";
  const bool folder_there = fs::is_directory(folder);
  if (folder_there ? !fs::exists(mark) && !fs::is_empty(folder) : fs::exists(folder)) {
    throw argument_error("demo", "a folder that is new, empty or an earlier demo's",
                         folder_there ? "one with other files in it" : "a file",
                         "--out " + folder.string());
  }
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) {
    throw io_error("demo", "a folder that can be created", problem.message(), folder.string());
  }
  write_file_atomically(mark, "");
}

void run_demo(const demo_call& call) {
  const fs::path out(call.out), model = out / "model", scenes = out / "scenes";
  const toyland::data_set_options data{.n = call.scenes};
  take_folder(out);
  fs::remove_all(scenes);
  fs::remove_all(out / ".unfinished");  // of a demo with other scenes, perhaps
  toyland::write_embedded_model(model);
  toyland::write_pictures(data, scenes);
  std::string words;
  for (const std::string& word : toyland::words_and_phrases()) words += word + "\n";
  write_file_atomically(scenes / "words.txt", words);
  throw_if_stopped();

  analyze_call analyze;
  analyze.common = call.common;
  analyze.model.model = model.string();
  analyze.input.images = (scenes / "images").string();
  analyze.words.list = (scenes / "words.txt").string();
  analyze.words.atoms = {8};
  analyze.top = std::max(10, call.scenes / 50);
  analyze.out = call.out;
  run_analyze(analyze);

  print(std::to_string(call.scenes) +
        " scenes of a painted world, and what neurons of a CLIP that was trained on it do.\n" +
        findings_to_read(run_folder::open(out), data) + "\nAll neurons, to click through:\n");
  flush_output();

  report_call report;
  report.common = call.common;
  report.run = call.out;
  run_report(report);
}

}  // namespace

void add_demo(command_line& line) {
  line.add("demo", "[--out DIR] [options]",
           "analyze on a small painted world and a CLIP that come with solens", declare, run_demo);
}

}  // namespace solens::program
