#include "support/test.hpp"

#include <cmath>
#include <map>

#include "findings/effects_oracle.hpp"
#include "findings/made_up.hpp"
#include "lens/backends.hpp"
#include "model/fixture.hpp"

#include <solens/findings/ablation.hpp>
#include <solens/model/lens_views.hpp>
#include <solens/stats/accuracy.hpp>

using namespace solens;
using test::made_up;

namespace {

using rows_by_name = std::map<std::string, host_tensor<double>>;  // each [images, width]

template <class T>
layer_to_ablate<T> to_ablate(index_t layer, const layer_findings<T>& found) {
  return {.layer = layer,
          .mean_effect = found.mean_effect.view(),
          .mean_coefficients = found.mean_coefficients.view(),
          .threshold = found.selectivity.threshold.view(),
          .directions = {{"direction", found.direction.direction.view()}}};
}

/// The rows of batches put together, layer by layer.
template <class B>
class collector {
 public:
  collector(const B& be, const ablation<B>& from, index_t n_images)
      : be_(be), from_(from), n_images_(n_images) {}

  auto taker() {
    return [this](std::size_t i, const_view_of<B> x) {
      const auto host = test::on_host(be_, x);
      const auto names = from_.rows(i);
      REQUIRE(std::ssize(names) == x.extent(0));
      for (std::size_t r = 0; r < names.size(); ++r) {
        auto& to = rows_[i][names[r]];
        if (to.empty()) to = host_tensor<double>({n_images_, x.extent(2)});
        for (index_t image = 0; image < x.extent(1); ++image) {
          for (index_t j = 0; j < x.extent(2); ++j) {
            to(from_.n_images() + image, j) =
                static_cast<double>(host(static_cast<index_t>(r), image, j));
          }
        }
      }
    };
  }
  rows_by_name& operator[](std::size_t i) { return rows_[i]; }

 private:
  const B& be_;
  const ablation<B>& from_;
  index_t n_images_;
  std::map<std::size_t, rows_by_name> rows_;
};

/// Ablations the plain way: every effect in memory, everything in double. An image is significant
/// for a writer when its effect is longer than that of the last of the top images.
class ablation_oracle {
 public:
  ablation_oracle(const host_tensor<double>& effects, const host_tensor<double>& baseline,
                  index_t top, index_t layer, std::uint64_t seed)
      : images_(effects.extent(0)), writers_(effects.extent(1)), width_(effects.extent(2)) {
    std::vector<test::effects_oracle> found;
    for (index_t w = 0; w < writers_; ++w) {
      host_tensor<double> of_writer({images_, width_});
      for (index_t i = 0; i < images_; ++i) {
        for (index_t j = 0; j < width_; ++j) of_writer(i, j) = effects(i, w, j);
      }
      found.emplace_back(std::move(of_writer), top);
    }
    const auto random =
        random_directions<double>(writers_, width_, {seed, static_cast<std::uint64_t>(layer)});
    for (index_t i = 0; i < images_; ++i) {
      std::vector<index_t> significant;
      for (index_t w = 0; w < writers_; ++w) {
        const auto& top_of = found[static_cast<std::size_t>(w)].top;
        if (std::find(top_of.begin(), top_of.end() - 1, i) != top_of.end() - 1)
          significant.push_back(w);
      }
      n_significant += std::ssize(significant);
      const auto drawn =
          random_subset(writers_, std::ssize(significant),
                        {seed, static_cast<std::uint64_t>(layer), static_cast<std::uint64_t>(i)});
      const auto in = [](const std::vector<index_t>& set, index_t w) {
        return std::find(set.begin(), set.end(), w) != set.end();
      };
      for (index_t w = 0; w < writers_; ++w) {
        const auto& f = found[static_cast<std::size_t>(w)];
        const double* phi = &f.effects(i, 0);
        add("without_neurons", i, baseline, -1, phi);
        add("without_significant", i, baseline, in(significant, w) ? -1 : 0, phi);
        add("without_insignificant", i, baseline, in(significant, w) ? 0 : -1, phi);
        add("random_neurons", i, baseline, in(drawn, w) ? -1 : 0, phi);
        add("random_neurons_kept", i, baseline, in(drawn, w) ? 0 : -1, phi);
        add("baseline", i, baseline, 0, phi);
        along("direction", i, baseline, phi, f.direction.data());
        along("random_directions", i, baseline, phi, &random(w, 0));
      }
    }
  }

  rows_by_name rows;
  index_t n_significant = 0;

 private:
  void add(const std::string& row, index_t image, const host_tensor<double>& baseline,
           double factor, const double* x) {
    auto& to = rows[row];
    if (to.empty()) to = baseline.clone();
    for (index_t j = 0; j < width_; ++j) to(image, j) += factor * x[j];
  }
  void along(const std::string& row, index_t image, const host_tensor<double>& baseline,
             const double* phi, const double* r) {
    double product = 0;
    for (index_t j = 0; j < width_; ++j) product += phi[j] * r[j];
    add(row, image, baseline, -1, phi);
    add(row, image, baseline, product, r);
  }

