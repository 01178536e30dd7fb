// Attention heads and neuron-head pairs through the program, against the decomposition and the
// effects that it writes itself.

#include "call.hpp"
#include "vocabulary.hpp"

#include <cmath>
#include <cstdlib>  // setenv
#include <map>

#include <nlohmann/json.hpp>

#include <solens/weights/npy.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

using namespace solens;
using namespace solens::test;
using nlohmann::json;

namespace {

using words = std::vector<std::string>;

std::vector<json> lines_in(const std::string& text) {
  std::vector<json> all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) all.push_back(json::parse(line));
  return all;
}

/// The 64 images of the stages and tiny-a, with words and their embeddings, labels and a
/// classifier. Nothing gets into the user's cache.
struct example {
  temporary_folder folder;
  safetensors_file stages{data("tiny-a.stages.safetensors")};
  std::string model = data("tiny-a.model.safetensors").string(), list = path("words.txt"),
              embeddings = path("words.npy"), dir = path("run"),
              pixels = stages.name() + ":train_images";

  example() {
    setenv("XDG_CACHE_HOME", path("cache").c_str(), 1);
    std::string text;
    for (int w = 0; w < 200; ++w) text += "word " + std::to_string(w) + "\n";
    write_file(list, text);
    write_npy(embeddings, stages.view<float>("words_raw"));
    write_npy(path("classifier.npy"), stages.view<float>("classifier"));
    host_tensor<index_t> labels({64});
    for (index_t i = 0; i < 64; ++i) labels(i) = i % 10;
    write_npy(path("labels.npy"), std::as_const(labels).view());
  }
  ~example() { unsetenv("XDG_CACHE_HOME"); }

  std::string path(const std::string& name) const { return (folder / name).string(); }
  words given() const { return {"--words", list, "--word-embeddings", embeddings}; }
  words from_model(const words& rest) const {
    return joined({"heads", "--model", model, "--pixels", pixels, "--quiet"}, rest);
  }
  void analyze(const words& rest = {}) const {
    run(joined({"analyze", "--model", model, "--pixels", pixels, "--top", "8", "--layers", "0-2",
                "--out", dir, "--quiet"},
               rest));
  }
  words remove(const std::string& heads, const words& rest = {}) const {
    return joined({"heads", "--model", model, "--pixels", pixels, "--remove", heads, "--label-ids",
                   path("labels.npy"), "--classifier", path("classifier.npy")},
                  rest);
  }
};

/// What heads contribute, from what `decompose` writes: [images, layers, heads, d_joint].
host_tensor<double> contributions(const example& e) {
  run({"decompose", "--model", e.model, "--pixels", e.pixels, "--out", e.path("parts.safetensors"),
       "--quiet"});
  const auto parts = safetensors_file(e.folder / "parts.safetensors").tensor<float>("attention");
  const shape x = parts.extents();  // images, layers, tokens, heads, d_joint
  host_tensor<double> sum({x[0], x[1], x[3], x[4]}, 0.0);
  for (index_t i = 0; i < x[0]; ++i) {
    for (index_t l = 0; l < x[1]; ++l) {
      for (index_t t = 0; t < x[2]; ++t) {
        for (index_t h = 0; h < x[3]; ++h) {
          for (index_t j = 0; j < x[4]; ++j) sum(i, l, h, j) += double{parts(i, l, t, h, j)};
        }
      }
    }
  }
  return sum;
}

double variance_of(const host_tensor<double>& all, index_t layer, index_t head) {
  double variance = 0;
  const auto n = static_cast<double>(all.extent(0));
  for (index_t j = 0; j < all.extent(3); ++j) {
    double mean = 0;
    for (index_t i = 0; i < all.extent(0); ++i) mean += all(i, layer, head, j) / n;
    for (index_t i = 0; i < all.extent(0); ++i) {
      variance += std::pow(all(i, layer, head, j) - mean, 2) / n;
    }
  }
  return variance;
}

}  // namespace

