#include "call.hpp"
#include "vocabulary.hpp"

#include <cmath>

#include <solens/weights/npy.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

using namespace solens;
using namespace solens::test;

namespace {

/// How far two float32 forward passes may be apart, of the largest magnitude.
constexpr double bound = 1e-5;

std::vector<std::string> encode(const std::string& model, std::vector<std::string> rest) {
  rest.insert(rest.begin(), {"encode", "--model", data(model + ".model.safetensors").string(),
                             "--config", data(model + ".config.json").string()});
  return rest;
}

std::string pixels(const std::string& model) {
  return data(model + ".ref.safetensors").string() + ":images";
}

host_tensor<float> expected(const std::string& model, const char* name) {
  return safetensors_file(data(model + ".ref.safetensors")).tensor<float>(name);
}

/// Calls the program, which has to succeed, and reads what it wrote.
host_tensor<float> result(const std::string& model, std::vector<std::string> rest) {
  temporary_folder folder;
  const std::string out = (folder / "out.safetensors").string();
  rest.insert(rest.end(), {"--out", out});
  const outcome o = call(encode(model, rest));
  INFO(o.err);
  REQUIRE(o.exit_code == 0);
  CHECK(names_in(folder.path()) == std::vector<std::string>{"out.safetensors"});
  return safetensors_file(out).tensor<float>("representation");
}

/// The texts whose tokens are the fixture's, for `write_numbered_tokenizer`.
std::string numbered_texts(host_view<const index_t> tokens, index_t end) {
  std::string texts;
  for (index_t i = 0; i < tokens.extent(0); ++i) {
    for (index_t t = 1; tokens(i, t) != end; ++t) {
      texts += "<t" + std::to_string(tokens(i, t)) + ">";
    }
    texts += "\n";
  }
  return texts;
}

}  // namespace

TEST_CASE("encode --pixels gives the published code's representations") {
  for (const std::string model : {"tiny-a", "tiny-b", "tiny-c"}) {
    INFO(model);
    const auto y = result(model, {"--pixels", pixels(model)});
    CHECK(relative_difference<float, float>(y, expected(model, "representation")) <= bound);
  }
}

TEST_CASE("encode does not depend on batches, threads or backend beyond rounding") {
  const auto y = expected("tiny-a", "representation");
  for (const std::vector<std::string>& with : {
         std::vector<std::string>{"--batch", "1", "--threads", "1"},
             {"--batch", "3", "--threads", "2"}, {"--backend", "auto"}, {"--backend", "eigen"},
#if defined(SOLENS_WITH_XTENSOR)
             {"--backend", "xtensor"},
#endif
         {
           "--backend", "reference"
         }
       }) {
    INFO(with[0] << " " << with[1]);
    std::vector<std::string> rest{"--pixels", pixels("tiny-a"), "--quiet"};
    rest.insert(rest.end(), with.begin(), with.end());
    CHECK(relative_difference<float, float>(result("tiny-a", rest), y) <= bound);
  }
}

TEST_CASE("encode --normalize scales rows to norm 1") {
  const auto y = expected("tiny-a", "representation");
  const auto unit = result("tiny-a", {"--pixels", pixels("tiny-a"), "--normalize"});
  REQUIRE(unit.extents() == y.extents());
  for (index_t i = 0; i < y.extent(0); ++i) {
    double norm = 0;
    for (index_t j = 0; j < y.extent(1); ++j) norm += double{y(i, j)} * double{y(i, j)};
    for (index_t j = 0; j < y.extent(1); ++j) {
      CHECK(unit(i, j) == Approx(y(i, j) / std::sqrt(norm)).margin(bound));
    }
  }
}

TEST_CASE("encode --texts gives the published code's text features, a row a line") {
  temporary_folder folder;
  write_numbered_tokenizer(folder / "tokenizer.json", 1000);
  const auto tokens =
      safetensors_file(data("tiny-a.ref.safetensors")).tensor<index_t>("text_tokens");
  write_file(folder / "texts.txt", numbered_texts(tokens, 999));
  const auto y = result("tiny-a", {"--vocab", (folder / "tokenizer.json").string(), "--texts",
                                   (folder / "texts.txt").string()});
  CHECK(relative_difference<float, float>(y, expected("tiny-a", "text_features")) <= bound);
}

