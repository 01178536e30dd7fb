// Neurons in words: `analyze --words` and `describe`.

#include "call.hpp"
#include "vocabulary.hpp"

#include <chrono>
#include <cmath>
#include <cstdlib>  // setenv
#include <map>
#include <random>
#include <set>
#include <thread>

#include <solens/weights/npy.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

using namespace solens;
using namespace solens::test;
using nlohmann::json;

namespace {

const std::string model = data("tiny-a.model.safetensors").string();

/// A folder with an analysis of layer 1 of tiny-a, and with words and their embeddings as the
/// published code had them. Nothing gets into the user's cache.
struct example {
  temporary_folder folder;
  std::string dir = (folder / "run").string(), list = (folder / "words.txt").string(),
              embeddings = (folder / "words.npy").string(), cache = (folder / "cache").string();

  example() {
    setenv("XDG_CACHE_HOME", (folder / "user's cache").c_str(), 1);
    std::string text;
    for (int w = 0; w < 200; ++w) text += "word " + std::to_string(w) + "\n";
    write_file(list, text);
    const safetensors_file stages(data("tiny-a.stages.safetensors"));
    write_npy(embeddings, stages.view<float>("words_raw"));
    run(analysis(dir));
  }
  ~example() { unsetenv("XDG_CACHE_HOME"); }

  static std::vector<std::string> analysis(const std::string& out) {
    return {"analyze",
            "--model",
            model,
            "--pixels",
            data("tiny-a.stages.safetensors").string() + ":train_images",
            "--layers",
            "1",
            "--top",
            "16",
            "--convention",
            "reference",
            "--out",
            out,
            "--quiet"};
  }
  std::vector<std::string> describe(const std::vector<std::string>& with) const {
    return joined({"describe", "--run", dir, "--quiet"}, with);
  }
  /// The same from embeddings in a file.
  std::vector<std::string> given(const std::vector<std::string>& with = {}) const {
    return joined(describe({"--words", list, "--word-embeddings", embeddings}), with);
  }
  /// The same from the text tower, whose tokenizer knows "<t7>".
  std::vector<std::string> embedded(const std::vector<std::string>& with = {}) const {
    return joined(describe({"--words", list, "--vocab", (folder / "tokenizer.json").string(),
                            "--cache", cache}),
                  with);
  }

  safetensors_file layer() const {
    return safetensors_file(std::filesystem::path(dir) / "layer-1.safetensors");
  }
  json record() const { return json::parse(read_file(std::filesystem::path(dir) / "run.json")); }
  std::vector<json> lines() const {
    std::vector<json> all;
    std::istringstream text(read_file(std::filesystem::path(dir) / "descriptions.jsonl"));
    for (std::string line; std::getline(text, line);) all.push_back(json::parse(line));
    return all;
  }
};

/// Every file of a folder but run.json, which holds timings, and not what lies in folders.
std::map<std::string, std::string> contents(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const std::string& name : names_in(folder)) {
    if (name == "run.json" || !std::filesystem::is_regular_file(folder / name)) continue;
    files[name] = read_file(folder / name);
  }
  return files;
}

/// The weight of each word in the code of a neuron.
std::map<index_t, double> code(host_view<const index_t> atoms, host_view<const float> weights) {
  std::map<index_t, double> result;
  for (index_t k = 0; k < weights.size(); ++k) {
    if (atoms(k) >= 0) result[atoms(k)] = double{weights(k)};
  }
  return result;
}

}  // namespace

