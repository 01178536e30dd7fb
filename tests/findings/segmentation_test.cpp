#include "support/test.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lens/backends.hpp"
#include "lens/tiny_clip.hpp"
#include "model/fixture.hpp"

#include <solens/findings/segmenter.hpp>

using namespace solens;
using namespace solens::test;

namespace {

constexpr index_t n_classes = 3;

/// A tower's blocks as the plain ones of the oracle.
tiny_clip plain_of(const vision_tower<reference_backend<double>>& tower) {
  const auto& w = tower.weights();
  tiny_clip m;
  for (const auto& b : w.blocks) {
    m.blocks.push_back({b.ln_1_weight.clone(), b.ln_1_bias.clone(), b.qkv_weight.clone(),
                        b.qkv_bias.clone(), b.out_weight.clone(), b.out_bias.clone(),
                        b.ln_2_weight.clone(), b.ln_2_bias.clone(), b.fc_weight.clone(),
                        b.fc_bias.clone(), b.proj_weight.clone(), b.proj_bias.clone()});
  }
  m.ln_post_weight = w.ln_post_weight.clone();
  m.ln_post_bias = w.ln_post_bias.clone();
  m.projection = w.projection.clone();
  m.heads = tower.config().n_heads;
  m.quick_gelu = true;
  return m;
}

template <class B>
vision_tower<B> tower_of(const B& be, const std::string& name) {
  const clip_source source = open_clip_model(
      name == "toyland" ? data("../../examples/toyland/model") : data(name + ".model.safetensors"));
  auto weights = load_weights(be, source.weights, source.config, {.vision = true, .text = false});
  return {source.config.vision, std::move(*weights.vision)};
}

/// Random unit columns, [d_joint, n_classes].
matrix random_classes(index_t d_joint) {
  const auto rows = random_directions<double>(n_classes, d_joint, {5});
  matrix columns({d_joint, n_classes});
  for (index_t c = 0; c < n_classes; ++c) {
    for (index_t j = 0; j < d_joint; ++j) columns(j, c) = rows(c, j);
  }
  return columns;
}

/// A model run over images in plain double, directions of its neurons, classes: made up once.
struct scene {
  std::vector<index_t> layers;
  host_tensor<double> pixels;
  tiny_clip model;
  tiny_trace trace;
  std::vector<matrix> directions;  ///< of each layer
  matrix classes;                  ///< [d_joint, n_classes]

  scene(const std::string& name, std::vector<index_t> of_layers) : layers(std::move(of_layers)) {
    const reference_backend<double> be;
    const auto tower = tower_of(be, name);
    const vision_config& c = tower.config();
    constexpr index_t images = 2;
    pixels = random_tensor<double>({images, 3, c.image_size, c.image_size}, 3);
    const site stream[] = {{site_kind::resid_pre, 0}};
    auto cache = tower.make_cache(be, images, stream);
    auto work = tower.make_workspace(be, images);
    matrix representation({images, tower.d_joint()});
    tower.forward(be, pixels, work, representation, &cache);
    model = plain_of(tower);
    trace = plain_forward(model, on_host(be, cache.at(stream[0])));
    for (const index_t l : layers) {
      directions.push_back(
          random_directions<double>(c.d_mlp, tower.d_joint(), {static_cast<std::uint64_t>(l)}));
    }
    classes = random_classes(tower.d_joint());
  }

  double product(std::size_t layer, index_t n, index_t c) const {
    double sum = 0;
    for (index_t j = 0; j < classes.extent(0); ++j) sum += directions[layer](n, j) * classes(j, c);
    return sum;
  }

  matrix blank() const { return matrix({trace.images(), n_classes, trace.tokens() - 1}, 0.0); }

  /// f(image, class, token from 1 on) everywhere
  template <class F>
  matrix each(F f) const {
    matrix map = blank();
    for (index_t i = 0; i < map.extent(0); ++i) {
      for (index_t c = 0; c < n_classes; ++c) {
        for (index_t t = 1; t < trace.tokens(); ++t) map(i, c, t - 1) = f(i, c, t);
      }
    }
    return map;
  }

  matrix attention() const {
    const auto& last = trace.blocks.back();
    return each([&](index_t i, index_t, index_t t) {
      double sum = 0;
      for (index_t h = 0; h < model.heads; ++h) sum += last.attention(i, h, t);
      return sum / static_cast<double>(model.heads);
    });
  }

