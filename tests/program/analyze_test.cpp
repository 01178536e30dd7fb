#include "call.hpp"

#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <thread>

#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

using namespace solens;
using namespace solens::test;

namespace {

const std::string stages_pixels = data("tiny-a.stages.safetensors").string() + ":train_images";

std::vector<std::string> analyze(const std::filesystem::path& out, std::vector<std::string> rest,
                                 const std::string& pixels = stages_pixels) {
  rest.insert(rest.begin(), {"analyze", "--model", data("tiny-a.model.safetensors").string(),
                             "--pixels", pixels, "--quiet", "--out", out.string()});
  return rest;
}

/// Every file of a run folder but run.json, which holds timings.
std::map<std::string, std::string> contents(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const std::string& name : names_in(folder)) {
    if (name != "run.json") files[name] = read_file(folder / name);
  }
  return files;
}

/// A file of many images, so that an analysis takes long enough to be killed.
std::string many_images(const std::filesystem::path& file) {
  const auto images =
      safetensors_file(data("tiny-a.stages.safetensors")).tensor<float>("train_images");
  host_tensor<float> many({1280, 3, 32, 32});
  for (index_t i = 0; i < many.extent(0); ++i) {
    for (index_t p = 0; p < 3 * 32 * 32; ++p) {
      many.data()[i * 3072 + p] = images.data()[(i % 64) * 3072 + p] *
                                  static_cast<float>(1 + 1e-4 * static_cast<double>(i));
    }
  }
  write_safetensors(file, {{"images", std::as_const(many).view()}});
  return file.string();
}

}  // namespace

TEST_CASE("analyze gives the published findings of layer 1 of tiny-a") {
  temporary_folder folder;
  run(analyze(folder / "run", {"--layers", "1", "--top", "16", "--convention", "reference"}));
  CHECK(names_in(folder / "run") == std::vector<std::string>{"descriptions.jsonl", "images.txt",
                                                             "layer-1.safetensors", "run.json"});
  const safetensors_file found(folder / "run" / "layer-1.safetensors");
  const safetensors_file expected(data("tiny-a.stages.safetensors"));
  CHECK(relative_difference<float, float>(found.tensor<float>("mean_effect"),
                                          expected.tensor<float>("effects_mean")) < 2e-5);
  const auto norms = expected.tensor<float>("norm");  // ascending
  const auto top = found.tensor<float>("top_norms"), threshold = found.tensor<float>("threshold");
  for (index_t n = 0; n < 256; ++n) {
    CHECK(std::abs(threshold(n) / norms(n, 0) - 1) < 1e-5F);
    for (index_t i = 0; i < 16; ++i) CHECK(std::abs(top(n, i) / norms(n, 15 - i) - 1) < 2e-5F);
  }
  // The published rule leaves the sign open where exactly half of the images project positively.
  const auto direction = found.tensor<float>("direction"), pca = expected.tensor<float>("pca"),
             singular = expected.tensor<float>("pca_singular_values");
  const auto positive = expected.view<std::int32_t>("pca_positive_count");
  for (index_t n = 0; n < 256; ++n) {
    double cosine = 0;
    for (index_t j = 0; j < 32; ++j) cosine += double{direction(n, j)} * double{pca(n, j)};
    CAPTURE(n, cosine);
    if (singular(n, 0) < 1.02F * singular(n, 1)) continue;
    CHECK((positive(n) == 8 ? std::abs(cosine) : cosine) > 1 - 1e-5);
  }
}

TEST_CASE(
    "a second analysis gives the same bytes, another batch or thread count the same numbers") {
  temporary_folder folder;
  run(analyze(folder / "a", {"--top", "5"}));
  run(analyze(folder / "b", {"--top", "5"}));
  CHECK(contents(folder / "a") == contents(folder / "b"));
  run(analyze(folder / "c", {"--top", "5", "--batch", "7", "--threads", "1", "--memory", "256MB"}));
  for (const char* layer : {"layer-0.safetensors", "layer-1.safetensors", "layer-2.safetensors"}) {
    const safetensors_file a(folder / "a" / layer), c(folder / "c" / layer);
    for (const char* name :
         {"mean_effect", "threshold", "top_norms", "explained_variance", "top_share"}) {
      CAPTURE(layer, name);
      CHECK(relative_difference<float, float>(a.tensor<float>(name), c.tensor<float>(name)) < 1e-5);
    }
  }
  CHECK(read_file(folder / "a" / "images.txt") == read_file(folder / "c" / "images.txt"));
}

TEST_CASE("an analysis killed at random moments goes on and ends with the same bytes") {
  temporary_folder folder;
  const std::string pixels = many_images(folder / "many.safetensors");
  const std::vector<std::string> rest{"--top", "20", "--save-every", "0", "--batch", "16"};
  const auto start = std::chrono::steady_clock::now();
  run(analyze(folder / "whole", rest, pixels));
  const auto whole = std::chrono::steady_clock::now() - start;
  std::mt19937 generator(5);
  int killed = 0;
  for (int i = 0; i < 10; ++i) {
    const running_program program(analyze(folder / "killed", rest, pixels));
    std::this_thread::sleep_for(whole * std::uniform_real_distribution<>(0.05, 0.6)(generator));
    program.send(SIGKILL);
    killed += program.wait().signal == SIGKILL;
  }
  CHECK(killed > 0);
  run(analyze(folder / "killed", rest, pixels));
  CHECK(contents(folder / "killed") == contents(folder / "whole"));
}