TEST_CASE("describe gives the published dictionary and codes of layer 1 of tiny-a") {
  const example e;
  run(e.given({"--atoms", "8", "--dictionary", "reference"}));
  const safetensors_file stages(data("tiny-a.stages.safetensors"));
  const auto margin = stages.tensor<float>("omp_step_margin"),
             value = stages.tensor<float>("json_value"), pca = stages.tensor<float>("pca"),
             singular = stages.tensor<float>("pca_singular_values");
  const auto index = stages.view<std::int32_t>("json_index");
  const safetensors_file dictionary(std::filesystem::path(e.dir) / "dictionary.safetensors");
  CHECK(relative_difference<float, float>(dictionary.tensor<float>("embeddings"),
                                          stages.tensor<float>("dictionary")) < 1e-6);
  const auto layer = e.layer();
  const auto atoms = layer.view<index_t>("code_atoms");
  const auto weights = layer.view<float>("code_weights");
  REQUIRE(atoms.extents() == shape{256, 8});
  int compared = 0;
  for (index_t n = 0; n < 256; ++n) {
    float least = singular(n, 0) < 1.02F * singular(n, 1) ? 0.0F : 1.0F;  // no one direction
    for (index_t k = 0; k < 8; ++k) least = std::min(least, margin(n, k));
    if (least <= 1e-4F) continue;
    ++compared;
    // Where half of the images project positively, the published rule leaves the sign open.
    double sign = 0, largest = 0;
    for (index_t j = 0; j < 32; ++j) {
      sign += double{layer.view<float>("direction")(n, j)} * double{pca(n, j)};
    }
    for (index_t k = 0; k < 8; ++k) largest = std::max(largest, double{std::abs(value(n, k))});
    const auto found = code(atoms[n], weights[n]);
    for (index_t k = 0; k < 8; ++k) {
      CAPTURE(n, k, sign);
      REQUIRE(found.contains(index(n, k)));
      CHECK(std::abs(std::copysign(1.0, sign) * found.at(index(n, k)) - double{value(n, k)}) <
            1e-4 * largest);
    }
  }
  CHECK(compared > 240);
}

TEST_CASE("analyze --words is analyze, then describe") {
  const example after;
  run(after.given({"--atoms", "8,2,4"}));
  const example at_once;
  run(joined(example::analysis(at_once.dir), {"--words", at_once.list, "--word-embeddings",
                                              at_once.embeddings, "--atoms", "2,4,8"}));
  auto a = contents(after.dir), b = contents(at_once.dir);
  CHECK(a.size() == 5);
  // the paths of list and embeddings are in its metadata
  CHECK(a.extract("dictionary.safetensors").mapped() !=
        b.extract("dictionary.safetensors").mapped());
  CHECK(a == b);
  // and without words, nothing of them is left
  run(example::analysis(at_once.dir));
  CHECK(names_in(at_once.dir) == std::vector<std::string>{"descriptions.jsonl", "images.txt",
                                                          "layer-1.safetensors", "run.json"});
  CHECK_FALSE(at_once.lines().front().contains("words"));
}

TEST_CASE("a run says its words in its files, and keeps what it had") {
  const example e;
  std::map<std::string, host_tensor<float>> before;
  const auto without = e.layer();
  for (const tensor_info& info : without.tensors()) {
    if (info.type == dtype::f32) before[info.name] = without.tensor<float>(info.name);
  }
  const json recorded = e.record();
  for (const char* atoms : {"16", "3,5,8"}) run(e.given({"--atoms", atoms}));

  const auto layer = e.layer();
  for (const auto& [name, values] : before) {
    CHECK(relative_difference<float, float>(layer.tensor<float>(name), values) == 0);
  }
  CHECK_FALSE(layer.contains("code_weights_16"));
  const auto atoms = layer.view<index_t>("code_atoms");
  const auto weights = layer.view<float>("code_weights");
  CHECK(layer.info("code_weights_3").extents == shape{256, 3});
  CHECK(layer.info("code_weights_5").extents == shape{256, 5});
  const safetensors_file dictionary(std::filesystem::path(e.dir) / "dictionary.safetensors");
  CHECK(dictionary.metadata().at("dictionary") == layer.metadata().at("dictionary"));

  const auto lines = e.lines();
  REQUIRE(lines.size() == 256);
  for (index_t n = 0; n < 256; ++n) {
    const json& line = lines[static_cast<std::size_t>(n)];
    CHECK(line.at("layer") == 1);
    CHECK(line.at("neuron") == n);
    double last = 1e9;
    auto expected = code(atoms[n], weights[n]);
    REQUIRE(line.at("words").size() == 8);
    for (const json& said : line.at("words")) {
      const auto word = said.at("word").get<std::string>();
      const double weight = said.at("weight");
      CHECK(weight == Approx(expected.at(std::stoi(word.substr(5)))));
      CHECK(std::abs(weight) <= last);
      last = std::abs(weight);
    }
    CHECK(line.at("code_cosine") == Approx(layer.view<float>("code_cosine")(n)));
    CHECK(line.at("polysemy") == Approx(layer.view<float>("polysemy")(n)));
    CHECK(line.at("top_images").size() == 16);
  }
  CHECK(read_file(std::filesystem::path(e.dir) / "words.txt") == read_file(e.list));

  json record = e.record();
  CHECK(record.at("words").at("list") == e.list);
  CHECK(record.at("words").at("sha256").get<std::string>().size() == 64);
  CHECK(record.at("words").at("count") == 200);
  CHECK(record.at("words").at("duplicates") == 0);
  CHECK(record.at("words").at("embeddings") == e.embeddings);
  CHECK(record.at("words").at("dictionary") == "unit");
  CHECK(record.at("words").at("atoms") == json{3, 5, 8});
  CHECK(record.at("seconds").at("words").is_number());
  record.erase("words");
  record.at("seconds").erase("words");
  CHECK(record == recorded);
}

