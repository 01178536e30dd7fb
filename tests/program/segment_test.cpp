// Segmentation through the program: pictures and JSON against the library, classes, masks, bad
// input.

#include "call.hpp"
#include "vocabulary.hpp"
#if defined(SOLENS_WITH_HDF5)
#include "support/mat_file.hpp"
#endif

#include <cmath>

#include <nlohmann/json.hpp>

#include <solens/backend/reference.hpp>
#include <solens/findings/segmentation.hpp>
#include <solens/image/decode.hpp>
#include <solens/image/encode_png.hpp>
#include <solens/image/heat_map.hpp>
#include <solens/weights/npy.hpp>
#include <solens/weights/safetensors.hpp>

using namespace solens;
using namespace solens::test;

namespace {

using words = std::vector<std::string>;

/// An analysis of tiny-a, and three photos of which one is 64 x 64 and one is no image. A class is
/// a token's number.
struct example {
  temporary_folder folder;
  std::string dir = path("run"), vocabulary = path("tokenizer.json");

  example() {
    write_numbered_tokenizer(folder / "tokenizer.json", 1000);
    std::filesystem::create_directories(folder / "photos");
    for (const char* name : {"01_rgb_64x64.png", "10_rgb_large_211x149.png"}) {
      std::filesystem::copy(data(std::string("images/") + name), folder / "photos" / name);
    }
    run({"analyze", "--model", data("tiny-a.model.safetensors").string(), "--pixels",
         data("tiny-a.stages.safetensors").string() + ":train_images", "--layers", "0-2", "--top",
         "16", "--out", dir, "--quiet"});
  }

  std::string path(const std::string& name) const { return (folder / name).string(); }

  words segment(const words& rest) const {
    return joined({"segment", "--run", dir, "--images", path("photos"), "--vocab", vocabulary,
                   "--out", path("out")},
                  rest);
  }
  nlohmann::json report() const {
    return nlohmann::json::parse(read_file(folder / "out" / "segmentation.json"));
  }

  /// A grey PNG whose left part, `share` of it, has this brightness.
  void write_mask(const std::string& name, index_t height, index_t width, double share,
                  std::uint8_t bright) const {
    host_tensor<std::uint8_t> mask({height, width}, std::uint8_t{0});
    for (index_t y = 0; y < height; ++y) {
      for (index_t x = 0; x < width; ++x) {
        if (static_cast<double>(x) < share * static_cast<double>(width)) mask(y, x) = bright;
      }
    }
    std::filesystem::create_directories((folder / name).parent_path());
    write_png(folder / name, mask.view());
  }
  void write_masks(const std::string& place, std::uint8_t bright = 255) const {
    write_mask(place + "/01_rgb_64x64.png", 64, 64, 0.5, bright);
    write_mask(place + "/10_rgb_large_211x149.png", 149, 211, 0.5, bright);
  }
};

/// A grey picture, as a view of one channel of it.
host_tensor<std::uint8_t> grey(const std::filesystem::path& path) {
  const rgb_image image = read_image(path);
  host_tensor<std::uint8_t> result({image.height(), image.width()});
  for (index_t i = 0; i < result.size(); ++i) result.data()[i] = image.row(0)[3 * i];
  return result;
}

}  // namespace

