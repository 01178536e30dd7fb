#include <algorithm>
#include <vector>

#include <solens/model/text_tower.hpp>
#include <solens/testing/archetypes.hpp>

#include "fixture.hpp"

using namespace solens;
using namespace solens::test;

// The archetype computes what the oracle does, on memory that host code cannot read: a tower that
// reached for an element, or for an operation outside the contract, would not get this far.

namespace {

using contract = testing::archetype_backend<double>;
using oracle = reference_backend<double>;

/// Representations of the fixture's first two images and features of its texts.
template <class B>
std::vector<host_tensor<double>> run(const B& be) {
  clip_model<B> model = fixture_model(be, "tiny-a");
  const safetensors_file file(data("tiny-a.ref.safetensors"));
  std::vector<host_tensor<double>> results;

  const vision_tower<B> vision(model.config.vision, std::move(*model.weights.vision));
  const auto images = file.tensor<double>("images");
  const auto pixels = on_backend(be, images.view().slice(0, 0, 2));
  auto work = vision.make_workspace(be, 2);
  const std::vector<site> sites{{site_kind::mlp_post, 1}, {site_kind::pattern, 3, true}};
  auto cache = vision.make_cache(be, 2, sites);
  auto representation = be.allocate({2, vision.d_joint()});
  vision.forward(be, pixels.view(), work, representation.view(), &cache);
  results.push_back(on_host(be, representation.view()));
  for (const site& s : sites) results.push_back(on_host(be, cache.at(s)));

  const text_tower<B> text(*model.config.text, std::move(*model.weights.text));
  const auto tokens = file.tensor<index_t>("text_tokens");
  auto text_work = text.make_workspace(be);
  auto features = be.allocate({tokens.extent(0), text.d_joint()});
  text.forward(be, tokens.view(), text_work, features.view());
  results.push_back(on_host(be, features.view()));
  return results;
}

}  // namespace

TEST_CASE("both towers run on a backend that offers nothing but the contract") {
  const auto expected = run(oracle{});
  const auto found = run(contract{0});
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    REQUIRE(found[i].extents() == expected[i].extents());
    CHECK(std::equal(found[i].begin(), found[i].end(), expected[i].begin()));
  }
}