TEST_CASE("duplicates are reported and dropped, with their embeddings") {
  const example e;
  run(e.given());
  const auto expected = contents(e.dir);
  // word 7 comes again, tab and Windows line end and all, after a blank line; its row is another
  std::string text = read_file(e.list);
  text.insert(text.find("word 20\n"), "\n\tword 7 \r\n");
  write_file(e.list, text);
  const auto rows = npy_file(e.embeddings).tensor<float>();
  host_tensor<float> more({201, 32}, 9);
  for (index_t w = 0; w < 200; ++w) {
    std::copy_n(rows.data() + w * 32, 32, more.data() + (w < 20 ? w : w + 1) * 32);
  }
  write_npy(e.embeddings, std::as_const(more).view());
  const outcome o = call(e.given());
  INFO(o.err);
  REQUIRE(o.exit_code == 0);
  CHECK_THAT(o.err, Catch::Contains("dropped 1") && Catch::Contains("word 7"));
  CHECK(e.record().at("words").at("duplicates") == 1);
  auto found = contents(e.dir), same = expected;
  found.erase("dictionary.safetensors");
  same.erase("dictionary.safetensors");
  CHECK(found == same);
}

TEST_CASE("more atoms than the joint space has room for end where nothing is left to say") {
  const example e;
  run(e.given({"--atoms", "64"}));
  const auto layer = e.layer();
  const auto atoms = layer.view<index_t>("code_atoms");
  REQUIRE(atoms.extents() == shape{256, 64});
  for (index_t n = 0; n < 256; ++n) {
    CHECK(atoms(n, 0) >= 0);
    CHECK(atoms(n, 63) == -1);
    CHECK(layer.view<float>("code_cosine")(n) > 0.9999F);
  }
}

TEST_CASE("words come from the text tower, as encode and the embeddings in a file do") {
  const example e;
  write_numbered_tokenizer(e.folder / "tokenizer.json", 1000);
  std::string text, sentences;
  for (int w = 0; w < 60; ++w) {
    text += "<t" + std::to_string(w) + ">\n";
    sentences += "<t99> <t" + std::to_string(w) + "> <t98>\n";
  }
  write_file(e.list, text);
  write_file(e.folder / "sentences.txt", sentences);
  const auto dictionary = [&](const std::vector<std::string>& words) {
    run(words);
    const safetensors_file file(std::filesystem::path(e.dir) / "dictionary.safetensors");
    return file.tensor<float>("embeddings");
  };
  const auto from_encode = [&](const std::string& texts) {
    run({"encode", "--model", model, "--vocab", (e.folder / "tokenizer.json").string(), "--texts",
         texts, "--normalize", "--quiet", "--out", e.embeddings});
    return dictionary(e.given());
  };
  CHECK(relative_difference<float, float>(dictionary(e.embedded()), from_encode(e.list)) < 1e-5);
  run(e.embedded());
  CHECK(e.record().at("words").at("embeddings") == "text tower");
  CHECK(e.record().at("words").at("template") == "{}");
  CHECK(relative_difference<float, float>(dictionary(e.embedded({"--template", "<t99> {} <t98>"})),
                                          from_encode((e.folder / "sentences.txt").string())) <
        1e-5);
}

