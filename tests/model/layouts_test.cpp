#include "support/backends.hpp"
#include "support/test.hpp"

#include <cstdlib>  // std::getenv
#include <string>
#include <utility>

#include <solens/model/load.hpp>
#include <solens/model/text_tower.hpp>
#include <solens/model/vision_tower.hpp>
#include <solens/weights/safetensors.hpp>

// Models that transformers and open_clip wrote themselves (tests/reference/make_models.py), with
// what they compute from a few pixels and tokens, in float32.

using namespace solens;

namespace {

/// By how much float32 sums in another order may differ, over the largest magnitude.
constexpr double float_rounding = 1e-5;

/// Relative difference of a tower's output, [n, d_joint], to the tensor `name` of `expected`.
template <tensor_backend B>
double difference(const B& be, const typename B::tensor& output, const safetensors_file& expected,
                  const char* name) {
  const auto found = test::on_host(be, output.view());
  const auto wanted = expected.tensor<double>(name);
  return test::relative_difference<typename B::scalar, double>(found.view(), wanted.view());
}

template <tensor_backend B>
double image_difference(const B& be, const clip_config& config, vision_weights<B> weights,
                        const safetensors_file& expected) {
  const vision_tower<B> tower(config.vision, std::move(weights));
  const auto pixels = expected.tensor<typename B::scalar>("pixels");
  const index_t n = pixels.extent(0);
  auto work = tower.make_workspace(be, n);
  const auto on_device = test::on_backend(be, pixels.view());
  auto output = be.allocate({n, config.d_joint});
  tower.forward(be, on_device.view(), work, output.view());
  return difference(be, output, expected, "image_features");
}

template <tensor_backend B>
double text_difference(const B& be, const clip_config& config, text_weights<B> weights,
                       const safetensors_file& expected) {
  const text_tower<B> tower(*config.text, std::move(weights));
  const auto tokens = expected.tensor<index_t>("tokens");
  auto work = tower.make_workspace(be);
  auto output = be.allocate({tokens.extent(0), config.d_joint});
  tower.forward(be, tokens.view(), work, output.view());
  return difference(be, output, expected, "text_features");
}

struct differences {
  double image = 0, text = 0;
};

/// A model's folder, with its expected.safetensors, loaded and run on what that holds.
template <tensor_backend B>
differences run_model(const B& be, const std::filesystem::path& folder) {
  const safetensors_file expected(folder / "expected.safetensors");
  auto model = load_clip(be, folder);
  CHECK(model.weights.vision.has_value() == expected.contains("image_features"));
  CHECK(model.weights.text.has_value() == expected.contains("text_features"));
  differences result;
  if (model.weights.vision) {
    result.image = image_difference(be, model.config, std::move(*model.weights.vision), expected);
  }
  if (model.weights.text) {
    result.text = text_difference(be, model.config, std::move(*model.weights.text), expected);
  }
  return result;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("models of each layout give what the library that wrote them gives", "",
                        test::cpu_backends) {
  for (const std::string layout :
       {"hugging_face", "hugging_face_old_end", "hugging_face_sharded", "hugging_face_vision",
        "hugging_face_text", "open_clip", "open_clip_custom_text"}) {
    CAPTURE(layout);
    const differences d = run_model(TestType(), test::data("layouts") / layout);
    CHECK(d.image <= float_rounding);
    CHECK(d.text <= float_rounding);
  }
}

// Not run by default. Full-size models are made outside the repository:
//   make_models.py full FOLDER && SOLENS_MODELS=FOLDER model_tests "[full-size]"
TEST_CASE("full-size models give what the library that wrote them gives", "[.][full-size]") {
  const char* folder = std::getenv("SOLENS_MODELS");
  REQUIRE(folder != nullptr);
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const differences d = run_model(eigen_backend<float>(), entry.path());
    WARN(entry.path().filename().string() << ": image " << d.image << ", text " << d.text);
    CHECK(d.image <= float_rounding);
    CHECK(d.text <= float_rounding);
  }
}
