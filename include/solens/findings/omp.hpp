#pragma once

#include <algorithm>  // std::max, std::min
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <solens/backend/ops.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/core/threads.hpp>
#include <solens/findings/growing_least_squares.hpp>

namespace solens {

struct omp_options {
  index_t n_atoms = 32;            ///< at most so many atoms a target
  std::vector<index_t> also = {};  ///< smaller numbers of atoms whose weights are wanted as well
  double tolerance = 0;            ///< stop when the residual's norm is this part of the target's
  bool non_negative = false;       ///< atoms only with weights that are not negative
  index_t targets_at_once = 256;   ///< bounds memory: times n_atoms * d, and about 32 MB
};

/// Sparse codes of targets over a dictionary. A code that ends early has atom -1 and weight 0 in
/// the places it does not need.
template <class T>
struct sparse_codes {
  host_tensor<index_t> atoms;        ///< [n_targets, n_atoms], in order of choice
  host_tensor<T> weights;            ///< [n_targets, n_atoms]
  host_tensor<T> residual_norms;     ///< [n_targets, n_atoms + 1], with 0, 1, ... atoms
  std::vector<host_tensor<T>> also;  ///< for each of `options.also`, the weights of so many atoms
  index_t n_exhausted = 0;           ///< codes that ended because no other atom brings anything
};

namespace detail {

/// A batch of targets on its way through the pursuit.
template <tensor_backend B>
class pursuit {
 public:
  using scalar = typename B::scalar;

  pursuit(const B& be, const_view_of<B> atoms, const omp_options& options, index_t batch)
      : be_(be),
        options_(options),
        search_(be, atoms, batch),
        chosen_(be.allocate({batch, options.n_atoms, atoms.extent(1)})),
        residual_(be.allocate({batch, atoms.extent(1)})),
        going_(be.allocate({batch, atoms.extent(1)})),
        products_(be.allocate({batch, options.n_atoms + 1, 1})),
        weights_(be.allocate({batch, 1, options.n_atoms})),
        norms_(be.allocate({batch})),
        newest_(be.allocate_indices({batch})) {}

  /// Codes targets [n, d] into rows first, first + 1, ... of `out`.
  void run(const_view_of<B> targets, index_t first, sparse_codes<scalar>& out) {
    const index_t n = targets.extent(0);
    codes_.assign(static_cast<std::size_t>(n), code{growing_least_squares(options_.n_atoms)});
    found_ = host_tensor<index_t>({n}, 0);
    strength_ = host_tensor<scalar>({n});
    host_weights_ = host_tensor<scalar>({n, options_.n_atoms}, 0);
    const auto residual = residual_.view().slice(0, 0, n);
    be_.copy(targets, residual);
    bool going = measure(residual, first, 0, out);
    for (index_t step = 0; step < options_.n_atoms; ++step) {
      if (going) {
        search(residual);
        choose(targets, first, step, out);
        subtract(targets, residual, step + 1);
      }
      going = measure(residual, first, step + 1, out) && going;
      for (std::size_t a = 0; a < options_.also.size(); ++a) {
        if (options_.also[a] == step + 1) copy_weights(out.also[a], first);
      }
    }
    copy_weights(out.weights, first);
    for (const code& c : codes_) out.n_exhausted += c.exhausted;
  }

 private:
  struct code {
    growing_least_squares support;
    bool ended = false, exhausted = false;
  };

  /// Finds the newest atoms of the codes that go on.
  void search(const_view_of<B> residual) {
    std::vector<index_t> going;
    for (std::size_t i = 0; i < codes_.size(); ++i) {
      if (!codes_[i].ended) going.push_back(static_cast<index_t>(i));
    }
    const auto n = static_cast<index_t>(going.size());
    if (n == residual.extent(0)) {
      return search_(be_, residual, options_.non_negative, strength_, found_);
    }
    const auto rows = newest_.view().slice(0, 0, n);
    const auto x = going_.view().slice(0, 0, n);
    be_.upload(host_view<const index_t>(going.data(), {n}), rows);
    be_.gather(residual, const_index_view_of<B>(rows), x);
    host_tensor<index_t> found({n});
    host_tensor<scalar> strength({n});
    search_(be_, const_view_of<B>(x), options_.non_negative, strength, found);
    for (index_t i = 0; i < n; ++i) {
      found_(going[static_cast<std::size_t>(i)]) = found(i);
      strength_(going[static_cast<std::size_t>(i)]) = strength(i);
    }
  }