TEST_CASE("embeddings are kept, and used again where nothing differs") {
  const example e;
  write_numbered_tokenizer(e.folder / "tokenizer.json", 1000);
  write_file(e.list, "<t1>\n<t2>\n<t3> <t4>\n<t5>\n");
  const auto kept = [&] {
    const auto names = names_in(e.cache);
    return std::set<std::string>(names.begin(), names.end());
  };
  const auto computes = [&](const std::vector<std::string>& words, const std::string& what) {
    const auto before = kept();
    run(words);
    INFO(what);
    CHECK(kept().size() == before.size() + 1);
  };
  run(e.embedded({"--atoms", "2"}));
  REQUIRE(kept().size() == 1);
  const std::string file = *kept().begin();
  const auto fresh = contents(e.dir);

  // A hit: what the file holds is believed, even where it is not true.
  const auto original = read_file(e.cache + "/" + file);
  const auto stamp = std::filesystem::last_write_time(e.cache + "/" + file);
  run(e.embedded({"--atoms", "2"}));
  CHECK(kept().size() == 1);
  CHECK(std::filesystem::last_write_time(e.cache + "/" + file) == stamp);
  CHECK(contents(e.dir) == fresh);
  run(e.embedded({"--atoms", "3", "--dictionary", "reference"}));  // embeddings do not depend on it
  CHECK(kept().size() == 1);

  // Everything that the embeddings do depend on.
  computes(e.embedded({"--template", "<t9> {}"}), "template");
  computes(e.embedded({"--backend", "reference"}), "backend");
  write_file(e.list, "<t1>\n<t2>\n<t3> <t4>\n<t6>\n");
  computes(e.embedded(), "list");
  write_numbered_tokenizer(e.folder / "tokenizer.json", 999);
  computes(e.embedded(), "tokenizer");
  write_numbered_tokenizer(e.folder / "tokenizer.json", 1000);
  json config = json::parse(read_file(data("tiny-a.config.json")));
  config["quick_gelu"] = false;
  write_file(e.folder / "other.config.json", config.dump());
  computes(e.embedded({"--model", model, "--config", (e.folder / "other.config.json").string()}),
           "configuration");
  // another model has another run
  std::string weights = read_file(model);
  weights.back() = static_cast<char>(weights.back() ^ 1);
  write_file(e.folder / "other.model.safetensors", weights);
  auto analysis = example::analysis((e.folder / "other run").string());
  analysis[2] = (e.folder / "other.model.safetensors").string();
  run(joined(analysis, {"--config", data("tiny-a.config.json").string()}));
  auto other = e.embedded();
  other[2] = (e.folder / "other run").string();
  computes(other, "model");

  // A file that is not what its name says is told of, left aside and written again.
  write_file(e.list, "<t1>\n<t2>\n<t3> <t4>\n<t5>\n");
  std::string flipped = original;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  std::string another;  // whole, but of other words
  for (const std::string& name : kept()) {
    if (name != file) another = read_file(e.cache + "/" + name);
  }
  for (const std::string& bad : {original.substr(0, original.size() - 4), std::string("text"),
                                 std::string(), flipped, another}) {
    write_file(e.cache + "/" + file, bad);
    const outcome o = call(e.embedded({"--atoms", "2"}));
    INFO(o.err);
    CHECK(o.exit_code == 0);
    CHECK(o.complaints().size() == 1);
    CHECK_THAT(o.err, Catch::Contains("cache: computed again") && Catch::Contains(file));
    CHECK(read_file(e.cache + "/" + file) == original);
    CHECK(contents(e.dir) == fresh);
  }
  // A cache that cannot be read or written costs time only.
  std::filesystem::remove(e.cache + "/" + file);
  std::filesystem::create_directory(e.cache + "/" + file);
  const outcome o = call(e.embedded({"--atoms", "2"}));
  CHECK(o.exit_code == 0);
  CHECK_THAT(o.err, Catch::Contains("computed again") && Catch::Contains("not kept"));
  CHECK(contents(e.dir) == fresh);
}

TEST_CASE("without --cache embeddings are kept where the user's caches are") {
  const example e;
  write_numbered_tokenizer(e.folder / "tokenizer.json", 1000);
  write_file(e.list, "<t1>\n<t2>\n");
  const std::vector<std::string> words =
      e.describe({"--words", e.list, "--vocab", (e.folder / "tokenizer.json").string()});
  run(words);
  CHECK(names_in(e.folder / "user's cache/solens").size() == 1);
  write_file(e.folder / "file", "");
  setenv("XDG_CACHE_HOME", (e.folder / "file").c_str(), 1);  // no folder can be there
  run(words);
}