TEST_CASE("heads says every head in words, the same for any batch") {
  const example e;
  const auto lines = lines_in(run(e.from_model(joined(e.given(), {"--texts", "5"}))).out);
  const auto all = contributions(e);
  REQUIRE(lines.size() == 16);
  for (std::size_t k = 0; k < lines.size(); ++k) {
    const json& line = lines[k];
    const auto row = static_cast<index_t>(k);
    CHECK(line.at("layer") == row / 4);
    CHECK(line.at("head") == row % 4);
    CHECK(line.at("variance").get<double>() ==
          Approx(variance_of(all, row / 4, row % 4)).epsilon(1e-4));
    REQUIRE(line.at("texts").size() == 5);
    double sum = 0;
    for (const json& text : line.at("texts")) {
      CHECK(text.at("text").get<std::string>().starts_with("word "));
      CHECK(text.at("share").get<double>() > 0);
      sum += text.at("share").get<double>();
    }
    CHECK(sum < 1);
  }
  run(e.from_model(joined(e.given(), {"--texts", "5", "--batch", "7", "--threads", "1", "--layers",
                                      "3,1", "--out", e.path("two.jsonl")})));
  const auto two = lines_in(read_file(e.folder / "two.jsonl"));
  REQUIRE(two.size() == 8);
  for (std::size_t k = 0; k < two.size(); ++k) {
    const json &a = two[k], &b = lines[k < 4 ? 4 + k : 8 + k];
    CHECK(a.at("layer") == b.at("layer"));
    CHECK(a.at("variance").get<double>() == Approx(b.at("variance").get<double>()).epsilon(1e-5));
    for (std::size_t i = 0; i < 5; ++i) {
      CHECK(a.at("texts")[i].at("text") == b.at("texts")[i].at("text"));
    }
  }
}

TEST_CASE("heads of a run take its images and words, and stay until another analysis") {
  const example e;
  e.analyze(e.given());
  const auto before = names_in(e.dir);
  const outcome o = run({"heads", "--run", e.dir, "--texts", "3"});
  CHECK(o.out.empty());
  CHECK_THAT(o.err, Catch::Contains("3.3  variance") && Catch::Contains("word "));
  const std::string lines = read_file(e.folder / "run" / "heads.jsonl");
  CHECK(lines == run(e.from_model(joined(e.given(), {"--texts", "3"}))).out);
  const json record = json::parse(read_file(e.folder / "run" / "run.json"));
  CHECK(record.at("heads").at("layers").size() == 4);
  CHECK(record.at("heads").at("images").at("count") == 64);
  CHECK(names_in(e.dir).size() == before.size() + 1);

  run(joined({"describe", "--run", e.dir, "--quiet", "--atoms", "4"}, e.given()));
  CHECK(read_file(e.folder / "run" / "heads.jsonl") == lines);
  e.analyze(e.given());
  CHECK(names_in(e.dir) == before);
}

TEST_CASE("words of a run from the text tower are embedded again") {
  const example e;
  write_numbered_tokenizer(e.folder / "tokenizer.json", 1000);
  std::string text;
  for (int w = 7; w < 40; ++w) text += "<t" + std::to_string(w) + ">\n";
  write_file(e.list, text);
  const words named{"--words",    e.list,   "--vocab", e.path("tokenizer.json"),
                    "--template", "<t3> {}"};
  e.analyze(named);
  const words vocab{"--vocab", e.path("tokenizer.json"), "--quiet"};
  run(joined({"heads", "--run", e.dir}, vocab));
  CHECK(read_file(e.folder / "run" / "heads.jsonl") == run(e.from_model(named)).out);
}

