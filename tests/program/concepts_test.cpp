// Concepts of images through the program: JSON against effects in double, search, bad input.

#include "call.hpp"
#include "vocabulary.hpp"

#include <cfloat>  // FLT_EPSILON
#include <cmath>
#include <map>

#include <solens/image/decode.hpp>
#include <solens/image/encode_png.hpp>
#include <solens/weights/npy.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

using namespace solens;
using namespace solens::test;
using nlohmann::json;

namespace {

using words = std::vector<std::string>;

/// An analysis of two layers of tiny-a over the 64 images of the stages. With its `--top`, no image
/// comes so near a threshold that rounding could tell on which side it is.
struct example {
  temporary_folder folder;
  safetensors_file stages{data("tiny-a.stages.safetensors")};
  std::string dir = path("run"), model = data("tiny-a.model.safetensors").string();

  explicit example(bool with_words = true) {
    words analysis{"analyze", "--model", model,      "--pixels", stages.name() + ":train_images",
                   "--top",   "15",      "--layers", "1,2",      "--out",
                   dir,       "--quiet"};
    if (with_words) {
      std::string list;
      for (int w = 0; w < 200; ++w) list += "word " + std::to_string(w) + "\n";
      write_file(folder / "words.txt", list);
      write_npy(folder / "words.npy", stages.view<float>("words_raw"));
      analysis = joined(analysis, {"--words", path("words.txt"), "--word-embeddings",
                                   path("words.npy"), "--atoms", "6"});
    }
    run(analysis);
  }

  std::string path(const std::string& name) const { return (folder / name).string(); }
  words concepts(const words& rest) const { return joined({"concepts", "--run", dir}, rest); }
  words val(const words& rest = {}) const {
    return joined(concepts({"--pixels", stages.name() + ":val_images"}), rest);
  }
};

/// By image: scores of words, and of (layer, neuron) for each, from effects in memory.
struct expected_concepts {
  std::vector<std::map<std::string, double>> score{16};
  std::vector<std::map<std::string, std::map<std::pair<index_t, index_t>, double>>> parts{16};
  std::vector<int> n_significant = std::vector<int>(16, 0);

  explicit expected_concepts(const example& e, const std::vector<index_t>& layers) {
    for (const index_t layer : layers) {
      const std::string file = e.path("effects-" + std::to_string(layer) + ".npy");
      run({"effects", "--model", e.model, "--pixels", e.stages.name() + ":val_images", "--layer",
           std::to_string(layer), "--out", file, "--quiet"});
      const auto effects = npy_file(file).tensor<float>();
      const safetensors_file found(e.folder.path() / "run" /
                                   ("layer-" + std::to_string(layer) + ".safetensors"));
      const auto mean = found.view<float>("mean_effect"),
                 threshold = found.view<float>("threshold"),
                 weights = found.view<float>("code_weights");
      const auto atoms = found.view<index_t>("code_atoms");
      for (index_t i = 0; i < 16; ++i) {
        for (index_t n = 0; n < effects.extent(1); ++n) {
          double square = 0, of_mean = 0;
          for (index_t j = 0; j < effects.extent(2); ++j) {
            square += std::pow(double{effects(i, n, j)} - double{mean(n, j)}, 2);
            of_mean += std::pow(double{mean(n, j)}, 2);
          }
          // The image that defined the threshold lies on it, but for rounding.
          const double limit = threshold(n), rounding = 64 * double{FLT_EPSILON};
          if (std::sqrt(square) <= limit + rounding * (limit + std::sqrt(of_mean))) continue;
          add(static_cast<std::size_t>(i), layer, n, std::sqrt(square), atoms[n], weights[n]);
        }
      }
    }
  }

 private:
  void add(std::size_t image, index_t layer, index_t neuron, double norm,
           host_view<const index_t> atoms, host_view<const float> weights) {
    ++n_significant[image];
    for (index_t a = 0; a < atoms.size(); ++a) {
      if (atoms(a) < 0) continue;
      const std::string word = "word " + std::to_string(atoms(a));
      const double part = double{weights(a)} * norm;
      score[image][word] += part;
      parts[image][word][{layer, neuron}] = part;
    }
  }
};

}  // namespace

