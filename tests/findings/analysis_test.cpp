#include "support/test.hpp"

#include "findings/effects_oracle.hpp"
#include "findings/made_up.hpp"
#include "support/backends.hpp"

#include <algorithm>  // std::is_permutation, std::is_sorted
#include <limits>
#include <stdexcept>

#include <solens/findings/analysis.hpp>

using namespace solens;
using test::made_up;

namespace {

/// The mean over the images of s [images, sources, writers]: [writers, sources].
template <class T>
host_tensor<T> mean_of(const host_tensor<T>& s) {
  host_tensor<T> mean({s.extent(2), s.extent(1)});
  for (index_t k = 0; k < s.extent(1); ++k) {
    for (index_t w = 0; w < s.extent(2); ++w) {
      double sum = 0;
      for (index_t i = 0; i < s.extent(0); ++i) sum += static_cast<double>(s(i, k, w));
      mean(w, k) = static_cast<T>(sum / static_cast<double>(s.extent(0)));
    }
  }
  return mean;
}

template <class T>
bool same(const layer_findings<T>& a, const layer_findings<T>& b) {
  const auto equal = [](const auto& x, const auto& y) {
    return x.extents() == y.extents() && std::equal(x.begin(), x.end(), y.begin());
  };
  return equal(a.mean_effect, b.mean_effect) &&
         equal(a.direction.direction, b.direction.direction) &&
         equal(a.selectivity.top_images, b.selectivity.top_images) &&
         equal(a.selectivity.top_norms, b.selectivity.top_norms) &&
         equal(a.direction.explained_variance_all, b.direction.explained_variance_all);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("an analysis equals the one with every effect in memory", "",
                        test::cpu_backends) {
  using B = TestType;
  using scalar = typename B::scalar;
  const B be{};
  const made_up<B> model;
  const auto how = GENERATE(convention::centered, convention::reference);
  const index_t batch = GENERATE(index_t{1}, index_t{8}, index_t{31});
  const index_t top = 6;
  test::temporary_folder folder;
  // a budget of a few writers, so that blocks are seen, beside what does not go by writers
  constexpr index_t images = made_up<B>::images;
  const auto n_batches = static_cast<std::size_t>((images + batch - 1) / batch);
  const std::size_t memory = 30000 + 2 * analysis<B>::part_bytes() + 8 * page_size * n_batches;
  // and one in which the activations of the first layer may be kept
  const bool routed = GENERATE(false, true);
  analysis<B> a(be, model.weights,
                {.layers = {0, 2},
                 .top = top,
                 .how = how,
                 .scratch = folder.path(),
                 .memory = routed ? 100 * memory : memory,
                 .n_images = routed ? images : 0,
                 .n_tokens = made_up<B>::tokens});
  constexpr bool on_host = std::is_same_v<typename B::space, host_space>;
  CHECK(std::filesystem::exists(folder / "layer-0.activations") == (routed && on_host));
  CHECK_FALSE(std::filesystem::exists(folder / "layer-2.activations"));
  model.add(be, a, 0, made_up<B>::images, batch);
  CHECK(a.n_images() == made_up<B>::images);
  for (index_t layer : {index_t{0}, index_t{2}}) {
    const auto found = a.finish(be, layer);
    const auto effects = model.effects(be, layer, how);
    const auto mean_s = mean_of(model.coefficients(be, layer));
    CHECK(test::relative_difference<scalar, scalar>(found.mean_coefficients.view(), mean_s.view()) <
          test::bound<scalar>(1e-12, 2e-6));
    for (index_t w = 0; w < made_up<B>::writers; ++w) {
      CAPTURE(layer, w, static_cast<int>(how), batch);
      host_tensor<double> of_writer({made_up<B>::images, made_up<B>::d_joint});
      for (index_t i = 0; i < made_up<B>::images; ++i) {
        for (index_t j = 0; j < made_up<B>::d_joint; ++j)
          of_writer(i, j) = static_cast<double>(effects(i, w, j));
      }
      const test::effects_oracle expected(std::move(of_writer), top);
      const double tolerance = test::bound<scalar>(1e-10, 2e-5);
      const host_view<const double> mean(expected.mean.data(), {made_up<B>::d_joint});
      CHECK(test::relative_difference<scalar, double>(std::as_const(found.mean_effect).view()[w],
                                                      mean) < tolerance);
      double cosine = 0;
      for (index_t j = 0; j < made_up<B>::d_joint; ++j) {
        cosine += static_cast<double>(found.direction.direction(w, j)) *
                  expected.direction[static_cast<std::size_t>(j)];
      }
      CHECK(cosine > 1 - test::bound<scalar>(1e-8, 1e-5));
      for (index_t i = 0; i < top; ++i) {
        const auto image = static_cast<std::size_t>(expected.top[static_cast<std::size_t>(i)]);
        CHECK(found.selectivity.top_images(w, i) == static_cast<index_t>(image));
        CHECK(static_cast<double>(found.selectivity.top_norms(w, i)) ==
              Approx(expected.norms[image]).epsilon(tolerance));
      }
      CHECK(static_cast<double>(found.direction.explained_variance(w)) ==
            Approx(expected.explained).epsilon(tolerance));
      CHECK(static_cast<double>(found.direction.explained_variance_all(w)) ==
            Approx(expected.explained_all).epsilon(tolerance));
    }
  }
}

TEST_CASE("findings are the same whether coefficients or activations are kept") {
  using B = eigen_backend<double>;
  const B be{};
  const made_up<B, 150> model;  // five panels of writers, the last of 22
  const auto how = GENERATE(convention::centered, convention::reference);
  const bool tight = GENERATE(false, true);
  test::temporary_folder kept, routed;
  const auto options = [&](const test::temporary_folder& f, index_t n_images) {
    return analysis_options{.layers = {0, 1},
                            .top = 6,
                            .how = how,
                            .scratch = f.path(),
                            .n_images = n_images,
                            .n_tokens = 2};
  };
  auto with_activations = options(routed, 31);
  // one or two panels at a time
  if (tight) with_activations.memory = 500000 + 10 * analysis<B>::part_bytes();
  analysis<B> a(be, model.weights, options(kept, 0)), b(be, model.weights, with_activations);
  for (analysis<B>* each : {&a, &b}) model.add(be, *each, 0, 31, 8);
  CHECK(std::filesystem::exists(kept / "layer-1.coefficients"));
  CHECK(std::filesystem::exists(routed / "layer-1.activations"));
  for (index_t layer : {index_t{0}, index_t{1}}) {
    std::vector<index_t> ends;
    const auto x = a.finish(be, layer);
    const auto y = b.finish(be, layer, [&](index_t end) { ends.push_back(end); });
    CHECK((ends.size() > 1) == tight);
    CHECK(ends.back() == 150);
    const auto near = [](const auto& p, const auto& q) {
      return test::relative_difference<double, double>(p.view(), q.view()) < 1e-10;
    };
    CHECK(near(y.mean_coefficients, x.mean_coefficients));
    CHECK(near(y.mean_effect, x.mean_effect));
    CHECK(near(y.selectivity.top_norms, x.selectivity.top_norms));
    CHECK(near(y.selectivity.norm_quantiles, x.selectivity.norm_quantiles));
    CHECK(near(y.direction.direction, x.direction.direction));
    CHECK(near(y.direction.explained_variance_all, x.direction.explained_variance_all));
    CHECK(near(y.direction.by_head, x.direction.by_head));
    CHECK(std::equal(y.selectivity.top_images.begin(), y.selectivity.top_images.end(),
                     x.selectivity.top_images.begin()));
  }
}

TEMPLATE_LIST_TEST_CASE("coefficients are made of more writers than a part holds", "",
                        test::cpu_backends) {
  using B = TestType;
  using scalar = typename B::scalar;
  const B be{};
  const made_up<B, 3001> model;
  test::temporary_folder folder;
  analysis<B> a(be, model.weights, {.layers = {0}, .top = 3, .scratch = folder.path()});
  model.add(be, a, 0, 31, 27);
  const auto expected = mean_of(model.coefficients(be, 0));
  CHECK(test::relative_difference<scalar, scalar>(a.finish(be, 0).mean_coefficients.view(),
                                                  expected.view()) <
        test::bound<scalar>(1e-12, 2e-6));
}

TEST_CASE("an interrupted analysis goes on and ends with the same bits") {
  using B = eigen_backend<float>;
  const B be{};
  const made_up<B> model;
  test::temporary_folder whole_folder, folder;
  const index_t n_images = GENERATE(0, 31);  // known, the activations of layers 0 and 1 are kept
  const auto options = [&](const test::temporary_folder& f) {
    return analysis_options{.layers = {0, 1, 2},
                            .top = 5,
                            .scratch = f.path(),
                            .n_images = n_images,
                            .n_tokens = made_up<B>::tokens};
  };
  analysis<B> whole(be, model.weights, options(whole_folder));
  CHECK(std::filesystem::exists(whole_folder / "layer-0.activations") == (n_images > 0));
  model.add(be, whole, 0, 31, 4);
  {
    analysis<B> first(be, model.weights, options(folder));
    model.add(be, first, 0, 20, 4);  // two batches more than are remembered
  }
  if (n_images > 0) {
    auto forgetful = options(folder);
    forgetful.n_tokens = 0;
    CHECK_THROWS_AS(analysis<B>(be, model.weights, forgetful, {4, 4, 4}), argument_error);
  }
  analysis<B> second(be, model.weights, options(folder), {4, 4, 4});
  CHECK(second.n_images() == 12);
  model.add(be, second, 12, 31, 4);
  for (index_t layer : {index_t{0}, index_t{1}, index_t{2}}) {
    CHECK(same(whole.finish(be, layer), second.finish(be, layer)));
  }
  second.clear();
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a layer can be done with before the others") {
  using B = eigen_backend<float>;
  const B be{};
  const made_up<B> model;
  const auto how = GENERATE(convention::centered, convention::reference);
  const index_t n_images = GENERATE(0, 31);  // known, the activations of layers 0 and 1 are kept
  test::temporary_folder whole_folder, folder;
  const auto options = [&](const test::temporary_folder& f, std::vector<index_t> layers) {
    return analysis_options{.layers = std::move(layers),
                            .top = 5,
                            .how = how,
                            .scratch = f.path(),
                            .n_images = n_images,
                            .n_tokens = made_up<B>::tokens};
  };
  analysis<B> whole(be, model.weights, options(whole_folder, {0, 1, 2}));
  model.add(be, whole, 0, 31, 4);
  std::vector<index_t> batches;
  {
    analysis<B> first(be, model.weights, options(folder, {0, 1, 2}));
    model.add(be, first, 0, 31, 4);
    batches = first.batches();
    CHECK(same(whole.finish(be, 0), first.finish(be, 0)));
    first.sync();
    CHECK(std::filesystem::exists(folder / "layer-1.activations") == (n_images > 0));
    first.clear(0);
    CHECK(same(whole.finish(be, 1), first.finish(be, 1)));
  }
  for (const char* gone : {"layer-0.coefficients", "layer-0.activations", "layer-0.rest"}) {
    CHECK_FALSE(std::filesystem::exists(folder / gone));
  }
  analysis<B> second(be, model.weights, options(folder, {1, 2}), batches);
  for (index_t layer : {index_t{1}, index_t{2}}) {
    CHECK(same(whole.finish(be, layer), second.finish(be, layer)));
  }
}

TEST_CASE("NaN and infinity are named by image and layer, and what was added stays") {
  using B = eigen_backend<float>;
  const B be{};
  made_up<B> model;
  test::temporary_folder folder, routed_folder;
  analysis<B> a(be, model.weights, {.layers = {0, 2}, .top = 3, .scratch = folder.path()});
  model.add(be, a, 0, 8, 4);
  const float bad =
      GENERATE(std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity());
  const auto poisoned = model.batch(8, 12);
  const auto view = poisoned.blocks[2].writers;
  float& cell = const_cast<float&>(view(1, 1, 5));
  const float good = std::exchange(cell, bad);
  const std::vector<std::string> names{"a.png", "b.png", "c.png", "d.png"};
  try {
    a.add(be, poisoned, names);
    FAIL("not refused");
  } catch (const format_error& e) {
    CHECK_THAT(e.what(), Catch::Contains("image 9, b.png, layer 2"));
  }
  CHECK(a.n_images() == 8);
  // in what is kept of layer 0, and in the routes
  analysis<B> routed(be, model.weights,
                     {.layers = {0, 2},
                      .top = 3,
                      .scratch = routed_folder.path(),
                      .n_images = 31,
                      .n_tokens = made_up<B>::tokens});
  model.add(be, routed, 0, 8, 4);
  for (const auto& [of, what] : {std::pair{poisoned.blocks[0].writers, "layer 0"},
                                 std::pair{poisoned.blocks[3].class_attention, "layer 0"}}) {
    float& other = const_cast<float&>(of(2, 1, 1));
    const float was = std::exchange(other, bad);
    CHECK_THROWS_WITH(routed.add(be, poisoned, names),
                      Catch::Contains("image 10, c.png") && Catch::Contains(what));
    CHECK(routed.n_images() == 8);
    other = was;
  }
  cell = good;
  model.add(be, a, 8, 31, 4);  // the same batch again, and the rest
  model.add(be, routed, 8, 31, 4);
  test::temporary_folder other;
  analysis<B> clean(be, model.weights, {.layers = {0, 2}, .top = 3, .scratch = other.path()});
  model.add(be, clean, 0, 31, 4);
  CHECK(same(a.finish(be, 0), clean.finish(be, 0)));
  CHECK(same(a.finish(be, 2), clean.finish(be, 2)));
  CHECK(same(routed.finish(be, 2), clean.finish(be, 2)));
}

TEST_CASE("layers may be looked at in any order, alone or together, and images added between") {
  using B = eigen_backend<float>;
  const B be{};
  const made_up<B, 150> model;  // five panels of writers
  test::temporary_folder folder, whole_folder;
  const auto how = GENERATE(convention::centered, convention::reference);
  const auto options = [&](const test::temporary_folder& f) {
    return analysis_options{.layers = {0, 1, 2},
                            .top = 5,
                            .how = how,
                            .scratch = f.path(),
                            .n_images = 31,
                            .n_tokens = 2};
  };
  analysis<B> whole(be, model.weights, options(whole_folder));
  model.add(be, whole, 0, 31, 4);
  // With room for few writers at once, parts of layer 2 come between those of 0 and 1.
  auto tight = options(folder);
  tight.memory = 450000 + 10 * analysis<B>::part_bytes();
  analysis<B> a(be, model.weights, tight);
  REQUIRE(std::filesystem::exists(folder / "layer-1.activations"));
  REQUIRE(std::filesystem::exists(folder / "layer-2.coefficients"));
  model.add(be, a, 0, 12, 4);
  a.finish(be, 0);
  model.add(be, a, 12, 31, 4);
  for (const index_t layer : {1, 0, 2, 2, 0}) {
    CAPTURE(layer);
    CHECK(same(a.finish(be, layer), whole.finish(be, layer)));
  }
  const std::vector<index_t> order =
      GENERATE(std::vector<index_t>{0, 1, 2}, std::vector<index_t>{2, 0, 1, 2});
  std::vector<index_t> found, done;
  const auto take = [&](index_t layer, const layer_findings<float>& of_layer) {
    CAPTURE(layer);
    CHECK(same(of_layer, whole.finish(be, layer)));
    found.push_back(layer);
  };
  a.finish(be, order, take, [&](index_t n) { done.push_back(n); });
  CHECK(std::is_permutation(found.begin(), found.end(), order.begin(), order.end()));
  CHECK(std::is_sorted(done.begin(), done.end()));
  CHECK(done.back() == 150 * std::ssize(order));
  // What a caller throws ends it, and it can be asked again.
  const auto stop = [](index_t) { throw std::runtime_error("stop"); };
  CHECK_THROWS_WITH(a.finish(be, order, take, stop), "stop");
  CHECK_THROWS_AS(a.finish(be, {0, 3}, take), argument_error);
  found.clear();
  a.finish(be, {0, 1, 2}, [&](index_t layer, const auto& of_layer) {
    take(layer, of_layer);
    a.clear(layer);
  });
  CHECK(found.size() == 3);
  a.clear();
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("questions without an answer are refused") {
  using B = eigen_backend<double>;
  const B be{};
  const made_up<B> model;
  test::temporary_folder folder;
  const auto with = [&](analysis_options o) {
    o.scratch = folder.path();
    analysis<B> a(be, model.weights, o);
    model.add(be, a, 0, 4, 4);
    a.finish(be, 0);
  };
  CHECK_THROWS_AS(with({.layers = {}}), argument_error);
  CHECK_THROWS_AS(with({.layers = {3}}), argument_error);  // the last: no later blocks
  CHECK_THROWS_AS(with({.layers = {-1}}), argument_error);
  CHECK_THROWS_AS(with({.layers = {1}, .top = 2}), argument_error);  // finish(0)
  CHECK_THROWS_AS(with({.layers = {0}, .top = 5}), argument_error);  // of 4 images
  CHECK_THROWS_AS(with({.layers = {0}, .top = 2, .memory = 100}), argument_error);
  analysis_options nowhere{.layers = {0}};
  nowhere.scratch = folder / "not there";
  CHECK_THROWS_AS(analysis<B>(be, model.weights, nowhere), io_error);
}

#if defined(SOLENS_CUDA_EMULATION) || defined(SOLENS_TEST_CUDA)

namespace {

/// A GPU of which no more than 24 MB may be held; 16 MB of these are for copies.
struct small_device : cuda_backend<float> {
  small_device() : cuda_backend<float>(the()) {}
  static const cuda_backend<float>& the() {
    static const auto* const be = new cuda_backend<float>({.memory = index_t{24} << 20});
    return *be;
  }
};

}  // namespace

TEST_CASE("a device without enough memory says what to lower, and an analysis goes on with more") {
  test::temporary_folder whole_folder, folder;
  const auto options = [](const test::temporary_folder& f) {
    return analysis_options{.layers = {1, 2}, .top = 5, .scratch = f.path()};
  };
  std::vector<index_t> batches;
  {
    const small_device be;
    const made_up<small_device> model;
    analysis<small_device> first(be, model.weights, options(folder));
    model.add(be, first, 0, 12, 4);
    const auto many = model.with_each(
        [](const_view_of<small_device> v) { return v.select(0, 12).repeated(1'000'000); });
    CHECK_THROWS_AS(first.add(be, many), cuda::out_of_memory);
    CHECK_THROWS_WITH(first.add(be, many),
                      Catch::Contains("the budget's 26 MB") && Catch::Contains("fewer images"));
    CHECK(first.n_images() == 12);
    model.add(be, first, 12, 20, 4);
    first.sync();
    batches = first.batches();
  }
  using B = test::shared_cuda_backend<float>;
  const B be{};
  const made_up<B> model;
  analysis<B> second(be, model.weights, options(folder), batches);
  CHECK(second.n_images() == 20);
  model.add(be, second, 20, 31, 4);
  analysis<B> whole(be, model.weights, options(whole_folder));
  model.add(be, whole, 0, 31, 4);
  for (index_t layer : {index_t{1}, index_t{2}}) {
    CHECK(same(whole.finish(be, layer), second.finish(be, layer)));
  }
}

#endif