TEST_CASE("segment draws what the library finds") {
  const example e;
  const outcome o = run(e.segment({"--class", "<t7>", "--layers", "1,2", "--neurons", "50"}));
  CHECK(o.out.empty());
  const auto report = e.report();
  CHECK(report.at("images").at("count") == 2);
  CHECK(report.at("options").at("layers") == std::vector<int>{1, 2});
  CHECK(report.at("maps").size() == 2);

  // The class, as `encode` embeds it, against the run's directions: the program's neurons.
  write_file(e.folder / "texts.txt", "a photo of a <t7>.\n");
  const std::string model = data("tiny-a.model.safetensors").string();
  run({"encode", "--model", model, "--texts", e.path("texts.txt"), "--vocab", e.vocabulary,
       "--normalize", "--out", e.path("text.npy"), "--quiet"});
  const auto text = npy_file(e.folder / "text.npy").tensor<float>();
  const safetensors_file one(e.folder / "run/layer-1.safetensors"),
      two(e.folder / "run/layer-2.safetensors");
  const reference_backend<float> be;
  const directions_of_layer<float> layers[] = {{1, one.view<float>("direction")},
                                               {2, two.view<float>("direction")}};
  const segmentation<reference_backend<float>> expected(be, layers, text.view().transposed(),
                                                        {.n_writers = 50});
  const auto& neurons = report.at("classes").at(0).at("neurons");
  REQUIRE(neurons.size() == 50);
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK(neurons[i].at("layer") == expected.chosen(0)[i].layer);
    CHECK(neurons[i].at("neuron") == expected.chosen(0)[i].writer);
  }

  for (const auto& line : report.at("maps")) {
    const auto heat = grey(e.folder / "out" / line.at("heat").get<std::string>()),
               mask = grey(e.folder / "out" / line.at("mask").get<std::string>());
    CHECK(heat.extents() == shape{32, 32});
    CHECK(*std::min_element(heat.begin(), heat.end()) == 0);
    CHECK(*std::max_element(heat.begin(), heat.end()) == 255);
    index_t found = 0;
    for (index_t i = 0; i < heat.size(); ++i) {
      found += mask.data()[i] == 255;
      CHECK((mask.data()[i] == 0 || mask.data()[i] == 255));
      if (std::abs(heat.data()[i] - 127.5) > 1) {
        CHECK((mask.data()[i] == 255) == (heat.data()[i] > 127));
      }
    }
    CHECK(line.at("share").get<double>() == Approx(static_cast<double>(found) / 1024));
    const auto over = read_image(e.folder / "out" / line.at("overlay").get<std::string>());
    CHECK(over.view().extents() == shape{32, 32, 3});
  }
  CHECK(names_in(e.folder / "out") == words{"heat", "mask", "overlay", "segmentation.json"});
  CHECK(names_in(e.folder / "out/heat") == words{"01_rgb_64x64.png", "10_rgb_large_211x149.png"});
}

TEST_CASE("segment scores masks as the library does, whatever white is in them") {
  const example e;
  const auto bright = GENERATE(std::uint8_t{255}, std::uint8_t{1});
  e.write_masks("masks", bright);
  const outcome o = run(e.segment({"--class", "<t7>", "--masks", e.path("masks")}));
  CHECK_THAT(o.err, Catch::Contains("2 maps: pixel accuracy"));
  const auto report = e.report();
  // The left half of the first, and of what the centre crop leaves of the second.
  host_tensor<std::uint8_t> truth({32, 32});
  for (index_t i = 0; i < 1024; ++i) truth.data()[i] = i % 32 < 16 ? 1 : 0;
  double right = 0;
  for (const auto& line : report.at("maps")) {
    const auto mask = grey(e.folder / "out" / line.at("mask").get<std::string>());
    double own = 0;
    for (index_t i = 0; i < 1024; ++i) own += (mask.data()[i] == 255) == (truth.data()[i] == 1);
    CHECK(line.at("pixel_accuracy").get<double>() == Approx(own / 1024).margin(0.032));
    right += own;
    CHECK(line.at("average_precision") > 0);
  }
  const auto& scores = report.at("scores");
  CHECK(scores.at("maps") == 2);
  CHECK(scores.at("pixel_accuracy").get<double>() == Approx(right / 2048).margin(0.032));
  CHECK(scores.at("mean_iou").get<double>() ==
        Approx((scores.at("object_iou").get<double>() + scores.at("background_iou").get<double>()) /
               2));
}

