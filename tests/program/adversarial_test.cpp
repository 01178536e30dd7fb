// Adversarial words through the program: JSON against plain sums in double, commands, bad input.

#include "call.hpp"
#include "vocabulary.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include <solens/weights/npy.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

using namespace solens;
using namespace solens::test;
using nlohmann::json;

namespace {

using words = std::vector<std::string>;
using vectors = host_tensor<float>;

double dot(const vectors& a, index_t i, const vectors& b, index_t j) {
  double sum = 0;
  for (index_t k = 0; k < a.extent(1); ++k) sum += double{a(i, k)} * double{b(j, k)};
  return sum;
}

/// An analysis of two layers of tiny-a, with words that a made-up tokenizer knows.
struct example {
  temporary_folder folder;
  safetensors_file stages{data("tiny-a.stages.safetensors")};
  std::string dir = path("run"), model = data("tiny-a.model.safetensors").string(),
              vocab = path("tokenizer.json");
  words list;

  example() {
    write_numbered_tokenizer(vocab, 1000);
    std::string lines;
    for (int w = 0; w < 200; ++w) {
      list.push_back("w<t" + std::to_string(3 * w + 20) + ">");
      lines += list.back() + "\n";
    }
    list[40] = "two <t7>s";  // names a class
    lines.replace(lines.find("w<t140>"), 7, list[40]);
    write_file(folder / "words.txt", lines);
    run({"analyze",         "--model", model,      "--pixels", stages.name() + ":train_images",
         "--top",           "16",      "--layers", "1,2",      "--words",
         path("words.txt"), "--vocab", vocab,      "--cache",  path("cache"),
         "--atoms",         "6",       "--out",    dir,        "--quiet"});
  }

  std::string path(const std::string& name) const { return (folder / name).string(); }

  words adversarial(const words& rest = {}) const {
    return joined(
        {"adversarial", "--run", dir, "--class-0", "<t7>", "--class-1", "<t8>", "--vocab", vocab},
        rest);
  }

  vectors encode(const words& texts) const {
    std::string lines;
    for (const std::string& t : texts) lines += t + "\n";
    write_file(folder / "texts.txt", lines);
    run({"encode", "--model", model, "--texts", path("texts.txt"), "--vocab", vocab, "--normalize",
         "--out", path("texts.npy"), "--quiet"});
    return npy_file(path("texts.npy")).tensor<float>();
  }

  safetensors_file layer(index_t l) const {
    return safetensors_file(path("run/layer-" + std::to_string(l) + ".safetensors"));
  }
};

/// Words by the plain sums of eq. 6, the best first, without those that give a class away.
class oracle {
 public:
  explicit oracle(const example& e) : e_(e) {
    const auto sentences = e.encode({"a photo of a <t7>.", "a photo of a <t8>."});
    difference = vectors({1, sentences.extent(1)});
    for (index_t j = 0; j < sentences.extent(1); ++j) {
      difference(0, j) = sentences(0, j) - sentences(1, j);
    }
    const auto names = e.encode({"<t7>", "<t8>"}), all = e.encode(e.list);
    for (index_t w = 0; w < 200; ++w) {
      cosine.push_back(std::max(dot(all, w, names, 0), dot(all, w, names, 1)));
    }
  }

  /// @param keys  one a neuron, layer by layer; empty: the pulls' magnitudes
  std::map<std::string, double> scores(std::size_t n, double near, std::vector<double> keys = {}) {
    std::vector<double> pulls;
    for (const index_t l : {1, 2}) {
      const auto directions = e_.layer(l).tensor<float>("direction");
      for (index_t i = 0; i < 256; ++i) pulls.push_back(dot(directions, i, difference, 0));
    }
    for (std::size_t i = keys.size(); i < pulls.size(); ++i) keys.push_back(std::abs(pulls[i]));
    std::vector<std::size_t> order(pulls.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return keys[a] > keys[b]; });
    std::map<std::string, double> result;
    for (std::size_t k = 0; k < n; ++k) {
      const auto file = e_.layer(order[k] < 256 ? 1 : 2);
      const auto atoms = file.tensor<index_t>("code_atoms");
      const auto weights = file.tensor<float>("code_weights");
      const auto neuron = static_cast<index_t>(order[k] % 256);
      for (index_t a = 0; a < 6; ++a) {
        if (atoms(neuron, a) < 0) continue;
        result[e_.list[static_cast<std::size_t>(atoms(neuron, a))]] +=
            double{weights(neuron, a)} * pulls[order[k]];
      }
    }
    for (std::size_t w = 0; w < 200; ++w) {
      if (cosine[w] >= near || w == 40) result.erase(e_.list[w]);
    }
    std::erase_if(result, [](const auto& r) { return r.second <= 0; });
    return result;
  }

