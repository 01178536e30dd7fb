#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <solens/core/error.hpp>
#include <solens/core/host_tensor.hpp>

namespace solens {

/// A direction in the joint space for each writer of a layer.
template <class T>
struct writer_directions {
  std::string name = {};         ///< what they are, as "direction"
  host_view<const T> vectors{};  ///< [n_writers, d_joint]
};

/// What sparse codes say in the place of the directions that they code: sums of weights times
/// atoms, as they are, shorter than a unit direction by what the code misses of it.
///
/// @param atoms       [n_writers, m], rows of the dictionary; -1 where a code has fewer
/// @param weights     [n_writers, at least one and at most m]
/// @param dictionary  [n_words, d_joint]
/// @returns           [n_writers, d_joint]; zero where a code is empty
/// @throws shape_error; argument_error for an atom that the dictionary has not
/// Source: arXiv 2406.04341, section 3.3; that they are not scaled to length 1 is as in the
/// authors' code.
template <class T>
host_tensor<T> reconstruct_codes(host_view<const index_t> atoms, host_view<const T> weights,
                                 host_view<const T> dictionary) {
  const index_t n = atoms.extent(0), m = weights.extent(1), d = dictionary.extent(1);
  if (weights.extent(0) != n || m > atoms.extent(1)) {
    throw shape_error("reconstruct_codes", "weights of " + to_string(atoms.extents()) + " atoms",
                      to_string(weights.extents()), "weights");
  }
  host_tensor<T> result({n, d});
  for (index_t w = 0; w < n; ++w) {
    std::vector<double> sum(static_cast<std::size_t>(d), 0.0);
    for (index_t a = 0; a < m; ++a) {
      const index_t atom = atoms(w, a);
      if (atom < -1 || atom >= dictionary.extent(0)) {
        throw argument_error("reconstruct_codes",
                             "atoms below " + std::to_string(dictionary.extent(0)) + ", or -1",
                             std::to_string(atom), "atoms");
      }
      if (atom < 0) continue;
      const auto weight = static_cast<double>(weights(w, a));
      const row_span<const T> row = row_of(dictionary, atom);
      for (index_t j = 0; j < d; ++j) {
        sum[static_cast<std::size_t>(j)] += weight * static_cast<double>(row[j]);
      }
    }
    for (index_t j = 0; j < d; ++j) result(w, j) = static_cast<T>(sum[static_cast<std::size_t>(j)]);
  }
  return result;
}

/// Unit vectors that are uniform on the sphere, the same for the same seeds.
/// @returns [n_writers, d_joint]
template <class T>
host_tensor<T> random_directions(index_t n_writers, index_t d_joint,
                                 std::initializer_list<std::uint64_t> seeds) {
  std::seed_seq sequence(seeds);
  std::mt19937_64 generator(sequence);
  std::normal_distribution<double> normal;
  host_tensor<T> result({n_writers, d_joint});
  std::vector<double> vector(static_cast<std::size_t>(d_joint));
  for (index_t w = 0; w < n_writers; ++w) {
    double squares = 0;
    for (double& v : vector) {
      v = normal(generator);
      squares += v * v;
    }
    const double scale = 1 / std::sqrt(squares);
    for (index_t j = 0; j < d_joint; ++j) {
      result(w, j) = static_cast<T>(vector[static_cast<std::size_t>(j)] * scale);
    }
  }
  return result;
}

/// `count` of 0, ..., n - 1, ascending, each set equally likely, the same for the same seeds.
/// @throws argument_error when there are fewer than `count`
/// Source: Floyd's algorithm (Bentley, Programming pearls: a sample of brilliance, 1987).
inline std::vector<index_t> random_subset(index_t n, index_t count,
                                          std::initializer_list<std::uint64_t> seeds) {
  if (count < 0 || count > n) {
    throw argument_error("random_subset", "0 to " + std::to_string(n), std::to_string(count),
                         "count");
  }
  std::seed_seq sequence(seeds);
  std::mt19937_64 generator(sequence);
  std::vector<bool> taken(static_cast<std::size_t>(n), false);
  for (index_t last = n - count; last < n; ++last) {
    std::uniform_int_distribution<index_t> upto(0, last);
    const auto drawn = static_cast<std::size_t>(upto(generator));
    taken[taken[drawn] ? static_cast<std::size_t>(last) : drawn] = true;
  }
  std::vector<index_t> chosen;
  for (index_t i = 0; i < n; ++i) {
    if (taken[static_cast<std::size_t>(i)]) chosen.push_back(i);
  }
  return chosen;
}

}  // namespace solens