  /// The whole product of the blocks' matrices, with nothing left out.
  matrix rollout() const {
    const index_t n = trace.tokens();
    std::vector<matrix> products;
    for (index_t i = 0; i < trace.images(); ++i) {
      matrix product({n, n}, 0.0);
      for (index_t t = 0; t < n; ++t) product(t, t) = 1;
      for (const auto& block : trace.blocks) {
        matrix next({n, n}, 0.0);
        for (index_t q = 0; q < n; ++q) {
          for (index_t k = 0; k < n; ++k) {
            double a = q == k ? 0.5 : 0;
            for (index_t h = 0; h < model.heads; ++h) {
              a += 0.5 * block.pattern(i, h, q, k) / static_cast<double>(model.heads);
            }
            for (index_t t = 0; t < n; ++t) next(q, t) += a * product(k, t);
          }
        }
        product = std::move(next);
      }
      products.push_back(std::move(product));
    }
    return each(
        [&](index_t i, index_t, index_t t) { return products[static_cast<std::size_t>(i)](0, t); });
  }

  /// t_c . P^T x
  double read(std::vector<double> x, index_t c) const {
    double sum = 0;
    for (index_t j = 0; j < model.width(); ++j) {
      for (index_t e = 0; e < model.d_joint(); ++e) {
        sum += x[static_cast<std::size_t>(j)] * model.projection(j, e) * classes(e, c);
      }
    }
    return sum;
  }

  matrix direct() const {
    return each([&](index_t i, index_t c, index_t t) {
      std::vector<double> x(static_cast<std::size_t>(model.width()), 0.0);
      for (index_t l = 0; l < model.layers(); ++l) {
        for (index_t h = 0; h < model.heads; ++h) {
          for (index_t d = 0; d < model.d_head(); ++d) {
            const double v = trace.at(l).attention(i, h, t) * trace.at(l).values(i, t, h, d);
            for (index_t j = 0; j < model.width(); ++j) {
              x[static_cast<std::size_t>(j)] += model.output_weight(l, h, j, d) * v;
            }
          }
        }
      }
      const double mean =
          std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(model.width());
      for (index_t j = 0; j < model.width(); ++j) {
        auto& value = x[static_cast<std::size_t>(j)];
        value = model.ln_post_weight(j) * (value - mean);
      }
      return read(x, c);
    });
  }

  matrix patches() const {
    return each([&](index_t i, index_t c, index_t t) {
      std::vector<double> x(static_cast<std::size_t>(model.width()));
      plain_layer_norm(&trace.stream(i, t, 0), model.ln_post_weight, model.ln_post_bias, x.data());
      double square = 0;
      for (index_t e = 0; e < model.d_joint(); ++e) {
        double y = 0;
        for (index_t j = 0; j < model.width(); ++j) {
          y += x[static_cast<std::size_t>(j)] * model.projection(j, e);
        }
        square += y * y;
      }
      return read(x, c) / std::sqrt(square);
    });
  }

  /// Neurons of class c as [product, layer position, neuron], ranked.
  std::vector<std::tuple<double, std::size_t, index_t>> ranked(index_t c, bool by_magnitude,
                                                               std::size_t count) const {
    std::vector<std::tuple<double, std::size_t, index_t>> all;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      for (index_t n = 0; n < directions[l].extent(0); ++n)
        all.emplace_back(product(l, n, c), l, n);
    }
    std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) {
      const double x = std::get<0>(a), y = std::get<0>(b);
      return by_magnitude ? std::abs(x) > std::abs(y) : x > y;
    });
    all.resize(std::min(count, all.size()));
    return all;
  }

  matrix neurons(const segmentation_options& o) const {
    matrix map = blank();
    for (index_t c = 0; c < n_classes; ++c) {
      const auto chosen = ranked(c, o.by_magnitude, static_cast<std::size_t>(o.n_writers));
      double total = 0;
      for (const auto& of : chosen) total += std::abs(std::get<0>(of));
      for (const auto& of : chosen) {
        const index_t layer = layers[std::get<1>(of)], n = std::get<2>(of);
        const double weight =
            o.weighted ? std::get<0>(of) / total : 1 / static_cast<double>(chosen.size());
        for (index_t i = 0; i < map.extent(0); ++i) {
          for (index_t t = 1; t < trace.tokens(); ++t) {
            map(i, c, t - 1) += weight * trace.at(layer).neurons(i, t, n);
          }
        }
      }
    }
    return map;
  }

  /// The mean of neurons that somebody else chose, `of_class(c)` for class c.
  template <class F>
  matrix mean_of(F of_class) const {
    return each([&](index_t i, index_t c, index_t t) {
      const std::span<const chosen_writer> chosen = of_class(c);
      double sum = 0;
      for (const auto& w : chosen) sum += trace.at(w.layer).neurons(i, t, w.writer);
      return sum / static_cast<double>(chosen.size());
    });
  }
};