TEST_CASE("several classes have folders of their own, and every way to find them works") {
  const example e;
  e.write_masks("masks/<t7>");
  e.write_masks("masks/<t8>_x");
  for (const std::string method :
       {"neurons", "random", "attention", "rollout", "direct", "patches"}) {
    run(e.segment({"--class", "<t7>", "--class", "<t8>/x", "--method", method, "--masks",
                   e.path("masks"), "--quiet", "--signed", "--weighted"}));
    const auto report = e.report();
    CAPTURE(method);
    CHECK(report.at("options").at("method") == method);
    CHECK(report.at("maps").size() == 4);
    CHECK(report.at("scores").at("maps") == 4);
    const bool by_neurons = method == "neurons" || method == "random";
    CHECK(report.at("classes").at(1).at("neurons").size() == (by_neurons ? 200 : 0));
  }
  CHECK(names_in(e.folder / "out/mask") == words{"<t7>", "<t8>_x"});
}

TEST_CASE("an image is taken for the class that its representation has most in common with") {
  const example e;
  write_file(e.folder / "classes.txt", "<t3>\n<t4>\n<t5>\n<t6>\n");
  run(e.segment({"--classes", e.path("classes.txt"), "--quiet"}));
  std::string texts;
  for (int i = 3; i < 7; ++i) texts += "a photo of a <t" + std::to_string(i) + ">.\n";
  write_file(e.folder / "texts.txt", texts);
  const std::string model = data("tiny-a.model.safetensors").string();
  run({"encode", "--model", model, "--texts", e.path("texts.txt"), "--vocab", e.vocabulary,
       "--normalize", "--out", e.path("t.npy"), "--quiet"});
  run({"encode", "--model", model, "--images", e.path("photos"), "--out", e.path("i.npy"),
       "--quiet"});
  const auto t = npy_file(e.folder / "t.npy").tensor<float>(),
             images = npy_file(e.folder / "i.npy").tensor<float>();
  const auto report = e.report();
  for (index_t i = 0; i < 2; ++i) {
    double most = -1e9;
    std::string name;
    for (index_t c = 0; c < 4; ++c) {
      double sum = 0;
      for (index_t j = 0; j < 32; ++j) sum += double{t(c, j)} * double{images(i, j)};
      if (sum > most) most = sum, name = "<t" + std::to_string(c + 3) + ">";
    }
    CHECK(report.at("maps").at(static_cast<std::size_t>(i)).at("class") == name);
  }
}

TEST_CASE("segmentation does not depend on batches, and repeats to the byte") {
  const example e;
  const words pixels{"segment",
                     "--run",
                     e.dir,
                     "--pixels",
                     data("tiny-a.stages.safetensors").string() + ":val_images",
                     "--vocab",
                     e.vocabulary,
                     "--class",
                     "<t9>",
                     "--quiet"};
  run(joined(pixels, {"--out", e.path("a")}));
  run(joined(pixels, {"--out", e.path("b")}));
  run(joined(pixels, {"--out", e.path("c"), "--batch", "3", "--threads", "1"}));
  CHECK(names_in(e.folder / "a/heat").size() == 16);
  for (const std::string& name : names_in(e.folder / "a/heat")) {
    CHECK(read_file(e.folder / "a/heat" / name) == read_file(e.folder / "b/heat" / name));
    const auto x = grey(e.folder / "a/heat" / name), y = grey(e.folder / "c/heat" / name);
    for (index_t i = 0; i < x.size(); ++i) CHECK(std::abs(x.data()[i] - y.data()[i]) <= 1);
  }
}

TEST_CASE("images that cannot be read are left out") {
  const example e;
  write_file(e.folder / "photos/x.png", "no image");
  const outcome o = run(e.segment({"--class", "<t7>"}));
  CHECK_THAT(o.err, Catch::Contains("x.png"));
  CHECK(e.report().at("images").at("skipped") == 1);
  CHECK(e.report().at("maps").size() == 2);
}