  /// Takes the newest atoms into the codes that go on, and solves for all their weights.
  void choose(const_view_of<B> targets, index_t first, index_t step, sparse_codes<scalar>& out) {
    const index_t n = targets.extent(0);
    const auto newest = newest_.view().slice(0, 0, n);
    be_.upload(host_view<const index_t>(found_), newest);
    const auto x = chosen_.view().slice(0, 0, n);
    be_.gather(search_.table(), const_index_view_of<B>(newest), x.select(1, step));
    const const_view_of<B> atom = x.slice(1, step, step + 1);
    const auto products = products_.view().slice(0, 0, n).slice(1, 0, step + 2);
    be_.batched_gemm(1, const_view_of<B>(x.slice(1, 0, step + 1)), atom.transposed(), 0,
                     products.slice(1, 0, step + 1));
    be_.batched_gemm(1, atom, targets.split(1, 1), 0, products.slice(1, step + 1, step + 2));
    host_tensor<scalar> host({n, step + 2, 1});
    be_.download(const_view_of<B>(products), host);
    parallel_for(n, 256, [&](index_t begin, index_t end) {
      for (index_t i = begin; i < end; ++i) {
        if (extend(i, step, &host(i, 0, 0))) out.atoms(first + i, step) = found_(i);
      }
    });
  }

  /// @param products  of the newest atom with the chosen ones, itself and the target
  bool extend(index_t i, index_t step, const scalar* products) {
    code& c = codes_[static_cast<std::size_t>(i)];
    if (c.ended) return false;
    const std::vector<double> row(products, products + step + 1);
    const bool useful = options_.non_negative ? strength_(i) > 0 : strength_(i) != 0;
    if (!useful ||
        !c.support.push(row.data(), static_cast<double>(products[step + 1]), rounding())) {
      c.ended = c.exhausted = true;
      return false;
    }
    std::vector<double> w(row.size());
    options_.non_negative ? c.support.solve_non_negative(w.data()) : c.support.solve(w.data());
    for (index_t k = 0; k <= step; ++k) {
      host_weights_(i, k) = static_cast<scalar>(w[static_cast<std::size_t>(k)]);
    }
    return true;
  }

  /// residual = target - weights * chosen atoms.
  void subtract(const_view_of<B> targets, view_of<B> residual, index_t n_chosen) {
    const index_t n = targets.extent(0);
    const auto w = weights_.view().slice(0, 0, n).slice(2, 0, n_chosen);
    be_.upload(host_view<const scalar>(host_weights_.view()).slice(1, 0, n_chosen), w.select(1, 0));
    be_.copy(targets, residual);
    be_.batched_gemm(-1, const_view_of<B>(w),
                     const_view_of<B>(chosen_.view().slice(0, 0, n).slice(1, 0, n_chosen)), 1,
                     residual.split(0, 1));
  }

  /// Records the residuals' norms and ends the codes that are good enough; whether any goes on.
  bool measure(const_view_of<B> residual, index_t first, index_t n_chosen,
               sparse_codes<scalar>& out) {
    const index_t n = residual.extent(0);
    const auto norms = norms_.view().slice(0, 0, n);
    be_.row_norms(residual, norms);
    be_.download(const_view_of<B>(norms),
                 out.residual_norms.view().slice(0, first, first + n).select(1, n_chosen));
    bool going = false;
    const double enough = std::max(options_.tolerance, rounding());
    for (index_t i = 0; i < n; ++i) {
      code& c = codes_[static_cast<std::size_t>(i)];
      const auto norm = static_cast<double>(out.residual_norms(first + i, n_chosen));
      c.ended = c.ended || norm <= enough * static_cast<double>(out.residual_norms(first + i, 0));
      going = going || !c.ended;
    }
    return going;
  }

