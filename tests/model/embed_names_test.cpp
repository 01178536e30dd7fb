#include "support/test.hpp"

#include "model/tiny_text.hpp"
#include "support/backends.hpp"

#include <solens/model/embed_names.hpp>

using namespace solens;
using namespace solens::test;

TEST_CASE("more names than the tower is given at once come in their order, with a progress") {
  const tiny_text<eigen_backend<float>> text{eigen_backend<float>(1)};
  std::vector<std::string> names;
  for (int i = 0; i < 6000; ++i) names.push_back(tiny_names[static_cast<std::size_t>(i * i % 4)]);
  const auto sentences = templates({"{}", "the {}"});
  host_tensor<float> all({6000, 32}), few({4, 32});
  std::vector<index_t> done;
  const index_t n_cut = embed_names(text.be, text.tower, text.tokenizer, names, sentences,
                                    all.view(), [&](index_t n) { done.push_back(n); });
  CHECK(n_cut == 0);
  CHECK(done == std::vector<index_t>{4096, 6000});
  embed_names(text.be, text.tower, text.tokenizer, tiny_names, sentences, few.view());
  for (index_t i = 0; i < 6000; ++i) {
    if (relative_difference<float, float>(std::as_const(all).view()[i],
                                          std::as_const(few).view()[i * i % 4]) < 1e-5) {
      continue;
    }
    FAIL("name " << i);
  }
}

TEST_CASE("texts longer than the context are cut and counted") {
  const tiny_text<reference_backend<float>> text{{}};
  std::string long_name;
  for (int i = 0; i < 80; ++i) long_name += "cat ";
  const std::vector<std::string> names{"cat", long_name, "dog"};
  host_tensor<float> out({3, 32});
  CHECK(embed_names(text.be, text.tower, text.tokenizer, names, templates({"{}"}), out.view()) ==
        1);
}