TEST_CASE("encode --images skips what is no image, says so, and with --strict stops") {
  temporary_folder folder;
  const auto images = folder / "images of mine, é";
  std::filesystem::create_directories(images / "b");
  std::filesystem::copy(data("images/01_rgb_64x64.png"), images / "b/1.png");
  std::filesystem::copy(data("images/10_rgb_large_211x149.png"), images / "a.png");
  write_file(images / "b/0 words.jpg", "this is text");
  write_file(images / "empty.png", "");
  const std::string out = (folder / "out.safetensors").string();

  const auto words = [&](const std::string& path, std::vector<std::string> more) {
    std::vector<std::string> rest{"--images", path, "--out", out};
    rest.insert(rest.end(), more.begin(), more.end());
    return encode("tiny-a", rest);
  };
  const outcome o = call(words(images.string(), {}));
  INFO(o.err);
  REQUIRE(o.exit_code == 0);
  CHECK(o.err.find("0 words.jpg") != std::string::npos);
  CHECK(o.err.find("empty.png") != std::string::npos);
  CHECK(o.err.find("skipped 2 of 4 images") != std::string::npos);
  const auto all = safetensors_file(out).tensor<float>("representation");
  CHECK(all.extents() == shape{2, 32});

  // The same two from a list, in the other order.
  write_file(folder / "list.txt",
             (images / "b/1.png").string() + "\n" + "images of mine, é/a.png\n");
  REQUIRE(call(words((folder / "list.txt").string(), {"--quiet"})).exit_code == 0);
  const auto listed = safetensors_file(out).tensor<float>("representation");
  REQUIRE(listed.extents() == all.extents());
  CHECK(relative_difference<float, float>(listed.view()[0], all.view()[1]) <= bound);
  CHECK(relative_difference<float, float>(listed.view()[1], all.view()[0]) <= bound);

  // With class folders, only what lies in one.
  const outcome classes = call(words(images.string(), {"--labels", "folders", "--quiet"}));
  REQUIRE(classes.exit_code == 0);
  CHECK(safetensors_file(out).tensor<float>("representation").extents() == shape{1, 32});

  std::filesystem::remove(out);
  check_error(call(words(images.string(), {"--strict", "--quiet"})), {"0 words.jpg"});
  CHECK_FALSE(std::filesystem::exists(out));
}

TEST_CASE("preprocess gives torchvision's pixels, and encode takes them") {
  temporary_folder folder;
  const std::string out = (folder / "pixels.safetensors").string();
  const outcome o = call({"preprocess", "--model", data("tiny-a.model.safetensors").string(),
                          "--config", data("tiny-a.config.json").string(), "--images",
                          data("images").string(), "--batch", "5", "--out", out});
  INFO(o.err);
  REQUIRE(o.exit_code == 0);
  const auto ours = safetensors_file(out).tensor<float>("pixels");
  const auto theirs =
      safetensors_file(data("preprocess.safetensors")).tensor<float>("rgb_first_32");
  // One of 255 before normalisation is at least 0.0145 of 1 after it.
  CHECK(relative_difference<float, float>(ours, theirs) <= 1e-6);

  const std::string npy = (folder / "pixels.npy").string();
  REQUIRE(call({"preprocess", "--model", data("tiny-a.model.safetensors").string(), "--images",
                data("images").string(), "--out", npy})
              .exit_code == 0);
  CHECK(relative_difference<float, float>(npy_file(npy).tensor<float>(), ours) == 0);

  const auto from_pixels = result("tiny-a", {"--pixels", npy});
  const auto from_images = result("tiny-a", {"--images", data("images").string()});
  CHECK(relative_difference<float, float>(from_pixels, from_images) <= bound);
}