  void copy_weights(host_tensor<scalar>& to, index_t first) const {
    for (index_t i = 0; i < host_weights_.extent(0); ++i) {
      for (index_t k = 0; k < to.extent(1); ++k) to(first + i, k) = host_weights_(i, k);
    }
  }

  /// What rounding leaves of a vector of d numbers that should have vanished, relative to it.
  double rounding() const {
    return 4 * std::sqrt(static_cast<double>(search_.table().extent(1))) *
           static_cast<double>(std::numeric_limits<scalar>::epsilon());
  }

  const B& be_;
  const omp_options& options_;
  ops::row_search<B> search_;
  typename B::tensor chosen_, residual_, going_, products_, weights_, norms_;
  typename B::index_tensor newest_;
  std::vector<code> codes_;
  host_tensor<index_t> found_;
  host_tensor<scalar> strength_, host_weights_;
};

}  // namespace detail

/// Orthogonal matching pursuit of many targets at once.
///
/// At each step every target takes the atom whose inner product with its residual is largest (by
/// magnitude; by value when `non_negative`), ties going to the lower index, and all its weights
/// are solved for again. The inner products that decide are computed in the backend's scalar or
/// better (ops::row_search), the weights in double from the atoms' inner products; no
/// [n_atoms, n_atoms] matrix is formed. Codes with fewer atoms are the beginnings of codes with
/// more, so one run gives every size.
///
/// A code ends early when its residual is within `tolerance`, or within rounding, of nothing, or
/// when no atom outside the span of the chosen ones correlates with it.
/// @param atoms    [n_atoms, d]; rows of norm 1 make the choice one of angle; zero rows are never
///                 chosen
/// @param targets  [n_targets, d]
/// @throws argument_error for a number of atoms that is not positive, or an `also` out of range
/// @note costs n_targets * steps * n_atoms * d multiplications for the search, which is nearly all
/// Source: Pati, Rezaiifar and Krishnaprasad, Orthogonal matching pursuit, 1993; for
/// `non_negative`: Bruckstein, Elad and Zibulevsky, On the uniqueness of nonnegative sparse
/// solutions, 2008.
template <tensor_backend B>
sparse_codes<typename B::scalar> orthogonal_matching_pursuit(const B& be, const_view_of<B> atoms,
                                                             const_view_of<B> targets,
                                                             const omp_options& options) {
  using scalar = typename B::scalar;
  const index_t n = targets.extent(0), m = options.n_atoms;
  if (m <= 0)
    throw argument_error("omp", "a positive number of atoms", std::to_string(m), "n_atoms");
  if (options.targets_at_once <= 0) {
    throw argument_error("omp", "a positive number of targets at once",
                         std::to_string(options.targets_at_once), "targets_at_once");
  }
  checks::same("omp", shape{n, atoms.extent(1)}, targets.extents(), "targets");
  sparse_codes<scalar> out{host_tensor<index_t>({n, m}, -1),
                           host_tensor<scalar>({n, m}, 0),
                           host_tensor<scalar>({n, m + 1}),
                           {},
                           0};
  for (index_t size : options.also) {
    if (size <= 0 || size > m) {
      throw argument_error("omp", "sizes between 1 and " + std::to_string(m), std::to_string(size),
                           "also");
    }
    out.also.emplace_back(shape{n, size}, scalar{0});
  }
  if (n == 0) return out;
  const index_t batch = std::min(n, options.targets_at_once);
  detail::pursuit<B> pursuit(be, atoms, options, batch);
  for (index_t first = 0; first < n; first += batch) {
    pursuit.run(targets.slice(0, first, std::min(n, first + batch)), first, out);
  }
  return out;
}

}  // namespace solens
