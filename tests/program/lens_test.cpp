#include "call.hpp"

#include <cmath>

#include <solens/weights/npy.hpp>
#include <solens/weights/safetensors.hpp>

using namespace solens;
using namespace solens::test;

namespace {

/// Published float32 numbers and ours may be this far apart, of the largest magnitude.
constexpr double bound = 2e-5;

std::vector<std::string> on(const std::string& command, const std::string& model,
                            std::vector<std::string> rest) {
  rest.insert(rest.begin(),
              {command, "--model", data(model + ".model.safetensors").string(), "--pixels",
               data(model + ".ref.safetensors").string() + ":images", "--quiet"});
  return rest;
}

/// Calls the program, which has to succeed.
host_tensor<float> effects(const std::string& model, std::vector<std::string> rest) {
  temporary_folder folder;
  const std::string out = (folder / "e.safetensors").string();
  rest.insert(rest.end(), {"--out", out});
  run(on("effects", model, rest));
  return safetensors_file(out).tensor<float>("effects");
}

host_tensor<float> published(const std::string& model, const std::string& name) {
  return safetensors_file(data(model + ".ref.safetensors")).tensor<float>(name);
}

}  // namespace

TEST_CASE("decompose gives the published parts, and parts that sum to the representation") {
  const std::string model = GENERATE("tiny-a", "tiny-b", "tiny-c");
  temporary_folder folder;
  const std::string out = (folder / "d.safetensors").string();
  run(on("decompose", model, {"--convention", "reference", "--out", out}));
  {
    const safetensors_file parts(out);
    CHECK(relative_difference<float, float>(parts.tensor<float>("attention"),
                                            published(model, "first_order_attentions")) < bound);
    CHECK(relative_difference<float, float>(parts.tensor<float>("mlp"),
                                            published(model, "first_order_mlps")) < bound);
  }
  run(on("decompose", model, {"--coefficient", "7", "--batch", "3", "--out", out}));
  const safetensors_file parts(out);
  const auto representation = published(model, "representation");
  const index_t images = representation.extent(0), e = representation.extent(1);
  host_tensor<double> sum({images, e}, 0.0), expected({images, e});
  for (const char* name : {"attention", "mlp", "attention_bias", "bias"}) {
    const auto part = parts.tensor<float>(name);
    REQUIRE(part.extent(0) == images);
    const index_t sources = part.size() / images / e;
    for (index_t i = 0; i < part.size(); ++i) {
      sum(i / (sources * e), i % e) += double{part.data()[i]};
    }
  }
  for (index_t i = 0; i < images; ++i) {
    double norm = 0;
    for (index_t j = 0; j < e; ++j) norm += std::pow(double{representation(i, j)}, 2);
    for (index_t j = 0; j < e; ++j) {
      expected(i, j) = 7 * double{representation(i, j)} / std::sqrt(norm);
    }
  }
  CHECK(relative_difference<double, double>(sum, expected) < bound);
}

TEST_CASE("effects gives the published second-order effects, whole and by head") {
  const auto [model, layer, terms] = GENERATE(table<std::string, int, bool>(
      {{"tiny-a", 0, false}, {"tiny-a", 1, true}, {"tiny-b", 3, true}, {"tiny-c", 2, false}}));
  const std::string l = std::to_string(layer);
  const auto whole = effects(model, {"--layer", l, "--convention", "reference", "--batch", "3"});
  CHECK(relative_difference<float, float>(whole, published(model, "second_order." + l)) < bound);
  if (!terms) return;
  const auto expected = published(model, "second_order_terms." + l);  // of the first two images
  const auto by_head = effects(model, {"--layer", l, "--convention", "reference", "--per-head"});
  CHECK(relative_difference<float, float>(by_head.view().slice(0, 0, 2).permuted({1, 0, 2, 3}),
                                          expected) < bound);
}

TEST_CASE("chosen neurons are rows of all of them, for every kind of effect") {
  const std::string kind = GENERATE("second-order", "direct", "indirect");
  const auto all = effects("tiny-c", {"--layer", "1", "--kind", kind});
  const auto some = effects("tiny-c", {"--layer", "1", "--kind", kind, "--neurons", "7,30-31,0"});
  REQUIRE(all.extents() == shape{4, 256, 40});
  REQUIRE(some.extents() == shape{4, 4, 40});
  const index_t chosen[] = {7, 30, 31, 0};
  double largest = 0, difference = 0;
  for (index_t i = 0; i < 4; ++i) {
    for (index_t n = 0; n < 4; ++n) {
      for (index_t j = 0; j < 40; ++j) {
        largest = std::max(largest, std::abs(double{all(i, chosen[n], j)}));
        difference =
            std::max(difference, std::abs(double{all(i, chosen[n], j)} - double{some(i, n, j)}));
      }
    }
  }
  CHECK(largest > 0);
  CHECK(difference <= 2e-5 * 100);  // indirect effects are differences of vectors of norm 100
}

TEST_CASE(
    "effects refuses layers and neurons that are not there, and words that do not go together") {
  temporary_folder folder;
  const auto fails = [&](std::vector<std::string> rest, int code, const std::string& text) {
    rest.insert(rest.end(), {"--out", (folder / "e.npy").string()});
    const outcome o = call(on("effects", "tiny-a", rest));
    CHECK(o.exit_code == code);
    CHECK_THAT(o.err, Catch::Contains(text));
    CHECK(names_in(folder.path()).empty());
  };
  fails({"--layer", "3"}, 1, "--layer");  // the last: no later blocks
  fails({"--layer", "9", "--kind", "direct"}, 1, "--layer");
  fails({"--layer", "1", "--neurons", "256"}, 1, "--neurons");
  fails({"--layer", "1", "--neurons", "5-"}, 2, "--neurons");
  fails({"--layer", "1", "--kind", "third"}, 2, "--kind");
  fails({"--layer", "1", "--kind", "direct", "--per-head"}, 2, "--per-head");
  fails({}, 2, "--layer");
}
