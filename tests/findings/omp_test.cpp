#include "support/test.hpp"

#include <algorithm>
#include <set>

#include "support/backends.hpp"

#include <solens/findings/omp.hpp>
#include <solens/weights/safetensors.hpp>

using namespace solens;

namespace {

template <class T>
host_tensor<T> unit_atoms(index_t n, index_t d, unsigned seed) {
  auto atoms = test::random_tensor<T>({n, d}, seed);
  for (index_t a = 0; a < n; ++a) {
    double sum = 0;
    for (index_t j = 0; j < d; ++j) sum += static_cast<double>(atoms(a, j) * atoms(a, j));
    for (index_t j = 0; j < d; ++j) atoms(a, j) /= static_cast<T>(std::sqrt(sum));
  }
  return atoms;
}

/// target - the first `size` atoms of its code, in double.
template <class T>
std::vector<double> residual(const host_tensor<T>& atoms, const host_tensor<T>& targets,
                             const sparse_codes<T>& codes, const host_tensor<T>& weights,
                             index_t target) {
  std::vector<double> r;
  for (index_t j = 0; j < atoms.extent(1); ++j)
    r.push_back(static_cast<double>(targets(target, j)));
  for (index_t k = 0; k < weights.extent(1); ++k) {
    const index_t a = codes.atoms(target, k);
    if (a < 0) continue;
    for (std::size_t j = 0; j < r.size(); ++j) {
      r[j] -= static_cast<double>(weights(target, k)) *
              static_cast<double>(atoms(a, static_cast<index_t>(j)));
    }
  }
  return r;
}

template <tensor_backend B>
sparse_codes<typename B::scalar> codes_of(const B& be, const host_tensor<typename B::scalar>& atoms,
                                          const host_tensor<typename B::scalar>& targets,
                                          const omp_options& options) {
  return orthogonal_matching_pursuit(be, test::on_backend(be, atoms).view(),
                                     test::on_backend(be, targets).view(), options);
}

double norm(const std::vector<double>& x) {
  double sum = 0;
  for (double v : x) sum += v * v;
  return std::sqrt(sum);
}

template <class T>
double product(const host_tensor<T>& atoms, index_t atom, const std::vector<double>& r) {
  double sum = 0;
  for (std::size_t j = 0; j < r.size(); ++j)
    sum += static_cast<double>(atoms(atom, static_cast<index_t>(j))) * r[j];
  return sum;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("the pursuit keeps its properties at every step", "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  const auto atoms = unit_atoms<scalar>(120, 20, 1);
  const auto targets = test::random_tensor<scalar>({37, 20}, 2);
  const bool non_negative = GENERATE(false, true);
  omp_options options{.n_atoms = 9,
                      .also = {1, 2, 3, 4, 5, 6, 7, 8},
                      .non_negative = non_negative,
                      .targets_at_once = 16};
  const auto codes = codes_of(be, atoms, targets, options);
  const double tolerance = test::bound<scalar>(1e-12, 3e-6);
  for (index_t t = 0; t < targets.extent(0); ++t) {
    for (index_t size = 1; size <= 9; ++size) {
      CAPTURE(t, size, non_negative);
      const auto& weights =
          size == 9 ? codes.weights : codes.also[static_cast<std::size_t>(size - 1)];
      const auto r = residual(atoms, targets, codes, weights, t);
      const auto before = size == 1 ? std::vector<double>{}
                                    : residual(atoms, targets, codes,
                                               codes.also[static_cast<std::size_t>(size - 2)], t);
      const double scale = static_cast<double>(codes.residual_norms(t, 0));
      CHECK(std::abs(norm(r) - static_cast<double>(codes.residual_norms(t, size))) <
            tolerance * scale);
      CHECK(codes.residual_norms(t, size) <= codes.residual_norms(t, size - 1));
      // the newest atom was the best for the residual before it
      if (size > 1) {
        const index_t newest = codes.atoms(t, size - 1);
        double best = 0;
        for (index_t a = 0; a < atoms.extent(0); ++a) {
          const double p = product(atoms, a, before);
          best = std::max(best, non_negative ? p : std::abs(p));
        }
        const double p = product(atoms, newest, before);
        CHECK((non_negative ? p : std::abs(p)) >= best - tolerance * scale);
      }
      for (index_t k = 0; k < size; ++k) {
        const double p = product(atoms, codes.atoms(t, k), r);
        if (non_negative) {
          CHECK(weights(t, k) >= 0);
          CHECK(p <= tolerance * scale);  // no chosen atom wants more weight
          if (weights(t, k) > 0) CHECK(std::abs(p) <= tolerance * scale);
        } else {
          CHECK(std::abs(p) <= tolerance * scale);  // orthogonal to what was chosen
        }
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("planted codes over incoherent atoms are recovered and then it ends", "",
                        test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  const auto atoms = unit_atoms<scalar>(60, 400, 3);
  host_tensor<scalar> targets({10, 400}, 0);
  std::vector<std::set<index_t>> planted(10);
  for (index_t t = 0; t < 10; ++t) {
    for (index_t k = 0; k < 4; ++k) {
      const index_t a = (7 * t + 13 * k) % 60;
      planted[static_cast<std::size_t>(t)].insert(a);
      const auto w = static_cast<scalar>((k % 2 ? -1 : 1) * (2 + static_cast<double>(k)));
      for (index_t j = 0; j < 400; ++j) targets(t, j) += w * atoms(a, j);
    }
  }
  const auto codes = codes_of(be, atoms, targets, {.n_atoms = 8});
  CHECK(codes.n_exhausted == 0);
  for (index_t t = 0; t < 10; ++t) {
    std::set<index_t> found;
    for (index_t k = 0; k < 4; ++k) found.insert(codes.atoms(t, k));
    CHECK(found == planted[static_cast<std::size_t>(t)]);
    CHECK(codes.atoms(t, 4) == -1);
    CHECK(codes.weights(t, 4) == 0);
  }
}

TEMPLATE_LIST_TEST_CASE("a target that is an atom takes one atom, a zero target none", "",
                        test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  auto atoms = unit_atoms<scalar>(30, 12, 4);
  host_tensor<scalar> targets({2, 12}, 0);
  for (index_t j = 0; j < 12; ++j) {
    atoms(17, j) = atoms(5, j);  // a duplicate: the first is taken
    atoms(3, j) = 0;             // and an atom that is nothing
    targets(0, j) = -3 * atoms(5, j);
  }
  const auto codes = codes_of(be, atoms, targets, {.n_atoms = 5});
  CHECK(codes.atoms(0, 0) == 5);
  CHECK(static_cast<double>(codes.weights(0, 0)) == Approx(-3));
  CHECK(codes.atoms(0, 1) == -1);
  CHECK(codes.atoms(1, 0) == -1);
  CHECK(codes.n_exhausted == 0);
}

TEMPLATE_LIST_TEST_CASE("more atoms than the rank end the pursuit and are counted", "",
                        test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  // atoms in three of six dimensions, the target partly outside
  host_tensor<scalar> atoms({20, 6}, 0);
  const auto random = test::random_tensor<scalar>({20, 3}, 5);
  for (index_t a = 0; a < 20; ++a) {
    for (index_t j = 0; j < 3; ++j) atoms(a, j) = random(a, j);
  }
  host_tensor<scalar> targets({1, 6}, 1);
  const auto codes = codes_of(be, atoms, targets, {.n_atoms = 6});
  CHECK(codes.n_exhausted == 1);
  CHECK(codes.atoms(0, 2) >= 0);
  CHECK(codes.atoms(0, 3) == -1);
  CHECK(static_cast<double>(codes.residual_norms(0, 6)) == Approx(std::sqrt(3.0)));
}

TEMPLATE_LIST_TEST_CASE("a tolerance ends a code", "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  const auto atoms = unit_atoms<scalar>(120, 20, 1);
  const auto targets = test::random_tensor<scalar>({5, 20}, 2);
  const auto codes = codes_of(be, atoms, targets, {.n_atoms = 15, .tolerance = 0.5});
  for (index_t t = 0; t < 5; ++t) {
    index_t size = 0;
    while (size < 15 && codes.atoms(t, size) >= 0) ++size;
    CHECK(codes.residual_norms(t, size) <= codes.residual_norms(t, 0) / 2);
    CHECK(codes.residual_norms(t, size - 1) > codes.residual_norms(t, 0) / 2);
  }
}

TEMPLATE_LIST_TEST_CASE("a code does not depend on the others, ended or not", "",
                        test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  const auto atoms = unit_atoms<scalar>(150, 20, 6);
  auto targets = test::random_tensor<scalar>({23, 20}, 7);
  for (index_t j = 0; j < 20; ++j) {
    targets(4, j) = 0;
    targets(9, j) = 2 * atoms(11, j);
    targets(22, j) += 10 * atoms(3, j);
  }
  omp_options options{.n_atoms = 12, .tolerance = 0.3, .non_negative = GENERATE(false, true)};
  const auto together = codes_of(be, atoms, targets, options);
  options.targets_at_once = 1;
  const auto alone = codes_of(be, atoms, targets, options);
  for (index_t t = 0; t < 23; ++t) {
    for (index_t k = 0; k < 12; ++k) {
      CAPTURE(t, k);
      CHECK(together.atoms(t, k) == alone.atoms(t, k));
      CHECK(static_cast<double>(together.weights(t, k)) ==
            Approx(static_cast<double>(alone.weights(t, k))).margin(1e-5));
    }
  }
  CHECK(together.atoms(4, 0) == -1);
  CHECK(together.atoms(9, 1) == -1);
  CHECK(together.n_exhausted == alone.n_exhausted);
}

TEMPLATE_LIST_TEST_CASE("codes are those of scikit-learn on 200 random problems", "",
                        test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  const safetensors_file file(test::data("omp.safetensors"));
  host_tensor<scalar> atoms({300, 24}), targets({200, 24}), weights({200, 8});
  file.read("atoms", atoms.view());
  file.read("targets", targets.view());
  file.read("weights", weights.view());
  const auto support = file.view<index_t>("support");
  const auto codes = codes_of(be, atoms, targets, {.n_atoms = 8});
  for (index_t t = 0; t < 200; ++t) {
    std::vector<std::pair<index_t, scalar>> code;
    for (index_t k = 0; k < 8; ++k) code.emplace_back(codes.atoms(t, k), codes.weights(t, k));
    std::sort(code.begin(), code.end());
    for (index_t k = 0; k < 8; ++k) {
      CAPTURE(t, k);
      CHECK(code[static_cast<std::size_t>(k)].first == support(t, k));
      CHECK(std::abs(static_cast<double>(code[static_cast<std::size_t>(k)].second -
                                         weights(t, k))) < 2e-5);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("codes are the published ones of tiny-a", "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  const safetensors_file file(test::data("tiny-a.stages.safetensors"));
  host_tensor<scalar> atoms({200, 32}), targets({256, 32}), value({256, 8}), margin({256, 8});
  file.read("dictionary", atoms.view());
  file.read("pca", targets.view());
  file.read("json_value", value.view());
  file.read("omp_step_margin", margin.view());
  const auto index = file.view<std::int32_t>("json_index");
  const auto codes = codes_of(be, atoms, targets, {.n_atoms = 8});
  index_t compared = 0;
  for (index_t t = 0; t < 256; ++t) {
    // from the first step at which two right implementations may differ, they may go apart
    bool same_path = true;
    for (index_t k = 0; k < 8; ++k)
      same_path = same_path && margin(t, k) > static_cast<scalar>(1e-4);
    if (!same_path) continue;
    ++compared;
    double largest = 0;
    for (index_t k = 0; k < 8; ++k)
      largest = std::max(largest, std::abs(static_cast<double>(value(t, k))));
    for (index_t k = 0; k < 8; ++k) {
      CAPTURE(t, k);
      index_t at = 0;
      while (at < 8 && codes.atoms(t, at) != index(t, k)) ++at;
      REQUIRE(at < 8);
      CHECK(std::abs(static_cast<double>(codes.weights(t, at) - value(t, k))) < 1e-4 * largest);
    }
  }
  CHECK(compared > 240);
}

TEMPLATE_LIST_TEST_CASE("options that make no sense are refused", "", test::cpu_backends) {
  using scalar = typename TestType::scalar;
  const TestType be{};
  const auto atoms = unit_atoms<scalar>(9, 4, 1), targets = unit_atoms<scalar>(3, 4, 2),
             wide = unit_atoms<scalar>(3, 5, 2);
  const auto run = [&](const host_tensor<scalar>& t, omp_options o) { codes_of(be, atoms, t, o); };
  CHECK_THROWS_AS(run(targets, {.n_atoms = 0}), argument_error);
  CHECK_THROWS_AS(run(targets, {.n_atoms = 3, .also = {4}}), argument_error);
  CHECK_THROWS_AS(run(targets, {.n_atoms = 3, .targets_at_once = 0}), argument_error);
  CHECK_THROWS_AS(run(wide, {.n_atoms = 3}), shape_error);
  CHECK_THROWS_AS(codes_of(be, host_tensor<scalar>({0, 4}), targets, {}), shape_error);
}