TEST_CASE("segment refuses what does not fit together, naming the file, and leaves nothing") {
  const example e;
  const auto refused = [&](const words& with, const words& parts) {
    check_error(call(joined(e.segment(with), {"--quiet"})), parts);
    CHECK((!std::filesystem::exists(e.folder / "out") || names_in(e.folder / "out").empty()));
  };
  refused({"--class", "<t7>", "--class", "<t7>"}, {"each class once", "<t7>", "--class"});
  refused({"--class", " "}, {"tokenizer", "' '", "--class"});
  write_file(e.folder / "classes.txt", "<t7>\n<t8>\n<t7>\n");
  refused({"--classes", e.path("classes.txt")}, {"classes.txt", "each class once", "<t7>"});
  // A line that is not blank, but is for CLIP's own tokenizer, which reads HTML.
  write_file(e.folder / "classes.txt", "a\n&nbsp;\n");
  write_file(e.folder / "table.txt", "#version: 0.2\na b\n");
  auto by_table = e.segment({"--classes", e.path("classes.txt"), "--quiet"});
  *std::find(by_table.begin(), by_table.end(), e.vocabulary) = e.path("table.txt");
  check_error(call(by_table), {"classes.txt, line 2", "maps to nothing"});
  refused({"--class", "<t7>", "--layers", "1,3"}, {"--layers", "3", e.dir});

  const words with_masks{"--class", "<t7>", "--masks", e.path("masks")};
  refused(with_masks, {"masks"});
  e.write_mask("masks/01_rgb_64x64.png", 64, 64, 0.5, 255);
  refused(with_masks, {"a mask for every image", "10_rgb_large_211x149.png"});
  e.write_masks("masks");
  e.write_mask("masks/one_more.png", 64, 64, 0.5, 255);
  refused(with_masks, {"an image for every mask", "one_more.png"});
  std::filesystem::remove(e.folder / "masks/one_more.png");
  e.write_mask("masks/10_rgb_large_211x149.png", 211, 149, 0.5, 255);
  refused(with_masks, {"211 x 149", "149 x 211", "masks/10_rgb_large_211x149.png"});
  // Found out when it is read, after the first image was drawn.
  e.write_masks("masks");
  std::filesystem::copy(data("images/10_rgb_large_211x149.png"),
                        e.folder / "masks/10_rgb_large_211x149.png",
                        std::filesystem::copy_options::overwrite_existing);
  refused(joined(with_masks, {"--batch", "1"}),
          {"a grey picture", "masks/10_rgb_large_211x149.png"});
  std::filesystem::rename(e.folder / "masks", e.folder / "out/mask");
  check_error(call(e.segment({"--class", "<t7>", "--masks", e.path("out/mask"), "--quiet"})),
              {"masks elsewhere", "out/mask"});
  std::filesystem::rename(e.folder / "out/mask", e.folder / "masks");
  refused({"--class", "<t7>", "--class", "<t8>", "--masks", e.path("masks")}, {"masks/<t7>"});
  std::filesystem::create_directories(e.folder / "photos/more");
  std::filesystem::copy(data("images/01_rgb_64x64.png"), e.folder / "photos/more");
  refused({"--class", "<t7>"}, {"names that differ", "more/01_rgb_64x64.png"});

  check_usage(call(e.segment({})), {"--class"});
  check_usage(call(e.segment({"--class", "a", "--classes", "c.txt"})), {"--class"});
  check_usage(call(e.segment({"--class", "a", "--method", "magic"})), {"--method"});
  check_usage(call({"segment", "--run", "r", "--pixels", "p", "--class", "a", "--masks", "m",
                    "--out", "o"}),
              {"--masks", "--images"});
}

#if defined(SOLENS_WITH_HDF5)