TEST_CASE("describe refuses what does not fit, in one line, and leaves the run as it is") {
  const example e;
  const auto before = contents(e.dir);
  const auto refused = [&](const std::vector<std::string>& words,
                           const std::vector<std::string>& parts) {
    check_error(call(words), parts);
    CHECK(contents(e.dir) == before);
  };
  const std::string other_list = (e.folder / "other.txt").string();
  const auto with_list = [&](const std::string& content) {
    write_file(other_list, content);
    return e.describe({"--words", other_list, "--word-embeddings", e.embeddings});
  };
  refused(with_list("one\ntwo\none\n"), {"[3, 32]", "[200, 32]", other_list, e.embeddings});
  refused(with_list(""), {"other.txt", "no words"});
  refused(with_list(" \r\n\t\n"), {"other.txt", "no words"});
  refused(with_list("the\nna\xEFve\n"), {"other.txt", "line 2", "UTF-8"});
  write_file(e.folder / "table.txt", "#version: 0.2\na b\n");
  write_file(other_list, "one\n\ntwo\n\x01\x02\n");
  refused(e.describe({"--words", other_list, "--vocab", (e.folder / "table.txt").string()}),
          {"other.txt, line 4", "maps to nothing"});
  refused(e.describe({"--words", "/no/such/list", "--word-embeddings", e.embeddings}),
          {"/no/such/list"});
  refused(e.describe({"--words", e.list, "--word-embeddings", "/no/such.npy"}), {"/no/such.npy"});
  refused(e.describe({"--words", e.list, "--word-embeddings", e.list}), {e.list, "NUMPY"});

  auto rows = npy_file(e.embeddings).tensor<float>();
  const auto with_rows = [&](host_view<const float> values) {
    write_npy(e.folder / "other.npy", values);
    return e.describe({"--words", e.list, "--word-embeddings", (e.folder / "other.npy").string()});
  };
  refused(with_rows(std::as_const(rows).view().slice(1, 0, 31)), {"[200, 32]", "[200, 31]"});
  rows(7, 3) = std::nanf("");
  refused(with_rows(std::as_const(rows).view()), {"finite", "word 7", "other.npy"});

  write_numbered_tokenizer(e.folder / "tokenizer.json", 1000);
  write_file(e.folder / "file", "");
  refused(e.describe({"--words", e.list, "--vocab", (e.folder / "tokenizer.json").string(),
                      "--cache", (e.folder / "file").string()}),
          {"cache", (e.folder / "file").string()});
  if (!std::filesystem::exists("/dev/nvidiactl")) {
    refused(e.given({"--backend", "cuda"}), {"--backend", "cuda"});
  }

  check_usage(call(e.given({"--template", "a {}"})), {"--template", "--word-embeddings"});
  check_usage(call(e.describe({"--words", e.list, "--template", "no place"})), {"one {}"});
  check_usage(call(e.given({"--atoms", "0"})), {"--atoms"});
  check_usage(call(e.given({"--atoms", "4,x"})), {"--atoms"});
  check_usage(call(e.given({"--dictionary", "other"})), {"--dictionary"});
  check_usage(call(e.describe({"--word-embeddings", e.embeddings})), {"--words"});
  check_usage(call({"describe", "--words", e.list}), {"--run"});
  check_usage(call(joined(example::analysis("x"), {"--atoms", "3"})), {"--atoms", "--words"});
}