/// Made once: the plain loops of toyland's model are not free.
const scene& scene_of(const std::string& name) {
  static const scene tiny_a("tiny-a", {1, 2}), toyland("toyland", {2, 4, 3});
  return name == "toyland" ? toyland : tiny_a;
}

/// A scene on a backend, after one pass that keeps what all sources need.
template <class B>
struct passed {
  using scalar = typename B::scalar;

  B be = make_backend<B>();
  const scene& of;
  vision_tower<B> tower;
  typename B::tensor classes;
  std::vector<host_tensor<scalar>> vectors;
  std::vector<directions_of_layer<scalar>> layers;

  explicit passed(const std::string& name)
      : of(scene_of(name)), tower(tower_of(be, name)), classes(put(be, of.classes.view())) {
    for (const matrix& d : of.directions) {
      auto& cast = vectors.emplace_back(d.extents());
      std::transform(d.begin(), d.end(), cast.begin(),
                     [](double x) { return static_cast<scalar>(x); });
    }
    for (std::size_t i = 0; i < of.layers.size(); ++i) {
      layers.push_back({of.layers[i], vectors[i].view()});
    }
  }

  segmenter<B> make(map_source source, const segmentation_options& options = {}) const {
    return {be, tower, source, layers, std::as_const(classes).view(), options};
  }

  std::vector<site> sites(map_source source) const {
    return segmentation_sites(tower.config(), source, of.layers);
  }

  activation_cache<B> pass(const std::vector<site>& sites) const {
    const auto pixels = put(be, of.pixels.view());
    const index_t n = of.pixels.extent(0);
    auto cache = tower.make_cache(be, n, sites);
    auto work = tower.make_workspace(be, n);
    auto representation = be.allocate({n, tower.d_joint()});
    tower.forward(be, pixels.view(), work, representation.view(), &cache);
    return cache;
  }