TEST_CASE("concepts are what effects in memory say of every image") {
  const example e;
  const outcome o = run(e.val({"--top-words", "1000", "--top-neurons", "1000", "--batch", "5"}));
  const auto report = json::parse(o.out);
  CHECK(report.at("layers") == json({1, 2}));
  CHECK(report.at("images").at("count") == 16);
  CHECK(report.at("model").at("sha256").get<std::string>().size() == 64);
  CHECK_THAT(o.err, Catch::Contains("significant neurons"));
  const expected_concepts expected(e, {1, 2});
  for (std::size_t i = 0; i < 16; ++i) {
    const auto& image = report.at("concepts").at(i);
    CHECK(image.at("significant") == expected.n_significant[i]);
    double largest = 0, last = 1e30;
    for (const auto& [word, score] : expected.score[i])
      largest = std::max(largest, std::abs(score));
    REQUIRE(image.at("words").size() == expected.score[i].size());
    for (const auto& w : image.at("words")) {
      const double score = w.at("score");
      CHECK(score <= last);
      last = score;
      CHECK(std::abs(score - expected.score[i].at(w.at("word"))) <= 1e-5 * largest);
      const auto& parts = expected.parts[i].at(w.at("word"));
      CHECK(w.at("said_by") == parts.size());
      REQUIRE(w.at("neurons").size() == parts.size());
      for (const auto& n : w.at("neurons")) {
        CHECK(std::abs(n.at("score").get<double>() - parts.at({n.at("layer"), n.at("neuron")})) <=
              1e-5 * largest);
      }
    }
  }
}

TEST_CASE("concepts do not depend on passes, and keep as many words and neurons as asked for") {
  const example e;
  const auto all = json::parse(run(e.val({"--top-words", "1000"})).out);
  const auto in_two = json::parse(run(e.val({"--top-words", "1000", "--memory", "1KB"})).out);
  const auto few = json::parse(
      run(e.val({"--top-words", "3", "--top-neurons", "2", "--layers", "2", "--quiet"})).out);
  CHECK(few.at("layers") == json({2}));
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(in_two.at("concepts").at(i) == all.at("concepts").at(i));
    CHECK(few.at("concepts").at(i).at("words").size() == 3);
    CHECK(few.at("concepts").at(i).at("words").at(0).at("neurons").size() <= 2);
  }
}

TEST_CASE("images are found by a word, at once or from the JSON of an earlier call") {
  const example e;
  run(e.val({"--top-words", "5", "--out", e.path("index.json"), "--quiet"}));
  const auto index = json::parse(read_file(e.path("index.json")));
  const std::string word = index.at("concepts").at(3).at("words").at(1).at("word");
  std::map<std::string, float> expected;
  for (const auto& image : index.at("concepts")) {
    for (const auto& w : image.at("words")) {
      if (w.at("word") == word) expected[image.at("image")] = w.at("score");
    }
  }
  const outcome o = run(e.val({"--top-words", "5", "--find", word}));
  CHECK_THAT(o.err, Catch::Contains("'" + word + "'"));
  const auto found = json::parse(o.out);
  CHECK(found.at("of") == 16);
  REQUIRE(found.at("found").size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto& hit = found.at("found").at(i);
    CHECK(hit.at("score").get<float>() == expected.at(hit.at("image")));
    if (i > 0) CHECK(hit.at("score") <= found.at("found").at(i - 1).at("score"));
  }
  CHECK(json::parse(
            run({"concepts", "--index", e.path("index.json"), "--find", word, "--quiet"}).out) ==
        found);
}