  vectors difference;          ///< [1, E]
  std::vector<double> cosine;  ///< of each word with the nearer class

 private:
  const example& e_;
};

void check_words(const json& found, const std::map<std::string, double>& expected) {
  REQUIRE(found.size() == expected.size());
  double largest = 0;
  for (const auto& [word, score] : expected) largest = std::max(largest, score);
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (i > 0) CHECK(found[i].at("score") <= found[i - 1].at("score"));
    CHECK(std::abs(found[i].at("score").get<double>() - expected.at(found[i].at("word"))) <=
          1e-5 * largest);
  }
}

}  // namespace

TEST_CASE("adversarial words are those of eq. 6, without what gives a class away") {
  const example e;
  oracle expected(e);
  std::vector<double> sorted = expected.cosine;
  std::sort(sorted.begin(), sorted.end());
  const double near = (sorted[150] + sorted[151]) / 2;  // a quarter of the words is too near
  const auto report =
      json::parse(run(e.adversarial({"--neurons", "60", "--near", std::to_string(near),
                                     "--words-out", "200", "--quiet"}))
                      .out);
  const auto scores = expected.scores(60, near);
  CHECK(scores.size() > 20);
  check_words(report.at("words"), scores);
  CHECK(report.at("class_0") == "<t7>");
  const std::string prompt = report.at("prompt");
  CHECK_THAT(prompt, Catch::Contains("<t8>") &&
                         Catch::Contains(
                             "- " + report.at("words")[0].at("word").get<std::string>() + "\n"));
  std::size_t listed = 0;
  for (auto at = prompt.find("\n- "); at != prompt.npos; at = prompt.find("\n- ", at + 1)) ++listed;
  CHECK(listed == std::min<std::size_t>(25, scores.size()));
  CHECK_FALSE(report.contains("evaluation"));

  // Random words: all but those that give a class away, in the order of the seed.
  std::set<std::string> random;
  for (const auto& w : report.at("baselines").at("random")) random.insert(w.at("word"));
  std::size_t distant = 0;
  for (std::size_t w = 0; w < 200; ++w) distant += expected.cosine[w] < near && w != 40;
  CHECK(random.size() == distant);
  const auto other = json::parse(run(e.adversarial({"--seed", "1", "--quiet"})).out);
  CHECK(other.at("words").size() <= 50);
  CHECK(other.at("baselines").at("random") !=
        json::parse(run(e.adversarial({"--quiet"})).out).at("baselines").at("random"));
}

TEST_CASE("the baseline of indirect effects ranks neurons by mean ablation") {
  const example e;
  oracle expected(e);
  std::vector<double> keys;
  for (const char* layer : {"1", "2"}) {
    run({"effects", "--model", e.model, "--pixels", e.stages.name() + ":val_images", "--layer",
         layer, "--kind", "indirect", "--out", e.path("indirect.npy"), "--quiet"});
    const auto effects = npy_file(e.path("indirect.npy")).tensor<float>();
    for (index_t n = 0; n < 256; ++n) {
      double sum = 0;
      for (index_t i = 0; i < 16; ++i) {
        double along = 0;
        for (index_t j = 0; j < effects.extent(2); ++j) {
          along += double{effects(i, n, j)} * double{expected.difference(0, j)};
        }
        sum += std::abs(along);
      }
      keys.push_back(sum);
    }
  }
  const auto report =
      json::parse(run(e.adversarial({"--pixels", e.stages.name() + ":val_images", "--neurons", "40",
                                     "--near", "2", "--words-out", "200", "--quiet"}))
                      .out);
  check_words(report.at("baselines").at("indirect"), expected.scores(40, 2, keys));
  check_words(report.at("words"), expected.scores(40, 2));
}