TEST_CASE("an analysis killed among its findings goes on with the layers that are left") {
  temporary_folder folder;
  const std::string pixels = many_images(folder / "many.safetensors");
  const std::vector<std::string> rest{"--top", "20", "--save-every", "0", "--batch", "16"};
  run(analyze(folder / "whole", rest, pixels));
  const running_program program(analyze(folder / "killed", rest, pixels));
  const auto unfinished = folder / "killed" / ".unfinished";
  const auto has_layer_0 = [&] {
    const auto state = unfinished / "state.json";
    return std::filesystem::exists(state) &&
           read_file(state).find("\"found\":[0") != std::string::npos;
  };
  for (int i = 0; i < 60000 && !has_layer_0(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  program.send(SIGKILL);
  if (program.wait().signal != SIGKILL) return;  // it was through already
  REQUIRE(has_layer_0());
  CHECK(std::filesystem::exists(unfinished / "layer-0.safetensors"));
  std::filesystem::remove(unfinished / "layer-0.coefficients");  // needed no more
  run(analyze(folder / "killed", rest, pixels));
  CHECK(contents(folder / "killed") == contents(folder / "whole"));
  CHECK_FALSE(std::filesystem::exists(unfinished));
}

TEST_CASE("images that a resumed analysis leaves out are left out of its list") {
  temporary_folder folder;
  std::filesystem::create_directory(folder / "photos");
  for (int i = 0; i < 12; ++i) {
    std::filesystem::copy(data("images/01_rgb_64x64.png"),
                          folder / "photos" / (std::to_string(100 + i) + ".png"));
  }
  write_file(folder / "photos/109.png", "no image");
  const std::vector<std::string> words{"analyze",
                                       "--model",
                                       data("tiny-a.model.safetensors").string(),
                                       "--images",
                                       (folder / "photos").string(),
                                       "--top",
                                       "3",
                                       "--batch",
                                       "4",
                                       "--out",
                                       (folder / "run").string(),
                                       "--quiet"};
  check_error(call(joined(words, {"--strict"})), {"109.png"});
  run(words);
  const std::string list = read_file(folder / "run" / "images.txt");
  CHECK(std::count(list.begin(), list.end(), '\n') == 11);
  CHECK(list.find("109.png") == std::string::npos);
}

TEST_CASE("the state of another analysis is refused by name") {
  temporary_folder folder;
  const std::string pixels = many_images(folder / "many.safetensors");
  const std::vector<std::string> rest{"--top", "20", "--save-every", "0", "--batch", "16"};
  const running_program program(analyze(folder / "run", rest, pixels));
  const auto state = folder / "run" / ".unfinished" / "state.json";
  for (int i = 0; i < 1000 && !std::filesystem::exists(state); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  program.send(SIGKILL);
  if (program.wait().signal != SIGKILL) return;  // it was through already
  const auto refused = [&](std::vector<std::string> words, const std::string& name) {
    const outcome o = call(words);
    CHECK(o.exit_code == 1);
    CHECK(o.complaints().size() == 1);
    CHECK_THAT(o.err, Catch::Contains("unfinished analysis") && Catch::Contains(name));
    CHECK(std::filesystem::exists(state));
  };
  refused(analyze(folder / "run", {"--top", "21", "--batch", "16"}, pixels), "--top");
  refused(analyze(folder / "run", {"--top", "20", "--batch", "16", "--layers", "1"}, pixels),
          "--layers");
  refused(analyze(folder / "run", {"--top", "20", "--batch", "16"}), "list of images");
  std::filesystem::copy_file(data("tiny-a.config.json"), folder / "other.config.json");
  std::string weights = read_file(data("tiny-a.model.safetensors"));
  weights.back() = static_cast<char>(weights.back() ^ 1);
  write_file(folder / "other.model.safetensors", weights);
  auto words = analyze(folder / "run", rest, pixels);
  words[2] = (folder / "other.model.safetensors").string();
  refused(words, "model");
}

TEST_CASE("analyze refuses what it cannot do, and keeps what it has") {
  temporary_folder folder;
  const auto fails = [&](std::vector<std::string> words, int code, const std::string& text) {
    const outcome o = call(words);
    INFO(o.err);
    CHECK(o.exit_code == code);
    CHECK_THAT(o.err, Catch::Contains(text));
  };
  fails(analyze(folder / "r", {"--layers", "3"}), 1, "--layers");
  fails(analyze(folder / "r", {"--layers", "x"}), 2, "--layers");
  fails(analyze(folder / "r", {"--top", "65"}), 1, "--top");
  fails(analyze(folder / "r", {"--top", "0"}), 2, "--top");
  fails(analyze(folder / "r", {"--top", "5", "--memory", "1MB"}), 1, "--memory");
  fails(analyze("/proc/nowhere", {"--top", "5"}), 1, "/proc/nowhere");

  // One bad pixel: named by image and layer, and the run goes on where it stopped.
  auto images = safetensors_file(data("tiny-a.stages.safetensors")).tensor<float>("train_images");
  const std::string pixels = (folder / "p.safetensors").string();
  const float good = std::exchange(images(40, 1, 3, 4), std::numeric_limits<float>::quiet_NaN());
  write_safetensors(pixels, {{"images", std::as_const(images).view()}});
  const auto words = analyze(folder / "run", {"--top", "5", "--batch", "8"}, pixels);
  fails(words, 1, "images[40], layer 0");
  CHECK(std::filesystem::exists(folder / "run" / ".unfinished" / "state.json"));
  images(40, 1, 3, 4) = good;
  write_safetensors(pixels, {{"images", std::as_const(images).view()}});
  run(words);
  run(analyze(folder / "clean", {"--top", "5", "--batch", "8"}, pixels));
  CHECK(contents(folder / "run") == contents(folder / "clean"));
}
