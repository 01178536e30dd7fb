#pragma once

#include <algorithm>  // std::clamp, std::min
#include <cmath>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>

namespace solens {

/// The search for the atom that correlates most with each of many vectors.
template <tensor_backend B>
class atom_search {
 public:
  using scalar = typename B::scalar;

  /// @param atoms  [n_atoms, d], kept as a view; one atom or more
  /// @throws shape_error when there is none
  atom_search(const B& be, const_view_of<B> atoms, index_t vectors_at_once)
      : atoms_(atoms),
        // about 32 MB of correlations at a time
        atoms_at_once_(
            std::clamp<index_t>((index_t{8} << 20) / std::max<index_t>(1, vectors_at_once), 1,
                                std::max<index_t>(1, atoms.extent(0)))),
        correlations_(be.allocate({vectors_at_once, atoms_at_once_})),
        values_(be.allocate({vectors_at_once, 1})),
        indices_(be.allocate_indices({vectors_at_once, 1})) {
    if (atoms.rank() != 2 || atoms.empty()) {
      throw shape_error("atom_search", "[n_atoms, d] with one atom or more",
                        to_string(atoms.extents()), "atoms");
    }
  }

  const_view_of<B> atoms() const { return atoms_; }

  /// The largest magnitude (or, with `positive`, the largest value) among the inner products of
  /// each vector with every atom; ties go to the lower index.
  ///
  /// @param x        [n, d], at most `vectors_at_once`
  /// @param values   [n], signed
  /// @param indices  [n]
  /// @note costs 2 * n * n_atoms * d flops
  void operator()(const B& be, const_view_of<B> x, bool positive, host_view<scalar> values,
                  host_view<index_t> indices) {
    const index_t n = x.extent(0), n_atoms = atoms_.extent(0);
    checks::same("atom_search", shape{n, atoms_.extent(1)}, x.extents(), "x");
    host_tensor<scalar> value({n, 1});
    host_tensor<index_t> index({n, 1});
    for (index_t begin = 0; begin < n_atoms; begin += atoms_at_once_) {
      const index_t end = std::min(n_atoms, begin + atoms_at_once_);
      const auto c = correlations_.view().slice(0, 0, n).slice(1, 0, end - begin);
      const auto v = values_.view().slice(0, 0, n);
      const auto i = indices_.view().slice(0, 0, n);
      be.gemm(1, x, atoms_.slice(0, begin, end).transposed(), 0, c);
      if (positive) {
        be.top_k(const_view_of<B>(c), v, i);
      } else {
        be.argmax_abs(const_view_of<B>(c), v.select(1, 0), i.select(1, 0));
      }
      be.download(const_view_of<B>(v), value.view());
      be.download(const_index_view_of<B>(i), index.view());
      for (index_t r = 0; r < n; ++r) {
        const bool better =
            positive ? value(r, 0) > values(r) : std::abs(value(r, 0)) > std::abs(values(r));
        if (begin > 0 && !better) continue;
        values(r) = value(r, 0);
        indices(r) = begin + index(r, 0);
      }
    }
  }

 private:
  const_view_of<B> atoms_;
  index_t atoms_at_once_;
  typename B::tensor correlations_, values_;
  typename B::index_tensor indices_;
};

}  // namespace solens