  index_t images_, writers_, width_;
};

template <class T>
host_tensor<double> in_double(const host_tensor<T>& x) {
  host_tensor<double> y(x.extents());
  std::transform(x.begin(), x.end(), y.begin(), [](T v) { return static_cast<double>(v); });
  return y;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("ablations equal those with every effect in memory", "",
                        test::cpu_backends) {
  using B = TestType;
  using scalar = typename B::scalar;
  const B be{};
  const made_up<B> model;
  constexpr index_t images = made_up<B>::images, top = 6;
  const auto how = GENERATE(convention::centered, convention::reference);
  const index_t batch = GENERATE(index_t{1}, index_t{8}, index_t{31});
  const bool with_outputs = GENERATE(false, true);
  test::temporary_folder folder;
  analysis<B> a(be, model.weights,
                {.layers = {0, 1, 2}, .top = top, .how = how, .scratch = folder.path()});
  model.add(be, a, 0, images, 10);

  const std::vector<index_t> layers{0, 2, 1};
  std::vector<layer_findings<scalar>> found;
  std::vector<layer_to_ablate<scalar>> input;
  std::vector<typename B::tensor> outputs;
  for (index_t layer : layers) {
    found.push_back(a.finish(be, layer));
    outputs.push_back(model.outputs(be, layer));
  }
  for (std::size_t i = 0; i < layers.size(); ++i) input.push_back(to_ablate(layers[i], found[i]));

  ablation<B> ablate(be, model.weights, input, {.how = how, .seed = 7});
  collector<B> rows(be, ablate, images);
  for (index_t begin = 0; begin < images; begin += batch) {
    const index_t end = std::min(images, begin + batch);
    std::vector<const_view_of<B>> of_batch;
    for (const auto& x : outputs) {
      if (with_outputs) of_batch.push_back(x.view().slice(0, begin, end));
    }
    ablate.add(be, model.batch(begin, end), rows.taker(), of_batch);
  }
  CHECK(ablate.n_images() == images);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto all = model.effects_of(be, layers[i], how);
    const ablation_oracle expected(in_double(all.effects), in_double(all.scaled), top, layers[i],
                                   7);
    CHECK(ablate.n_significant(i) == expected.n_significant);
    CHECK(rows[i].size() == expected.rows.size());
    for (const auto& [name, row] : expected.rows) {
      CAPTURE(layers[i], name, static_cast<int>(how), batch, with_outputs);
      CHECK(test::relative_difference<double, double>(rows[i].at(name).view(), row.view()) <
            test::bound<scalar>(1e-11, 2e-5));
    }
  }
}

TEST_CASE("ablations need nothing of a backend but the contract") {
  const auto run = []<class B>(const B& be) {
    using scalar = typename B::scalar;
    const made_up<B> model;
    const index_t n = made_up<B>::writers, e = made_up<B>::d_joint;
    const auto mean_effect = test::random_tensor<scalar>({n, e}, 1);
    const auto mean_coefficients = test::random_tensor<scalar>({n, 4}, 2);
    const auto direction = random_directions<scalar>(n, e, {3});
    const host_tensor<scalar> threshold({n}, 100);
    ablation<B> ablate(be, model.weights,
                       {{1, mean_effect, mean_coefficients, threshold, {{"d", direction}}}},
                       {.how = convention::reference});
    collector<B> rows(be, ablate, made_up<B>::images);
    ablate.add(be, model.activations, rows.taker());
    CHECK(ablate.n_significant(0) > 0);
    return std::move(rows[0]);
  };
  const auto plain = run(reference_backend<double>{});
  const auto on_device = run(testing::archetype_backend<double>{0});
  for (const auto& [name, row] : plain) {
    CHECK(std::equal(row.begin(), row.end(), on_device.at(name).begin()));
  }
}

TEMPLATE_LIST_TEST_CASE("ablations give the published logits of layer 1 of tiny-a", "",
                        test::cpu_backends) {
  using B = TestType;
  using scalar = typename B::scalar;
  const B be{};
  const safetensors_file stages(test::data("tiny-a.stages.safetensors"));
  auto loaded = test::fixture_model(be, "tiny-a");
  const vision_tower<B> tower(loaded.config.vision, std::move(*loaded.weights.vision));
  const auto weights = lens_weights_of(tower);
  const auto train = stages.tensor<scalar>("train_images"),
             val = stages.tensor<scalar>("val_images");
  std::vector<site> sites = second_order_sites(tower.config(), {1});
  sites.push_back({site_kind::mlp_out, 1});
  auto cache = tower.make_cache(be, train.extent(0), sites);
  auto work = tower.make_workspace(be, train.extent(0));
  auto representation = be.allocate({train.extent(0), tower.d_joint()});

  test::temporary_folder folder;
  analysis<B> a(be, weights,
                {.layers = {1}, .top = 16, .how = convention::reference, .scratch = folder.path()});
  tower.forward(be, test::on_backend(be, train).view(), work, representation.view(), &cache);
  a.add(be, lens_activations_of(cache));
  const auto found = a.finish(be, 1);

  // The published mean, thresholds and directions; of ours, what they did not keep.
  const auto mean = stages.tensor<scalar>("effects_mean"), norm = stages.tensor<scalar>("norm"),
             pca = stages.tensor<scalar>("pca"), dictionary = stages.tensor<scalar>("dictionary"),
             classifier = stages.tensor<scalar>("classifier"),
             code_weights = stages.tensor<scalar>("json_value");
  const auto code =
      reconstruct_codes<scalar>(stages.tensor<index_t>("json_index"), code_weights, dictionary);
  ablation<B> ablate(be, weights,
                     {{.layer = 1,
                       .mean_effect = mean,
                       .mean_coefficients = found.mean_coefficients,
                       .threshold = norm.view().select(1, 0),
                       .directions = {{"direction", pca}, {"code", code}}}},
                     {.how = convention::reference});
  representation = be.allocate({val.extent(0), tower.d_joint()});
  tower.forward(be, test::on_backend(be, val).view(), work, representation.view(), &cache);
  const std::vector<const_view_of<B>> outputs{cache.at({site_kind::mlp_out, 1})};
  const std::map<std::string, std::string> published{
      {"baseline", "original"},
      {"without_neurons", "without_neurons"},
      {"without_significant", "without_significant"},
      {"without_insignificant", "without_insignificant"},
      {"direction", "projected_to_pc"},
      {"code", "sparse_reconstruction"}};
  std::map<std::string, index_t> right;
  const auto labels = stages.tensor<index_t>("val_labels");
  ablate.add(
      be, lens_activations_of(cache),
      [&](std::size_t i, const_view_of<B> rows) {
        const auto names = ablate.rows(i);
        for (std::size_t r = 0; r < names.size(); ++r) {
          if (!published.contains(names[r])) continue;
          CAPTURE(names[r]);
          auto of = be.allocate({val.extent(0), classifier.extent(1)});
          be.gemm(1, rows[static_cast<index_t>(r)], test::on_backend(be, classifier).view(), 0,
                  of.view());
          const auto logits = test::on_host(be, of.view());
          const auto expected = stages.tensor<scalar>("logits_" + published.at(names[r]));
          CHECK(test::relative_difference<scalar, scalar>(logits, expected) < 2e-5);
          stats::accuracy accuracy;
          accuracy.add<scalar>(logits, {labels.data(), static_cast<std::size_t>(labels.size())});
          right[names[r]] = accuracy.first();
        }
      },
      outputs);
  CHECK(right == std::map<std::string, index_t>{{"baseline", 12},
                                                {"without_neurons", 10},
                                                {"without_significant", 10},
                                                {"without_insignificant", 12},
                                                {"direction", 10},
                                                {"code", 9}});
}

TEST_CASE("an ablation refuses what does not fit, and images that are not finite") {
  using B = eigen_backend<float>;
  const B be{};
  made_up<B> model;
  test::temporary_folder folder;
  analysis<B> a(be, model.weights, {.layers = {1, 2}, .top = 3, .scratch = folder.path()});
  model.add(be, a, 0, 31, 31);
  const auto found = a.finish(be, 1), other = a.finish(be, 2);
  const auto make = [&](std::vector<layer_to_ablate<float>> layers) {
    return ablation<B>(be, model.weights, layers, {});
  };
  CHECK_THROWS_AS(make({}), argument_error);
  CHECK_THROWS_AS(make({to_ablate(3, found)}), argument_error);
  CHECK_THROWS_AS(make({to_ablate(-1, found)}), argument_error);
  CHECK_THROWS_WITH(make({to_ablate(1, other)}), Catch::Contains("layer 1: mean_coefficients"));
  auto cut = to_ablate(1, found);
  cut.threshold = cut.threshold.slice(0, 0, 6);
  CHECK_THROWS_WITH(make({cut}), Catch::Contains("layer 1: threshold"));
  cut = to_ablate(1, found);
  cut.directions[0].vectors = cut.directions[0].vectors.slice(1, 0, 9);
  CHECK_THROWS_WITH(make({cut}), Catch::Contains("layer 1: direction"));

  auto good = make({to_ablate(1, found), to_ablate(2, other)});
  const auto ignore = [](std::size_t, const_view_of<B>) {};
  good.add(be, model.batch(0, 8), ignore);
  const auto poisoned = model.batch(8, 12);
  const_cast<float&>(poisoned.blocks[2].writers(1, 1, 5)) = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::string> names{"a.png", "b.png", "c.png", "d.png"};
  CHECK_THROWS_WITH(good.add(be, poisoned, ignore, {}, names),
                    Catch::Contains("image 9, b.png, layer 2"));
}
