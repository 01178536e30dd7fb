// Ablations through the program: the published logits, JSON, labels, bad input.

#include "call.hpp"
#include "vocabulary.hpp"

#include <map>

#include <nlohmann/json.hpp>

#include <solens/weights/npy.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

using namespace solens;
using namespace solens::test;

namespace {

using words = std::vector<std::string>;

/// An analysis of layers of tiny-a over the 64 images of the stages, with a classifier and labels
/// for the 16 others.
struct example {
  temporary_folder folder;
  safetensors_file stages{data("tiny-a.stages.safetensors")};
  std::string dir = path("run"), classifier = path("classifier.npy"), labels = path("labels.npy");

  explicit example(const words& analysis = {"--layers", "1", "--convention", "reference", "--top",
                                            "16"}) {
    write_npy(classifier, stages.view<float>("classifier"));
    write_npy(labels, stages.view<index_t>("val_labels"));
    run(joined({"analyze", "--model", data("tiny-a.model.safetensors").string(), "--pixels",
                stages.name() + ":train_images", "--out", dir, "--quiet"},
               analysis));
  }

  std::string path(const std::string& name) const { return (folder / name).string(); }

  /// Codes of 8 atoms, and their beginnings of 4, as the published code made them.
  void describe() const {
    std::string list;
    for (int w = 0; w < 200; ++w) list += "word " + std::to_string(w) + "\n";
    write_file(folder / "words.txt", list);
    write_npy(folder / "words.npy", stages.view<float>("words_raw"));
    run({"describe", "--run", dir, "--words", path("words.txt"), "--word-embeddings",
         path("words.npy"), "--atoms", "4,8", "--dictionary", "reference", "--quiet"});
  }

  words ablate(const words& rest) const { return joined({"ablate", "--run", dir}, rest); }
  /// Of the 16 images.
  words val(const words& rest = {}) const {
    return joined(ablate({"--pixels", stages.name() + ":val_images", "--label-ids", labels,
                          "--classifier", classifier}),
                  rest);
  }
};

double difference(const safetensors_file& a, const safetensors_file& b, const std::string& name) {
  return relative_difference<float, float>(a.tensor<float>(name), b.tensor<float>(name));
}

}  // namespace

TEST_CASE("ablate gives the published logits and accuracies") {
  const example e;
  e.describe();
  const outcome o = run(e.val({"--logits", e.path("l.safetensors")}));
  const safetensors_file logits(e.folder / "l.safetensors");
  const std::map<std::string, std::pair<std::string, int>> published{
      {"baseline", {"original", 12}},
      {"without_neurons", {"without_neurons", 10}},
      {"without_significant", {"without_significant", 10}},
      {"without_insignificant", {"without_insignificant", 12}},
      {"direction", {"projected_to_pc", 10}},
      {"code", {"sparse_reconstruction", 9}}};
  for (const auto& [row, of] : published) {
    CAPTURE(row);
    CHECK(relative_difference<float, float>(logits.tensor<float>("layer-1." + row),
                                            e.stages.tensor<float>("logits_" + of.first)) < 1e-4);
  }
  const auto report = nlohmann::json::parse(o.out);
  CHECK(report.at("images").at("count") == 16);
  CHECK(report.at("classes") == 10);
  CHECK(report.at("model").at("sha256").get<std::string>().size() == 64);
  const auto& layer = report.at("layers").at(0);
  CHECK(layer.at("layer") == 1);
  CHECK(layer.at("effects") == 16 * 256);
  CHECK(layer.at("significant") == 1018);  // a share of 0.24853515625
  std::vector<std::string> rows;
  for (const auto& row : layer.at("rows")) {
    rows.push_back(row.at("row"));
    CHECK(logits.info("layer-1." + rows.back()).extents == shape{16, 10});
    CHECK_THAT(o.err, Catch::Contains(rows.back() + " "));
    const double share = row.at("top_1").at("share");
    CHECK(row.at("top_1").at("interval").at(0) <= share);
    CHECK(row.at("top_1").at("interval").at(1) >= share);
    CHECK(row.at("top_5").at("hits") >= row.at("top_1").at("hits"));
    if (const auto of = published.find(rows.back()); of != published.end()) {
      CHECK(row.at("top_1").at("hits") == of->second.second);
    }
  }
  CHECK(rows == words{"baseline", "without_neurons", "without_significant", "without_insignificant",
                      "direction", "code", "code_4", "random_directions", "random_neurons",
                      "random_neurons_kept"});
  CHECK(logits.tensors().size() == rows.size());
}

