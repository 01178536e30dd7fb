#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <utility>  // std::as_const

#include <solens/testing/conformance_suite.hpp>

/// Cases of what goes element by element.
namespace solens::testing {

inline constexpr layout every_layout[] = {layout::contiguous, layout::padded, layout::transposed,
                                          layout::strided, layout::repeated};
inline constexpr layout writable_layouts[] = {layout::contiguous, layout::padded,
                                              layout::transposed, layout::strided};

inline argument in(const shape& extents, layout how = layout::contiguous, unsigned seed = 1) {
  return {role::in, extents, how, normal_values(seed)};
}
inline argument out(const shape& extents, layout how = layout::contiguous) {
  return {role::out, extents, how, {}};
}
inline argument inout(const shape& extents, layout how = layout::contiguous, unsigned seed = 9) {
  return {role::inout, extents, how, normal_values(seed)};
}
/// The given values, over and over.
inline argument in_values(const shape& extents, std::vector<double> values,
                          layout how = layout::contiguous) {
  return {role::in, extents, how, [values = std::move(values)](index_t i) {
            return values[static_cast<std::size_t>(i) % values.size()];
          }};
}

/// The scalar of a backend, as a case's function sees it.
template <class Backend>
using scalar_of = typename std::remove_cvref_t<Backend>::scalar;

/// `allocate`, `upload`, `download`, `copy`, `fill`: exact.
template <tensor_backend B>
void transfers(conformance_suite<B>& suite) {
  using T = typename B::scalar;
  const B& be = suite.backend();
  const auto round_trip = [&](auto& on_device, auto host, auto back) {
    be.upload(std::as_const(host).view(), on_device.view());
    be.download(std::as_const(on_device).view(), back.view());
    double off = 0;
    for (index_t i = 0; i < host.size(); ++i) {
      off += host.data()[i] == back.data()[i] ? 0 : 1;
    }
    return off;
  };
  for (const shape& extents : {shape{3, 5}, shape{0, 5}, shape{7}, shape{2, 1, 3, 1, 2, 2}}) {
    suite.verify(
        "upload", "and download of " + to_string(extents), {}, [](auto&&...) {},
        [&](const auto&) {
          host_tensor<T> values(extents);
          host_tensor<index_t> indices(extents);
          for (index_t i = 0; i < values.size(); ++i) {
            values.data()[i] = static_cast<T>(i) / 8;
            indices.data()[i] = (index_t{1} << 40) + i;
          }
          auto t = be.allocate(extents);
          auto u = be.allocate_indices(extents);
          return round_trip(t, values.clone(), host_tensor<T>(extents, T{-1})) +
                 round_trip(u, indices.clone(), host_tensor<index_t>(extents, -1));
        });
  }
  for (layout from : every_layout) {
    for (layout to : writable_layouts) {
      suite.compare("copy", std::string(to_string(from)) + " to " + to_string(to), {},
                    {in({2, 3, 5}, from), out({2, 3, 5}, to)},
                    [](const auto& b, auto v, auto) { b.copy(v[0], v[1]); });
    }
  }
  for (const shape& extents : {shape{0, 4}, shape{4, 0}, shape{1}, shape{2, 2, 2, 2, 2, 2}}) {
    suite.compare("copy", to_string(extents), {}, {in(extents), out(extents)},
                  [](const auto& b, auto v, auto) { b.copy(v[0], v[1]); });
  }
  for (layout to : writable_layouts) {
    suite.compare("fill", to_string(to), {}, {out({3, 4, 5}, to)},
                  [](const auto& b, auto v, auto) { b.fill(2.5, v[0]); });
  }
  auto small = be.allocate({2, 3});
  auto other = be.allocate({3, 2});
  suite.refuses("copy", "other extents",
                [&] { be.copy(const_view_of<B>(small.view()), other.view()); });
  suite.refuses("upload", "other extents", [&] {
    be.upload(host_tensor<T>({3, 2}, 0).view(), small.view());
  });
  suite.refuses("download", "other extents", [&] {
    be.download(const_view_of<B>(small.view()), host_tensor<T>({3, 2}).view());
  });
}

/// `multiply`, `divide`: one rounding, a second for division. `axpby`, `add_bias`: three roundings
/// of the terms. `activate`: 4 eps max(1, |x|), values up to 12.
template <tensor_backend B>
void arithmetic(conformance_suite<B>& suite) {
  const auto multiply = [](const auto& b, auto v, auto) { b.multiply(v[0], v[1], v[2]); };
  const auto divide = [](const auto& b, auto v, auto) { b.divide(v[0], v[1], v[2]); };
  for (layout how : every_layout) {
    for (layout to : writable_layouts) {
      const std::vector<argument> three = {in({4, 5}, how), in({4, 5}, layout::contiguous, 2),
                                           out({4, 5}, to)};
      const std::string name = std::string(to_string(how)) + " to " + to_string(to);
      suite.compare("multiply", name, {.of_result = 1}, three, multiply);
      suite.compare("divide", name, {.of_result = 2}, three, divide);
    }
    suite.compare("axpby", to_string(how), {.of_terms = 3}, {in({3, 7}, how), inout({3, 7})},
                  [](const auto& b, auto v, auto) { b.axpby(1.5, v[0], 0.75, v[1]); });
  }
  suite.compare("multiply", "into its first argument", {.of_result = 1}, {inout({37}), in({37})},
                [](const auto& b, auto v, auto) { b.multiply(v[0], v[1], v[0]); });
  suite.compare("divide", "into its second argument", {.of_result = 2}, {in({37}), inout({37})},
                [](const auto& b, auto v, auto) { b.divide(v[0], v[1], v[1]); });
  suite.compare("divide", "by zero", {},
                {in_values({3}, {1, -1, 0}), in_values({3}, {0}), out({3})}, divide);
  for (layout to : writable_layouts) {
    suite.compare("axpby", std::string("beta 0 does not read y, ") + to_string(to), {.of_terms = 3},
                  {in({5, 9}), out({5, 9}, to)},
                  [](const auto& b, auto v, auto) { b.axpby(-2, v[0], 0, v[1]); });
    suite.compare("add_bias", to_string(to), {.of_terms = 3},
                  {in({6}, layout::strided), inout({4, 3, 6}, to)},
                  [](const auto& b, auto v, auto) { b.add_bias(v[0], v[1]); });
  }
  suite.compare("add_bias", "no rows", {}, {in({6}), inout({0, 6})},
                [](const auto& b, auto v, auto) { b.add_bias(v[0], v[1]); });

  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  for (activation kind : {activation::gelu, activation::quick_gelu, activation::gelu_tanh}) {
    const std::string name = kind == activation::gelu         ? "gelu"
                             : kind == activation::quick_gelu ? "quick_gelu"
                                                              : "gelu_tanh";
    const auto activate = [kind](const auto& b, auto v, auto) { b.activate(kind, v[0], v[1]); };
    // An error of 4 eps max(1, |x|) is one of 4 eps max(1, |y|) and less than 4 eps 12 below 0.
    const argument steps{role::in, {1201}, layout::contiguous, [](index_t i) {
                           return static_cast<double>(i - 600) / 600;
                         }};
    suite.compare("activate", name + " in [-1, 1]", {.absolute = 4}, {steps, out({1201})},
                  activate);
    for (double sign : {-1.0, 1.0}) {
      for (double least : {1.0, 2.0, 4.0, 8.0, 16.0, 64.0}) {
        const argument octave{role::in, {1001}, layout::contiguous, [=](index_t i) {
                                return sign * least * (1 + static_cast<double>(i) / 1000);
                              }};
        suite.compare("activate", name + " from " + std::to_string(static_cast<int>(sign * least)),
                      {.absolute = 4 * least}, {octave, out({1001})}, activate);
      }
    }
    suite.compare("activate", name + " of infinity and NaN", {.absolute = 4},
                  {in_values({40}, {infinity, nan, 0, -1, 1}), out({40})}, activate);
    for (layout how : every_layout) {
      for (layout to : writable_layouts) {
        suite.compare("activate", name + " " + to_string(how) + " to " + to_string(to),
                      {.absolute = 16}, {in({5, 19}, how), out({5, 19}, to)}, activate);
      }
    }
    suite.compare("activate", name + " in place", {.absolute = 16}, {inout({3, 50})},
                  [kind](const auto& b, auto v, auto) { b.activate(kind, v[0], v[0]); });
  }

  const B& be = suite.backend();
  auto x = be.allocate({2, 3});
  auto y = be.allocate({3, 2});
  const const_view_of<B> a = x.view(), b = y.view();
  suite.refuses("multiply", "other extents", [&] { be.multiply(a, b, x.view()); });
  suite.refuses("divide", "other extents", [&] { be.divide(a, a, y.view()); });
  suite.refuses("axpby", "other extents", [&] { be.axpby(1, a, 0, y.view()); });
  suite.refuses("add_bias", "a bias of another width", [&] { be.add_bias(a[0], y.view()); });
  suite.refuses("activate", "other extents", [&] { be.activate(activation::gelu, a, y.view()); });
}

}  // namespace solens::testing