TEST_CASE("describe refuses a folder without a run, and a run of another model") {
  const example e;
  const auto in_place_of = [](std::vector<std::string> words, const std::string& folder) {
    words[2] = folder;
    return words;
  };
  check_error(call(in_place_of(e.given(), e.folder.path().string())), {"run.json", "none"});
  check_error(call(in_place_of(e.given(), "/no/such/run")), {"/no/such/run"});
  const auto before = contents(e.dir);
  const std::string other = data("tiny-b.model.safetensors").string();
  check_error(call(e.given({"--model", other})), {"tiny-b", "SHA-256", e.dir});
  CHECK(contents(e.dir) == before);

  // A model that has changed since; one that is gone is not missed where nothing has to be
  // embedded.
  const std::string moved = (e.folder / "moved.model.safetensors").string();
  std::filesystem::copy(model, moved);
  auto analysis = example::analysis((e.folder / "moved").string());
  analysis[2] = moved;
  run(joined(analysis, {"--config", data("tiny-a.config.json").string()}));
  std::string weights = read_file(moved);
  weights.back() = static_cast<char>(weights.back() ^ 1);
  write_file(moved, weights);
  check_error(call(in_place_of(e.given(), (e.folder / "moved").string())), {moved, "SHA-256"});
  std::filesystem::remove(moved);
  check_error(call(in_place_of(e.embedded(), (e.folder / "moved").string())), {moved});
  run(in_place_of(e.given(), (e.folder / "moved").string()));

  const std::string record = read_file(std::filesystem::path(e.dir) / "run.json");
  for (const std::string& bad : {std::string("{"), std::string("[]"), std::string("{}"),
                                 std::string(R"({"format": 1, "options": {"layers": [1]}})")}) {
    write_file(std::filesystem::path(e.dir) / "run.json", bad);
    check_error(call(e.given()), {"run.json"});
  }
  write_file(std::filesystem::path(e.dir) / "run.json", R"({"format": 99})");
  check_error(call(e.given()), {"run.json", "99"});
  write_file(std::filesystem::path(e.dir) / "run.json", record);
  std::filesystem::remove(std::filesystem::path(e.dir) / "layer-1.safetensors");
  check_error(call(e.given()), {"layer-1.safetensors"});
}

TEST_CASE("a call that is killed leaves the old words or the new ones") {
  const example e;
  run(e.given({"--atoms", "4"}));
  const auto first = contents(e.dir);
  const auto start = std::chrono::steady_clock::now();
  const std::vector<std::string> change = e.given({"--atoms", "30"});
  run(change);
  const auto whole = std::chrono::steady_clock::now() - start;
  const auto second = contents(e.dir);
  const auto nothing = e.describe({"--words", "/no/such/list", "--word-embeddings", e.embeddings});
  std::mt19937 generator(3);
  for (int i = 0; i < 12; ++i) {
    run(e.given({"--atoms", "4"}));
    const running_program program(change);
    std::this_thread::sleep_for(whole * std::uniform_real_distribution<>(0.2, 1.1)(generator));
    program.send(SIGKILL);
    program.wait();
    check_error(call(nothing), {"/no/such/list"});  // opens the run, that is all
    const auto found = contents(e.dir);
    CHECK((found == first || found == second));
  }

  // Broken off between two files: the next call goes on.
  run(e.given({"--atoms", "4"}));
  const std::filesystem::path folder(e.dir);
  std::filesystem::create_directory(folder / ".next");
  write_file(folder / "words.txt", second.at("words.txt"));
  write_file(folder / "descriptions.jsonl", second.at("descriptions.jsonl"));
  for (const char* name : {"layer-1.safetensors", "dictionary.safetensors"}) {
    write_file(folder / ".next" / name, second.at(name));
  }
  check_error(call(nothing), {"/no/such/list"});
  CHECK(contents(e.dir) == second);
}

TEST_CASE("an analysis goes on with the words that it began with") {
  const example e;
  const auto images =
      safetensors_file(data("tiny-a.stages.safetensors")).tensor<float>("train_images");
  // One bad pixel stops it, with its state on disk.
  auto bad = images.clone();
  bad(40, 1, 3, 4) = std::nanf("");
  const std::string pixels = (e.folder / "p.safetensors").string();
  write_safetensors(pixels, {{"images", std::as_const(bad).view()}});
  const auto analysis = [&](const std::vector<std::string>& with) {
    return joined({"analyze", "--model", model, "--pixels", pixels, "--top", "5", "--batch", "8",
                   "--quiet", "--out", (e.folder / "new").string(), "--words", e.list,
                   "--word-embeddings", e.embeddings},
                  with);
  };
  check_error(call(analysis({"--atoms", "5"})), {"images[40]"});
  write_safetensors(pixels, {{"images", images.view()}});
  check_error(call(analysis({"--atoms", "6"})), {"unfinished", "--atoms"});
  check_error(call(analysis({"--atoms", "5", "--dictionary", "reference"})), {"--dictionary"});
  const std::string list = read_file(e.list);
  write_file(e.list, list.substr(0, list.size() - 2) + "x\n");
  check_error(call(analysis({"--atoms", "5"})), {"unfinished", "--words"});
  write_file(e.list, list);
  run(analysis({"--atoms", "5"}));
  CHECK(safetensors_file(e.folder / "new/layer-2.safetensors").info("code_atoms").extents ==
        shape{256, 5});
}