TEST_CASE("removed heads leave their mean, and random ones are a control") {
  const example e;
  const auto all = contributions(e);
  run({"encode", "--model", e.model, "--pixels", e.pixels, "--normalize", "--out", e.path("r.npy"),
       "--quiet"});
  const auto representation = npy_file(e.folder / "r.npy").tensor<float>();
  const auto classifier = e.stages.tensor<float>("classifier");
  const std::vector<std::pair<index_t, index_t>> removed{{2, 1}, {3, 0}, {3, 3}};
  int hits = 0, baseline = 0;
  for (index_t i = 0; i < 64; ++i) {
    std::vector<double> logits(10, 0.0), whole(10, 0.0);
    for (index_t j = 0; j < 32; ++j) {
      double x = 100 * double{representation(i, j)};
      for (index_t c = 0; c < 10; ++c) {
        whole[static_cast<std::size_t>(c)] += x * double{classifier(j, c)};
      }
      for (const auto& [l, h] : removed) {
        for (index_t k = 0; k < 64; ++k) x += all(k, l, h, j) / 64;
        x -= all(i, l, h, j);
      }
      for (index_t c = 0; c < 10; ++c) {
        logits[static_cast<std::size_t>(c)] += x * double{classifier(j, c)};
      }
    }
    const auto best = [](const std::vector<double>& of) {
      return std::max_element(of.begin(), of.end()) - of.begin();
    };
    hits += best(logits) == i % 10;
    baseline += best(whole) == i % 10;
  }
  const outcome o = run(e.remove("3.3,2.1,3.0,3.3", {"--batch", "9"}));
  CHECK_THAT(o.err, Catch::Contains("without_heads"));
  const json report = json::parse(o.out);
  CHECK(report.at("images").at("count") == 64);
  REQUIRE(report.at("rows").size() == 3);
  const json &base = report.at("rows")[0], &left = report.at("rows")[1],
             &random = report.at("rows")[2];
  CHECK(base.at("row") == "baseline");
  CHECK(base.at("top_1").at("hits") == baseline);
  CHECK(left.at("row") == "without_heads");
  CHECK(left.at("heads") == json{"2.1", "3.0", "3.3"});
  CHECK(left.at("top_1").at("hits") == hits);
  CHECK(random.at("row") == "without_random_heads");
  CHECK(random.at("heads").size() == 3);
  for (const json& name : random.at("heads")) {
    CHECK(left.at("heads").dump().find(name.get<std::string>()) == std::string::npos);
    CHECK(name.get<std::string>() >= "2.0");
  }
  const auto heads_of = [&](const words& with) {
    run(e.remove("2.1", joined(with, {"--quiet", "--out", e.path("r.json")})));
    return json::parse(read_file(e.folder / "r.json")).at("rows")[2].at("heads");
  };
  CHECK(heads_of({"--seed", "1"}) == heads_of({"--seed", "1"}));

  // Where all are removed, none are left to draw.
  std::string every;
  for (int h = 0; h < 16; ++h) every += std::to_string(h / 4) + "." + std::to_string(h % 4) + ",";
  CHECK(json::parse(run(e.remove(every)).out).at("rows").size() == 2);
}

TEST_CASE("pairs split the neurons' effects by later head") {
  const example e;
  e.analyze(joined(e.given(), {"--atoms", "6"}));
  const outcome o = run({"pairs", "--run", e.dir, "--heads", "5"});
  CHECK(o.out.empty());
  CHECK_THAT(o.err, Catch::Contains("layer 2") && Catch::Contains("polysemy"));
  const words kept = names_in(e.dir);
  CHECK(std::count(kept.begin(), kept.end(), "pairs.jsonl") == 1);
  const json record = json::parse(read_file(e.folder / "run" / "run.json"));
  REQUIRE(record.at("pairs").at("layers").size() == 3);

  const index_t layer = 1, n_later = 8;
  run({"effects", "--model", e.model, "--pixels", e.pixels, "--layer", "1", "--per-head", "--out",
       e.path("effects.npy"), "--quiet"});
  const auto effects = npy_file(e.folder / "effects.npy").tensor<float>();  // [64, 8, 256, 32]
  const safetensors_file found(e.folder / "run" / "layer-1.safetensors"),
      pairs(e.folder / "run" / "layer-1.pairs.safetensors");
  const auto top = found.tensor<index_t>("top_images"), block = pairs.tensor<index_t>("layer"),
             head = pairs.tensor<index_t>("head");
  const auto norm = pairs.tensor<float>("norm"), share = pairs.tensor<float>("share"),
             direction = pairs.tensor<float>("direction"),
             polysemy = pairs.tensor<float>("polysemy"), own = found.tensor<float>("polysemy");
  CHECK(norm.extents() == shape{256, 5});
  CHECK(pairs.info("code_atoms").extents == shape{256, 5, 6});
  const auto lines = lines_in(read_file(e.folder / "run" / "pairs.jsonl"));
  REQUIRE(lines.size() == 3 * 256);
  for (const index_t n : {0, 17, 255}) {
    CAPTURE(n);
    std::vector<double> squares;
    for (index_t k = 0; k < n_later; ++k) {
      double sum = 0;
      for (index_t j = 0; j < 32; ++j) {
        double mean = 0;
        for (index_t i = 0; i < 64; ++i) mean += double{effects(i, k, n, j)} / 64;
        for (index_t i = 0; i < 8; ++i) {
          sum += std::pow(double{effects(top(n, i), k, n, j)} - mean, 2) / 8;
        }
      }
      squares.push_back(sum);
    }
    double total = 0;
    for (const double x : squares) total += x;
    const json& line = lines[static_cast<std::size_t>(layer * 256 + n)];
    CHECK(line.at("layer") == layer);
    CHECK(line.at("neuron") == n);
    CHECK(line.at("polysemy").get<double>() == Approx(double{own(n)}));
    REQUIRE(line.at("pairs").size() == 5);
    for (index_t i = 0; i < 5; ++i) {
      const json& pair = line.at("pairs")[static_cast<std::size_t>(i)];
      const auto k = static_cast<std::size_t>((block(n, i) - layer - 1) * 4 + head(n, i));
      const double of = squares.at(k);
      CHECK(double{norm(n, i)} == Approx(std::sqrt(of)).epsilon(1e-4));
      CHECK(double{share(n, i)} == Approx(of / total).epsilon(1e-4));
      if (i > 0) CHECK(norm(n, i) <= norm(n, i - 1));
      double length = 0, along = 0, whole = 0;
      for (index_t j = 0; j < 32; ++j) {
        const double d = double{direction(n, i, j)},
                     x = double{effects(3, static_cast<index_t>(k), n, j)};
        length += d * d;
        along += d * x;
        whole += x * x;
      }
      CHECK(length == Approx(1).epsilon(1e-5));
      CHECK(along * along == Approx(whole).epsilon(1e-4));  // every effect lies on that line
      CHECK(pair.at("layer") == block(n, i));
      CHECK(pair.at("head") == head(n, i));
      CHECK(pair.at("polysemy").get<double>() == Approx(double{polysemy(n, i)}));
      CHECK(pair.at("words").size() <= 6);
      CHECK(pair.at("words")[0].at("word").get<std::string>().starts_with("word "));
    }
  }
  // Layer 2 has but 4 later heads.
  CHECK(safetensors_file(e.folder / "run" / "layer-2.pairs.safetensors").info("norm").extents ==
        shape{256, 4});

  // Other words make the pairs' words old; the findings stay.
  run(joined({"describe", "--run", e.dir, "--quiet", "--atoms", "4"}, e.given()));
  const words after = names_in(e.dir);
  CHECK(std::count(after.begin(), after.end(), "pairs.jsonl") == 0);
  CHECK(std::count(after.begin(), after.end(), "layer-1.pairs.safetensors") == 0);
  CHECK(std::count(after.begin(), after.end(), "layer-1.safetensors") == 1);
}