TEST_CASE("images that an analysis has seen are significant as often as it says") {
  const example e({"--layers", "0-2", "--top", "16"});
  const host_tensor<index_t> labels({64}, 0);
  write_npy(e.folder / "many.npy", labels.view());
  const outcome o =
      run(e.ablate({"--pixels", e.stages.name() + ":train_images", "--label-ids",
                    e.path("many.npy"), "--classifier", e.classifier, "--batch", "5"}));
  const auto report = nlohmann::json::parse(o.out);
  for (index_t l = 0; l < 3; ++l) {
    const safetensors_file found(e.folder / "run" /
                                 ("layer-" + std::to_string(l) + ".safetensors"));
    index_t n = 0;
    for (const index_t of : found.tensor<index_t>("n_significant")) n += of;
    CHECK(report.at("layers").at(static_cast<std::size_t>(l)).at("significant") == n);
  }
}

TEST_CASE("ablations do not depend on batches, passes or threads, and repeat to the byte") {
  // With 16, an image's norm is so near a threshold that rounding decides.
  const example e({"--layers", "0-2", "--top", "15"});
  const outcome first =
      run(e.val({"--logits", e.path("a.safetensors"), "--out", e.path("a.json")}));
  CHECK(first.out.empty());
  CHECK_THAT(first.err, Catch::Contains("no rows of codes"));
  run(e.val({"--logits", e.path("b.safetensors"), "--out", e.path("b.json"), "--quiet"}));
  CHECK(read_file(e.folder / "a.safetensors") == read_file(e.folder / "b.safetensors"));
  const outcome other = run(e.val({"--logits", e.path("c.safetensors"), "--memory", "1MB",
                                   "--batch", "3", "--threads", "1", "--quiet"}));
  CHECK(other.err.empty());
  const safetensors_file a(e.folder / "a.safetensors"), c(e.folder / "c.safetensors");
  REQUIRE(a.tensors().size() == 3 * 8);
  for (const tensor_info& t : a.tensors()) {
    CAPTURE(t.name);
    CHECK(difference(a, c, t.name) < 1e-5);
  }
  run(e.val({"--logits", e.path("d.safetensors"), "--seed", "1", "--quiet"}));
  const safetensors_file d(e.folder / "d.safetensors");
  CHECK(difference(a, d, "layer-1.direction") == 0);
  CHECK(difference(a, d, "layer-1.random_directions") > 1e-3);
  CHECK(difference(a, d, "layer-1.random_neurons") > 1e-4);
  // The run has got the last report, and nothing else.
  CHECK(names_in(e.folder / "run") == words{"ablation.json", "descriptions.jsonl", "images.txt",
                                            "layer-0.safetensors", "layer-1.safetensors",
                                            "layer-2.safetensors", "run.json"});
}

TEST_CASE("classes come from folders, by name where there are names") {
  const example e;
  write_numbered_tokenizer(e.folder / "tokenizer.json", 1000);
  std::filesystem::create_directories(e.folder / "photos/<t8>");
  std::filesystem::create_directories(e.folder / "photos/<t7>");
  const auto copy = [&](const std::string& from, const std::string& to) {
    std::filesystem::copy(data("images/" + from), e.folder / "photos" / to);
  };
  copy("10_rgb_large_211x149.png", "<t7>/a.png");
  write_file(e.folder / "photos/<t7>/b.png", "no image");
  copy("10_rgb_large_211x149.png", "<t8>/c.png");
  const words photos{"--images", e.path("photos"), "--labels", "folders"};
  write_file(e.folder / "classes.txt", "<t8>\n<t7>\n");
  const auto classified = [&](const words& with) {
    return nlohmann::json::parse(run(joined(e.ablate(photos), with)).out);
  };
  const words named{"--classes", e.path("classes.txt"), "--vocab", e.path("tokenizer.json")};
  const auto report = classified(joined(named, {"--logits", e.path("l.safetensors")}));
  CHECK(report.at("images").at("skipped") == 1);
  CHECK(report.at("layers").at(0).at("rows").at(0).at("top_1").at("hits") == 1);

  // The same classifier from a file, whose columns are the sorted folders.
  run({"encode", "--model", data("tiny-a.model.safetensors").string(), "--texts",
       (write_file(e.folder / "texts.txt", "a photo of a <t7>.\na photo of a <t8>.\n"),
        e.path("texts.txt")),
       "--vocab", e.path("tokenizer.json"), "--normalize", "--out", e.path("texts.npy"),
       "--quiet"});
  const auto texts = npy_file(e.folder / "texts.npy").tensor<float>();
  host_tensor<float> columns({texts.extent(1), 2});
  for (index_t j = 0; j < texts.extent(1); ++j) {
    for (index_t k = 0; k < 2; ++k) columns(j, k) = texts(k, j);
  }
  write_npy(e.folder / "two.npy", std::as_const(columns).view());
  classified({"--classifier", e.path("two.npy"), "--logits", e.path("m.safetensors")});
  const auto by_name =
                 safetensors_file(e.folder / "l.safetensors").tensor<float>("layer-1.direction"),
             by_folder =
                 safetensors_file(e.folder / "m.safetensors").tensor<float>("layer-1.direction");
  for (index_t i = 0; i < 2; ++i) {
    for (index_t k = 0; k < 2; ++k) {
      CHECK(std::abs(by_name(i, k) - by_folder(i, 1 - k)) < 1e-3F);
    }
  }

  const auto refused = [&](const words& with, const words& parts) {
    check_error(call(joined(e.ablate(joined(photos, {"--quiet"})), with)), parts);
  };
  refused({"--classifier", e.classifier}, {"10 class folders", "photos"});
  write_file(e.folder / "classes.txt", "<t8>\n<t7>\n<t9>\n");
  refused(named, {"images of every class", "<t9>"});
  write_file(e.folder / "classes.txt", "<t8>\n");
  refused(named, {"folders that --classes names", "<t7>"});
  write_file(e.folder / "classes.txt", "<t8>\n<t7>\n<t8>\n");
  refused(named, {"each class once", "<t8>", "classes.txt"});
  write_file(e.folder / "classes.txt", "<t8>\n<t7>\n");
  write_file(e.folder / "templates.txt", "a photo\n");
  refused(joined(named, {"--templates", e.path("templates.txt")}), {"templates.txt", "line 1"});
  std::filesystem::remove(e.folder / "photos/<t8>/c.png");
  refused({"--classifier", e.path("two.npy")}, {"images of every class", "<t8>"});
}