TEST_CASE("a sheet shows the images found, the first at the top left") {
  temporary_folder folder;
  const auto path = [&](const std::string& name) { return (folder / name).string(); };
  const auto grey = [](int i) { return static_cast<std::uint8_t>(10 * i + 5); };
  json index{{"concepts", json::array()}};
  for (int i = 0; i < 20; ++i) {  // the last ones have the highest scores
    const std::string image = path("image-" + std::to_string(i) + ".png");
    rgb_image one(30, i == 19 ? 60 : 30);
    std::fill_n(one.row(0), one.view().size(), grey(i));
    if (i != 17) write_png(image, one.view());  // gone since
    index["concepts"].push_back(
        {{"image", image}, {"words", {{{"word", i == 3 ? "rare" : "common"}, {"score", i}}}}});
  }
  write_file(folder / "index.json", index.dump());
  const auto sheet = [&](const std::string& word) {
    run({"concepts", "--index", path("index.json"), "--find", word, "--sheet", path("sheet.png"),
         "--quiet"});
    return read_image(folder / "sheet.png");
  };
  const auto middle = [](const rgb_image& of, int row, int column) {
    return static_cast<int>(of.row(100 * row + 48)[3 * (100 * column + 48)]);
  };
  const rgb_image many = sheet("common");  // two rows of eight, though there are nineteen
  CHECK(many.height() == 196);
  CHECK(many.width() == 796);
  CHECK(middle(many, 0, 0) == grey(19));
  CHECK(middle(many, 0, 1) == grey(18));
  CHECK(middle(many, 0, 2) == 255);
  CHECK(middle(many, 1, 7) == grey(4));
  CHECK(static_cast<int>(many.row(4)[3 * 48]) == 255);  // a wide image leaves room above
  CHECK(static_cast<int>(many.row(4)[3 * 148]) == grey(18));
  const rgb_image single = sheet("rare");
  CHECK(single.height() == 96);
  CHECK(single.width() == 96);
  CHECK(middle(single, 0, 0) == grey(3));

  const words call_words{"concepts", "--index", path("index.json"), "--quiet", "--find", "rare"};
  check_error(call(joined(call_words, {"--sheet", path("none/sheet.png")})), {"none/sheet.png"});
  check_usage(call({"concepts", "--index", path("index.json"), "--sheet", path("sheet.png")}),
              {"--sheet", "--find"});
  std::filesystem::remove(folder / "sheet.png");
  std::filesystem::remove(folder / "image-3.png");
  check_error(call(joined(call_words, {"--sheet", path("sheet.png")})), {"image-3.png", "none"});
  CHECK(!std::filesystem::exists(folder / "sheet.png"));
}

TEST_CASE("one image by its file, which has to be one") {
  const example e;
  const std::string photo = data("images/10_rgb_large_211x149.png").string();
  const auto report = json::parse(run(e.concepts({"--image", photo, "--quiet"})).out);
  CHECK(report.at("concepts").size() == 1);
  CHECK(report.at("concepts").at(0).at("image") == photo);
  write_file(e.folder / "broken.png", "no image");
  check_error(call(e.concepts({"--image", e.path("broken.png"), "--quiet"})), {"broken.png"});
  check_error(call(e.concepts({"--image", e.path("none.png"), "--quiet"})), {"none.png"});
}

TEST_CASE("what concepts cannot do, it says") {
  const example e;
  check_error(call(e.val({"--layers", "0", "--quiet"})), {"--layers", "1, 2", "got 0"});
  check_error(call(e.val({"--find", "wrod", "--quiet"})), {"--find", "'wrod'", "words.txt"});
  write_file(e.folder / "other.json", "{\"concepts\": [1]}");
  check_error(call({"concepts", "--index", e.path("other.json"), "--find", "word 1"}),
              {"other.json"});
  check_error(call({"concepts", "--index", e.path("none.json"), "--find", "word 1"}),
              {"none.json"});
  check_usage(call({"concepts", "--index", e.path("index.json")}), {"--find"});
  check_usage(call({"concepts", "--pixels", "p.npy"}), {"--run"});
  check_usage(call(e.concepts({})), {"--image"});
  check_usage(call(e.val({"--top-words", "0"})), {"--top-words"});

  const example wordless(false);
  check_error(call(wordless.val({"--quiet"})), {wordless.dir, "words", "describe"});
}