  matrix maps(segmenter<B>& source, const activation_cache<B>& cache,
              const std::vector<index_t>& asked = {0, 1, 2}) const {
    auto out = be.allocate({of.pixels.extent(0), std::ssize(asked), of.trace.tokens() - 1});
    source.maps(be, cache, asked, out.view());
    return get<B>(be, std::as_const(out).view());
  }
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("maps of every source, of one pass, are those written out plainly", "",
                        test::backends) {
  using B = TestType;
  const std::string name = GENERATE("tiny-a", "toyland");
  const passed<B> p(name);
  const segmentation_options options{.n_writers = 40};
  std::vector<segmenter<B>> all;
  std::vector<site> sites;
  for (const auto source : {map_source::neurons, map_source::random, map_source::attention,
                            map_source::rollout, map_source::direct, map_source::patches}) {
    all.push_back(p.make(source, options));
    const auto own = p.sites(source);
    sites.insert(sites.end(), own.begin(), own.end());
  }
  const auto cache = p.pass(sites);
  for (segmenter<B>& source : all) {
    CAPTURE(name, name_of(source.source()));
    const auto own_neurons = [&](index_t c) { return source.neurons(c); };
    const matrix expected = source.source() == map_source::neurons     ? p.of.neurons(options)
                            : source.source() == map_source::random    ? p.of.mean_of(own_neurons)
                            : source.source() == map_source::attention ? p.of.attention()
                            : source.source() == map_source::rollout   ? p.of.rollout()
                            : source.source() == map_source::direct    ? p.of.direct()
                                                                       : p.of.patches();
    const matrix found = p.maps(source, cache);
    CHECK(relative_difference<double, double>(found, expected) <
          identity_bound<typename B::scalar>);
    // What is kept for a source alone is enough, and classes can be asked for in any order.
    const auto own = p.pass(p.sites(source.source()));
    const matrix two = p.maps(source, own, {2, 0});
    for (index_t i = 0; i < found.extent(0); ++i) {
      for (index_t t = 0; t < found.extent(2); ++t) {
        CHECK(two(i, 0, t) == Approx(found(i, 2, t)).epsilon(1e-4).margin(1e-6));
        CHECK(two(i, 1, t) == Approx(found(i, 0, t)).epsilon(1e-4).margin(1e-6));
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("neurons are ranked with or without the sign, averaged or weighted", "",
                        test::cpu_backends) {
  using B = TestType;
  const std::string name = GENERATE("tiny-a", "toyland");
  const passed<B> p(name);
  const bool by_magnitude = GENERATE(true, false), weighted = GENERATE(false, true);
  const index_t count = GENERATE(index_t{1}, index_t{200}, index_t{100'000});
  const segmentation_options options{
      .n_writers = count, .by_magnitude = by_magnitude, .weighted = weighted};
  auto source = p.make(map_source::neurons, options);
  CAPTURE(name, by_magnitude, weighted, count);
  CHECK(relative_difference<double, double>(p.maps(source, p.pass(p.sites(source.source()))),
                                            p.of.neurons(options)) <
        identity_bound<typename B::scalar>);
  for (index_t c = 0; c < n_classes; ++c) {
    const auto expected = p.of.ranked(c, by_magnitude, static_cast<std::size_t>(count));
    const auto chosen = source.neurons(c);
    REQUIRE(chosen.size() == expected.size());
    // Further down, rounding may swap two whose products are equal to it.
    for (std::size_t i = 0; i < std::min<std::size_t>(chosen.size(), 50); ++i) {
      const auto& [product, layer, neuron] = expected[i];
      CHECK(chosen[i].product == Approx(product).epsilon(1e-4));
      CHECK(chosen[i].layer == p.of.layers[layer]);
      CHECK(chosen[i].writer == neuron);
    }
  }
}

TEST_CASE("random neurons are as many, and others for another class or seed") {
  using B = reference_backend<double>;
  const passed<B> p("tiny-a");
  auto a = p.make(map_source::random, {.n_writers = 30, .random = 4}),
       b = p.make(map_source::random, {.n_writers = 30, .random = 4}),
       other = p.make(map_source::random, {.n_writers = 30, .random = 5});
  const auto names = [](std::span<const chosen_writer> chosen) {
    std::vector<std::pair<index_t, index_t>> all;
    for (const auto& w : chosen) all.emplace_back(w.layer, w.writer);
    std::sort(all.begin(), all.end());
    CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
    return all;
  };
  CHECK(a.neurons(0).size() == 30);
  CHECK(names(a.neurons(0)) == names(b.neurons(0)));
  CHECK(names(a.neurons(0)) != names(a.neurons(1)));
  CHECK(names(a.neurons(0)) != names(other.neurons(0)));
}

TEMPLATE_LIST_TEST_CASE("classes are told apart less their mean", "", test::backends) {
  const auto be = make_backend<TestType>();
  const matrix classes = random_classes(10);
  const auto on_device = put(be, classes.view());
  const auto result = less_mean_class(be, on_device.view());
  matrix expected = classes.clone();
  for (index_t j = 0; j < 10; ++j) {
    double mean = 0;
    for (index_t c = 0; c < n_classes; ++c) mean += classes(j, c) / n_classes;
    for (index_t c = 0; c < n_classes; ++c) expected(j, c) -= mean;
  }
  CHECK(relative_difference<double, double>(get<TestType>(be, result.view()), expected) < 1e-6);
}

TEST_CASE("segmentation refuses what does not fit, naming the layer") {
  using B = eigen_backend<float>;
  const passed<B> p("tiny-a");
  const auto make = [&](std::vector<directions_of_layer<float>> layers, index_t n = 200) {
    return segmentation<B>(p.be, layers, std::as_const(p.classes).view(), {.n_writers = n});
  };
  CHECK_THROWS_AS(make({}), argument_error);
  CHECK_THROWS_AS(make(p.layers, 0), argument_error);
  auto layers = p.layers;
  layers[1].layer = layers[0].layer;
  CHECK_THROWS_WITH(make(layers), Catch::Contains("layer 1 again"));
  layers = p.layers;
  layers[1].vectors = layers[1].vectors.slice(1, 0, 31);
  CHECK_THROWS_WITH(make(layers),
                    Catch::Contains("layer 2: directions") && Catch::Contains("[-1, 32]"));
  CHECK_THROWS_AS(segmentation<B>(p.be, p.layers, const_view_of<B>{}, {}), argument_error);
  layers = p.layers;
  layers[1].vectors = layers[1].vectors.slice(0, 0, 100);
  auto few = make(layers);
  const auto cache = p.pass({{site_kind::mlp_post, 1}, {site_kind::mlp_post, 2}});
  host_tensor<float> out({2, 1, 16});
  const std::vector<index_t> asked{0};
  CHECK_THROWS_WITH(few.maps(p.be, lens_activations_of(cache), asked, out),
                    Catch::Contains("layer 2: writers"));
  auto rollout = p.make(map_source::rollout);
  CHECK_THROWS_WITH(rollout.maps(p.be, cache, asked, out), Catch::Contains("hook_pattern"));
  CHECK_THROWS_WITH(parse_map_source("neuron"), Catch::Contains("neurons, random, attention"));
  CHECK(parse_map_source("direct") == map_source::direct);
}