TEST_CASE("ImageNet-Segmentation's file is what its images and masks are in folders") {
  const example e;
  e.write_masks("masks");
  std::vector<marked_image> all;
  for (const char* name : {"01_rgb_64x64.png", "10_rgb_large_211x149.png"}) {
    auto mask = grey(e.folder / "masks" / name);
    for (std::uint8_t& m : mask) m = m == 0 ? 0 : 1;
    all.push_back({read_image(e.folder / "photos" / name), std::move(mask)});
  }
  const std::string mat = e.path("gtsegs.mat");
  write_segmentation(mat, all);
  write_file(e.folder / "classes.txt", "<t3>\n<t4>\n");
  const words classes{"--classes", e.path("classes.txt"), "--quiet"};
  run(joined(e.segment(classes), {"--masks", e.path("masks")}));
  const auto in_folders = e.report();
  auto words = joined(e.segment(classes), {"--masks", mat});
  *std::find(words.begin(), words.end(), e.path("photos")) = mat;
  run(words);
  const auto in_file = e.report();
  CHECK(in_file.at("images").at("source") == mat);
  CHECK(in_file.at("scores") == in_folders.at("scores"));
  CHECK(in_file.at("scores").at("maps") == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto &a = in_file.at("maps")[i], &b = in_folders.at("maps")[i];
    CHECK(a.at("image") == mat + "[" + std::to_string(i) + "]");
    CHECK(a.at("heat") == "heat/00000" + std::to_string(i) + ".png");
    for (const char* key : {"class", "share", "average_precision"}) CHECK(a.at(key) == b.at(key));
    for (const char* kind : {"heat", "mask", "overlay"}) {
      CHECK(read_file(e.folder / "out" / a.at(kind).get<std::string>()) ==
            read_file(e.folder / "out" / b.at(kind).get<std::string>()));
    }
  }

  std::filesystem::remove_all(e.folder / "out");
  words.resize(words.size() - 2);  // without masks
  run(words);
  CHECK(e.report().at("maps").size() == 2);
  CHECK(!e.report().contains("scores"));
}

TEST_CASE("segment refuses what does not fit a file of images and masks, naming it") {
  const example e;
  const std::string mat = e.path("gtsegs.mat");
  const auto segment = [&](const std::string& masks, const words& classes = {"--class", "<t7>"}) {
    auto words = joined(e.segment(classes), {"--masks", masks, "--quiet"});
    *std::find(words.begin(), words.end(), e.path("photos")) = mat;
    return call(words);
  };
  check_error(segment(mat), {"expected a file, got none", mat});
  write_file(mat, "MATLAB 5.0 MAT-file");
  check_error(segment(mat), {"MATLAB 7.3", mat});
  const auto marked = [](std::uint8_t mask) {
    marked_image one{rgb_image(40, 32), host_tensor<std::uint8_t>({40, 32}, mask)};
    std::fill_n(one.image.row(0), one.image.view().size(), std::uint8_t{9});
    return one;
  };
  std::vector<marked_image> all;
  all.push_back(marked(1)), all.push_back(marked(2));
  write_segmentation(mat, all);
  check_error(segment(mat), {"0 or 1, got 2", mat + ": /value/gt[1][0]"});
  CHECK(names_in(e.folder / "out").empty());
  check_error(segment(mat, {"--class", "<t7>", "--class", "<t8>"}), {"one --class", mat});
  check_error(segment(e.path("masks")), {"the same .mat file for --images and --masks", "masks"});
  check_error(call(joined(e.segment({"--class", "<t7>"}), {"--masks", mat, "--quiet"})),
              {"the same .mat file for --images and --masks", "photos"});
}

#else

TEST_CASE("a build without HDF5 says so") {
  const example e;
  auto words = e.segment({"--class", "<t7>", "--quiet"});
  *std::find(words.begin(), words.end(), e.path("photos")) = e.path("gtsegs.mat");
  check_error(call(words), {"a build of solens with HDF5 (libhdf5-dev)", "gtsegs.mat"});
}

#endif
