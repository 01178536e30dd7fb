// `solens demo`: what it leaves, and that what it prints is true.

#include "call.hpp"

#include <cmath>
#include <cstdio>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include <toyland/data_set.hpp>
#include <toyland/grammar.hpp>

using namespace solens::test;
using nlohmann::json;

namespace {

constexpr int n_scenes = 60;

outcome demo(const std::filesystem::path& out, std::vector<std::string> more = {}) {
  std::vector<std::string> words{"demo",  "--quiet",   "--scenes", std::to_string(n_scenes),
                                 "--out", out.string()};
  words.insert(words.end(), more.begin(), more.end());
  return call(words);
}

/// Every file below a folder, but for the record with its timings and the page that shows them.
std::map<std::string, std::string> contents(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const auto name = entry.path().filename();
    if (entry.is_directory() || name == "run.json" || name == "report.html") continue;
    files[entry.path().lexically_relative(folder).string()] = read_file(entry.path());
  }
  return files;
}

/// What descriptions.jsonl says of each (layer, neuron).
std::map<std::pair<int, int>, json> descriptions_of(const std::filesystem::path& run) {
  std::map<std::pair<int, int>, json> all;
  std::istringstream lines(read_file(run / "descriptions.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    json record = json::parse(line);
    all[{record.at("layer"), record.at("neuron")}] = record;
  }
  return all;
}

/// A row of the tables that the demo prints.
struct row {
  int layer, neuron;
  double variance;
  std::string word;
  double weight, of_strongest, of_all;
};

std::vector<row> rows_of(const std::string& text) {
  std::vector<row> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    row r{};
    char word[64];
    if (std::sscanf(line.c_str(), " %d %d %lf %% %63[a-z ] %lf %lf %% %lf %%", &r.layer, &r.neuron,
                    &r.variance, word, &r.weight, &r.of_strongest, &r.of_all) != 7) {
      continue;
    }
    r.word = word;
    r.word.erase(r.word.find_last_not_of(' ') + 1);
    rows.push_back(r);
  }
  return rows;
}

bool fits(const std::string& word, int scene) {
  return toyland::fits(toyland::claim_of(word), toyland::scene_of({.n = n_scenes}, scene));
}

void check_row(const row& r, const json& description) {
  CAPTURE(r.layer, r.neuron, r.word);
  double weight = 0, strongest = 0, all = 0;
  for (const json& said : description.at("words")) {
    if (said.at("word") == r.word) weight = said.at("weight");
  }
  const auto& images = description.at("top_images");
  for (const json& image : images) strongest += fits(r.word, image);
  for (int i = 0; i < n_scenes; ++i) all += fits(r.word, i);
  // Printed with two decimals, none and one.
  CHECK(std::abs(r.weight - weight) <= 0.00501);
  CHECK(std::abs(r.variance - 100 * description.at("explained_variance").get<double>()) <= 0.501);
  CHECK(std::abs(r.of_strongest - 100 * strongest / double(images.size())) <= 0.501);
  CHECK(std::abs(r.of_all - 100 * all / n_scenes) <= 0.0501);
}

}  // namespace

TEST_CASE("demo: a run folder that the other subcommands work on, and findings that are true") {
  const temporary_folder folder;
  setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1);
  const auto out = folder / "demo";
  const outcome o = demo(out);
  INFO(o.err);
  REQUIRE(o.exit_code == 0);
  CHECK(o.err.empty());
  CHECK(names_in(out / "scenes" / "images").size() == n_scenes);
  const std::string report = out / "report.html";
  CHECK(o.out.ends_with("\n" + report + "\n"));
  CHECK(read_file(report).starts_with("<!doctype html>"));
  const auto described = descriptions_of(out);
  CHECK(described.size() == 5 * 512);
  const std::vector<row> rows = rows_of(o.out);
  CHECK(rows.size() == 5 + 2 * 3);
  for (const row& r : rows) check_row(r, described.at({r.layer, r.neuron}));

  const auto before = contents(out);
  const std::string scenes = out / "scenes";
  const outcome ablated = call({"ablate", "--quiet", "--run", out, "--images", scenes + "/images",
                                "--label-ids", scenes + "/kinds.npy", "--classes",
                                scenes + "/kinds.txt", "--out", folder / "ablation.json"});
  INFO(ablated.err);
  CHECK(ablated.exit_code == 0);

  const outcome again = demo(out);
  CHECK(again.out == o.out);
  CHECK(contents(out) == before);
  unsetenv("XDG_CACHE_HOME");
}

TEST_CASE("demo: what is not its own it leaves alone") {
  const temporary_folder folder;
  const auto other = folder / "other";
  std::filesystem::create_directory(other);
  write_file(other / "thesis.txt", "words");
  check_error(demo(other), {"--out", other});
  CHECK(names_in(other) == std::vector<std::string>{"thesis.txt"});
  check_error(demo(other / "thesis.txt"), {"--out", other / "thesis.txt"});
  check_error(demo(other / "thesis.txt" / "demo"), {other / "thesis.txt" / "demo"});
  check_usage(demo(folder / "demo", {"--scenes", "0"}), {"--scenes"});
  check_usage(demo(folder / "demo", {"--model", "m"}), {"--model"});
  CHECK_FALSE(std::filesystem::exists(folder / "demo"));
}