TEST_CASE("ablate refuses what does not fit together, and leaves nothing behind") {
  const example e;
  const auto before = names_in(e.folder.path());
  const auto refused = [&](words call_words, const words& parts) {
    check_error(call(joined(std::move(call_words), {"--quiet"})), parts);
  };
  const auto write = [&](const std::string& name, const shape& extents, index_t label) {
    const host_tensor<index_t> numbers(extents, label);
    write_npy(e.folder / name, numbers.view());
    return e.path(name);
  };
  const auto with_labels = [&](const std::string& labels) {
    return e.ablate({"--pixels", e.stages.name() + ":val_images", "--label-ids", labels,
                     "--classifier", e.classifier, "--out", e.path("out.json"), "--logits",
                     e.path("out.safetensors")});
  };
  refused(with_labels(write("l.npy", {16}, 10)), {"l.npy", "labels from 0 to 9", "10"});
  refused(with_labels(write("l.npy", {16}, -1)), {"l.npy", "-1"});
  refused(with_labels(write("l.npy", {15}, 0)), {"l.npy", "16 labels", "15"});
  refused(with_labels(write("l.npy", {16, 1}, 0)), {"l.npy", "[16, 1]"});
  refused(with_labels("/no/such.npy"), {"/no/such.npy"});
  const host_tensor<float> narrow({31, 10}, 1);
  write_npy(e.folder / "l.npy", narrow.view());
  auto call_words = e.val();
  call_words.back() = e.path("l.npy");
  refused(call_words, {"l.npy", "[32, classes]", "[31, 10]"});
  call_words = e.val();
  call_words[4] = data("tiny-b.ref.safetensors").string() + ":images";
  refused(call_words, {"[images, 3, 32, 32]", "64"});
  call_words = e.val();
  call_words[2] = e.path("nowhere");
  refused(call_words, {"nowhere"});

  refused(joined(e.val(), {"--model", data("tiny-b.model.safetensors").string(), "--config",
                           data("tiny-b.config.json").string()}),
          {"SHA-256", "tiny-b.model.safetensors", e.dir});
  std::string weights = read_file(data("tiny-a.model.safetensors"));
  weights.back() = static_cast<char>(weights.back() ^ 1);
  write_file(e.folder / "l.npy", weights);
  std::filesystem::rename(e.folder / "l.npy", e.folder / "l.safetensors");
  refused(joined(e.val(), {"--model", e.path("l.safetensors"), "--config",
                           data("tiny-a.config.json").string()}),
          {"SHA-256", "l.safetensors"});
  std::filesystem::remove(e.folder / "l.safetensors");
  CHECK(names_in(e.folder.path()) == before);

  check_usage(call(e.ablate({"--pixels", "p.npy", "--classifier", e.classifier})), {"--label-ids"});
  check_usage(call(e.val({"--classes", "c.txt"})), {"--classifier", "--classes"});
  check_usage(call(e.val({"--logits", "l.npy"})), {".safetensors"});
  check_usage(call({"ablate", "--pixels", "p.npy"}), {"--run"});
}