TEST_CASE("commands write captions and paint them, and the pictures are classified") {
  const example e;
  const std::string photo = data("images/10_rgb_large_211x149.png").string();
  const outcome o = run(e.adversarial({"--write-with", "sed -n 's/^- //p'", "--paint-with",
                                       "grep -q . && cat '" + photo + "'", "--pictures",
                                       e.path("painted"), "--words-in-prompt", "4"}));
  const auto report = json::parse(o.out);
  CHECK(report.at("captions").size() == 4);
  CHECK(report.at("captions")[0] == report.at("words")[0].at("word"));
  CHECK(names_in(e.path("painted")) == words{"00000.png", "00001.png", "00002.png", "00003.png"});
  CHECK(read_file(e.path("painted/00003.png")) == read_file(photo));
  const auto& evaluation = report.at("evaluation");
  CHECK(evaluation.at("count") == 4);
  CHECK_THAT(o.err, Catch::Contains("of 4 pictures"));

  // The same pictures, and what their representations say.
  run({"encode", "--model", e.model, "--images", photo, "--normalize", "--out", e.path("photo.npy"),
       "--quiet"});
  const double margin =
      dot(npy_file(e.path("photo.npy")).tensor<float>(), 0, oracle(e).difference, 0);
  CHECK(evaluation.at("taken_for_class_0") == (margin > 0 ? 4 : 0));
  CHECK(evaluation.at("taken_for_class_1") == (margin > 0 ? 0 : 4));
  CHECK(evaluation.at("pictures")[0].at("margin").get<double>() == Approx(margin).margin(1e-5));
  const auto again =
      json::parse(run(e.adversarial({"--evaluate", e.path("painted"), "--quiet"})).out);
  CHECK(again.at("evaluation").at("taken_for_class_0") == evaluation.at("taken_for_class_0"));
}

TEST_CASE("a command that fails is named with how it ended") {
  const example e;
  const auto with = [&](const std::string& write, const std::string& paint) {
    words rest{"--write-with", write, "--quiet"};
    if (!paint.empty()) {
      rest = joined(rest, {"--paint-with", paint, "--pictures", e.path("painted")});
    }
    return call(e.adversarial(rest));
  };
  check_error(with("exit 3", ""), {"--write-with exit 3", "got 3"});
  check_error(with("kill -9 $$", ""), {"--write-with", "Killed"});
  check_error(with("/no/such/program 2> /dev/null", ""), {"/no/such/program", "got 127"});
  check_error(with("true", ""), {"--write-with true", "a caption a line"});
  check_error(with("printf 'na\\357ve\\n'", ""), {"--write-with"});
  check_error(with("echo one", "exit 4"), {"--paint-with exit 4", "got 4"});
  check_error(with("echo one", "echo no picture"), {"--paint-with echo no picture"});
  // A caption is no part of the command line.
  const outcome o =
      with("echo \"; touch '" + e.path("gone wrong") + "'\"", "cat > /dev/null; exit 5");
  check_error(o, {"got 5"});
  CHECK_FALSE(std::filesystem::exists(e.path("gone wrong")));
}

TEST_CASE("what adversarial cannot do, it says") {
  const example e;
  const auto classes = [&](const std::string& zero, const std::string& one) {
    return call({"adversarial", "--run", e.dir, "--class-0", zero, "--class-1", one, "--vocab",
                 e.vocab, "--quiet"});
  };
  check_error(classes("  ", "<t8>"), {"--class-0", "no token"});
  check_error(classes("<t7>", ""), {"--class-1", "no token"});
  check_error(classes("<t7>", " <t7> "), {"<t7>", "twice"});
  check_error(call(e.adversarial({"--layers", "0", "--quiet"})), {"--layers", "1, 2"});
  check_error(call(e.adversarial({"--evaluate", e.path("nothing"), "--quiet"})), {"nothing"});
  check_usage(call({"adversarial", "--run", e.dir, "--class-0", "a"}), {"--class-1"});
  check_usage(call(e.adversarial({"--paint-with", "cat", "--pictures", "p"})), {"--write-with"});
  check_usage(call(e.adversarial({"--write-with", "cat", "--paint-with", "cat"})), {"--pictures"});
  check_usage(call(e.adversarial({"--neurons", "0"})), {"--neurons"});
}