TEST_CASE("heads and pairs refuse what does not fit, and leave nothing behind") {
  const example e;
  e.analyze();
  const auto before = names_in(e.folder.path()), of_run = names_in(e.dir);
  const auto refused = [&](words call_words, const words& parts) {
    check_error(call(joined(std::move(call_words), {"--quiet"})), parts);
  };
  const words out{"--out", e.path("out.jsonl")};
  refused({"heads", "--run", e.dir}, {"--words", "describe", e.dir});
  refused({"pairs", "--run", e.dir}, {"a run with words", e.dir});
  refused({"heads", "--run", e.path("nowhere")}, {"nowhere"});
  refused({"pairs", "--run", e.path("nowhere")}, {"nowhere"});
  const words from_model{"heads", "--model", e.model, "--pixels", e.pixels};
  refused(joined(joined(from_model, e.given()), joined(out, {"--layers", "2,4"})),
          {"--layers", "0 to 3", "4"});
  refused(e.remove("3.0,4.0", out), {"--remove", "0.0 to 3.3", "4.0"});
  refused(e.remove("3.4", out), {"--remove", "3.4"});
  auto narrow = e.remove("3.0", out);
  const host_tensor<index_t> few({63}, 0);
  write_npy(e.folder / "labels.npy", few.view());
  refused(narrow, {"labels.npy", "64 labels", "63"});
  refused(joined(joined(from_model, e.given()), {"--out", e.path("no/folder.jsonl")}),
          {"folder.jsonl"});
  CHECK(names_in(e.folder.path()) == before);
  CHECK(names_in(e.dir) == of_run);

  check_usage(call(from_model), {"--words"});
  check_usage(call({"heads", "--words", e.list}), {"--run", "--model"});
  check_usage(call({"heads", "--model", e.model, "--words", e.list}), {"--images", "--pixels"});
  check_usage(call(e.remove("3")), {"--remove", "layer.head"});
  check_usage(call(e.remove("3.x")), {"--remove"});
  check_usage(call(e.remove("3.0", {"--words", e.list})), {"--words", "--remove"});
  check_usage(call(joined(from_model, {"--remove", "3.0", "--label-ids", "l.npy"})),
              {"--classifier"});
  check_usage(call(joined(from_model, {"--remove", "3.0", "--classifier", "c.npy"})),
              {"--label-ids"});
  check_usage(call(joined(joined(from_model, e.given()), {"--texts", "0"})), {"--texts"});
  check_usage(call({"pairs"}), {"--run"});
  check_usage(call({"pairs", "--run", e.dir, "--heads", "0"}), {"--heads"});
}
