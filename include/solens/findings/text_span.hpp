#pragma once

#include <algorithm>   // std::clamp, std::max, std::min
#include <cmath>       // std::sqrt
#include <functional>  // std::function
#include <limits>
#include <string>
#include <utility>  // std::as_const

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/backend/reference.hpp>
#include <solens/core/error.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/lens/head_outputs.hpp>
#include <solens/stats/second_moments.hpp>

namespace solens {

/// Attention heads in texts: directions that span, greedily, what a head writes.
template <class T>
struct text_spans {
  host_tensor<index_t> texts;  ///< [n_heads, n_texts], in order of choice; -1 where no other text
                               ///< explains anything that is left
  host_tensor<T> shares;       ///< [n_heads, n_texts]: of the head's variance, explained by each
                               ///< text beyond those before it
  host_tensor<T> variance;     ///< [n_heads]: mean squared distance of the head's contribution from
                               ///< its mean, in the representation's units squared
};

namespace detail {

using host_matrix = host_tensor<double>;

/// An orthonormal basis of the columns of w [d, n], as the rows of [rank, d].
/// @param rounding  a column shorter than this part of itself outside the others adds nothing
/// Source: Gram-Schmidt, twice, as in Giraud, Langou and Rozloznik, The loss of orthogonality in
/// the Gram-Schmidt orthogonalization process, 2005.
inline host_matrix basis_of_columns(const host_matrix& w, double rounding) {
  const index_t d = w.extent(0), n = w.extent(1);
  host_matrix basis({std::min(n, d), d});
  index_t rank = 0;
  for (index_t c = 0; c < n && rank < d; ++c) {
    double* row = &basis(rank, 0);
    double whole = 0, left = 0;
    for (index_t i = 0; i < d; ++i) {
      row[i] = w(i, c);
      whole += row[i] * row[i];
    }
    for (int round = 0; round < 2; ++round) {
      for (index_t r = 0; r < rank; ++r) {
        double product = 0;
        for (index_t i = 0; i < d; ++i) product += basis(r, i) * row[i];
        for (index_t i = 0; i < d; ++i) row[i] -= product * basis(r, i);
      }
    }
    for (index_t i = 0; i < d; ++i) left += row[i] * row[i];
    if (!(left > rounding * rounding * whole)) continue;
    for (index_t i = 0; i < d; ++i) row[i] /= std::sqrt(left);
    ++rank;
  }
  host_matrix result({rank, d});
  std::copy_n(basis.data(), result.size(), result.data());
  return result;
}

/// F [n, n] with F F^T = c for positive semidefinite c [n, n].
inline host_matrix factor_of(host_view<const double> c) {
  const index_t n = c.extent(0);
  host_matrix values({1, n}), vectors({1, n, n}), factor({n, n});
  reference_backend<double>{}.symmetric_eigen(c.repeated(1), values, vectors);
  for (index_t i = 0; i < n; ++i) {
    for (index_t k = 0; k < n; ++k) {
      factor(i, k) = vectors(0, k, i) * std::sqrt(std::max(0.0, values(0, k)));
    }
  }
  return factor;
}

inline double squared_norm(const host_matrix& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return sum;
}

template <tensor_backend B>
host_matrix in_double(const B& be, const_view_of<B> x) {
  host_tensor<typename B::scalar> host(x.extents());
  be.download(x, host);
  host_matrix result(x.extents());
  std::copy(host.begin(), host.end(), result.begin());
  return result;
}

template <tensor_backend B>
typename B::tensor on_backend(const B& be, const host_matrix& x) {
  host_tensor<typename B::scalar> cast(x.extents());
  std::transform(x.begin(), x.end(), cast.begin(),
                 [](double v) { return static_cast<typename B::scalar>(v); });
  auto result = be.allocate(x.extents());
  be.upload(std::as_const(cast).view(), result.view());
  return result;
}

/// One head on its way through the greedy choice, in coordinates of what it can write.
template <tensor_backend B>
class head_in_texts {
 public:
  using scalar = typename B::scalar;

  /// @param map         [d_joint, d_head], from coordinates to the representation
  /// @param covariance  [d_head, d_head], of the coordinates
  /// @param texts       [n_texts, d_joint]
  head_in_texts(const B& be, const_view_of<B> map, host_view<const double> covariance,
                const_view_of<B> texts)
      : be_(be) {
    const host_matrix w = in_double(be, map);
    const host_matrix basis = basis_of_columns(w, rounding(w.extent(0)));
    const reference_backend<double> host;
    host_matrix inner({basis.extent(0), w.extent(1)});
    factor_ = host_matrix({basis.extent(0), w.extent(1)});
    host.gemm(1, basis, w, 0, inner);
    host.gemm(1, inner, factor_of(covariance), 0, factor_);
    variance_ = squared_norm(factor_);
    chosen_ = host_matrix({basis.extent(0), basis.extent(0)});

    const index_t n = texts.extent(0);
    projected_ = be.allocate({n, basis.extent(0)});
    along_ = be.allocate({n, w.extent(1)});
    norms_ = be.allocate({1, n});
    value_ = be.allocate({1, 1});
    index_ = be.allocate_indices({1, 1});
    if (basis.empty()) return;
    const auto columns = on_backend(be, basis);
    be.gemm(1, texts, columns.view().transposed(), 0, projected_.view());
  }

  double variance() const { return variance_; }

  /// Takes the text whose projection onto what is left varies most, and takes that direction away.
  /// @param share  gets its share of the variance
  /// @returns the text, -1 when nothing is left to explain
  index_t choose(double& share) {
    const index_t rank = factor_.extent(0);
    const double noise = rounding(rank);
    if (n_chosen_ == rank || !(squared_norm(factor_) > noise * noise * variance_)) return -1;
    const auto factor = on_backend(be_, factor_);
    be_.gemm(1, const_view_of<B>(projected_.view()), factor.view(), 0, along_.view());
    be_.row_norms(const_view_of<B>(along_.view()), norms_.view()[0]);
    be_.top_k(const_view_of<B>(norms_.view()), value_.view(), index_.view());
    host_tensor<index_t> text({1, 1});
    be_.download(const_index_view_of<B>(index_.view()), text);

    host_matrix direction = in_double(be_, const_view_of<B>(projected_.view())[text(0, 0)]);
    const double whole = std::sqrt(squared_norm(direction));
    remove_chosen(direction);
    const double length = std::sqrt(squared_norm(direction));
    if (!(length > noise * whole)) return -1;
    double* row = &chosen_(n_chosen_++, 0);
    for (index_t i = 0; i < rank; ++i) row[i] = direction(i) / length;
    share = deflate(row) / variance_;
    return text(0, 0);
  }

 private:
  /// What rounding of the backend's numbers leaves of a vector that should have vanished.
  static double rounding(index_t n) {
    return 4 * std::sqrt(static_cast<double>(n)) *
           static_cast<double>(std::numeric_limits<scalar>::epsilon());
  }

  void remove_chosen(host_matrix& direction) const {
    for (int round = 0; round < 2; ++round) {
      for (index_t k = 0; k < n_chosen_; ++k) {
        double product = 0;
        for (index_t i = 0; i < direction.size(); ++i) product += chosen_(k, i) * direction(i);
        for (index_t i = 0; i < direction.size(); ++i) direction(i) -= product * chosen_(k, i);
      }
    }
  }

  /// factor -= u (u^T factor).
  /// @returns the variance that goes with it
  double deflate(const double* u) {
    double removed = 0;
    for (index_t k = 0; k < factor_.extent(1); ++k) {
      double product = 0;
      for (index_t i = 0; i < factor_.extent(0); ++i) product += u[i] * factor_(i, k);
      for (index_t i = 0; i < factor_.extent(0); ++i) factor_(i, k) -= product * u[i];
      removed += product * product;
    }
    return removed;
  }

  const B& be_;
  host_matrix factor_;  ///< [rank, d_head]: times its transpose, the covariance that is left
  host_matrix chosen_;  ///< [rank, rank], rows: the directions taken, n_chosen_ of them
  index_t n_chosen_ = 0;
  double variance_ = 0;
  typename B::tensor projected_, along_, norms_, value_;
  typename B::index_tensor index_;
};

}  // namespace detail

/// Describes attention heads in texts.
///
/// A head writes within the image of its output map, d_head dimensions of the joint space. Texts
/// are projected onto it; then, time and again, the text is taken along which the head's
/// contribution varies most over the images, and its direction is projected out of the contribution
/// and of all texts. A text counts by the length of its projection: one that lies mostly outside of
/// what the head can write is not taken. Variances are all that this needs of the images, and those
/// are known from the covariances of the head's coordinates: exact, with d_head^2 numbers a head
/// whatever the number of images.
///
/// @param heads    whose coordinates were accumulated
/// @param moments  of those, [n_sources] groups of width d_head, an image or more
/// @param texts    embeddings [n, d_joint], unit rows
/// @param n_texts  at most so many a head; no head has more than d_head
/// @param done     called with the number of heads that are done
/// @throws shape_error; argument_error for a number of texts that is not positive
/// @note costs, a head, 2 * n * d_head * (d_joint + n_texts * d_head) flops and 2 n d_head numbers
/// Source: arXiv 2310.05916, algorithm 1 (TextSpan).
template <tensor_backend B>
text_spans<typename B::scalar> text_span(const B& be, const head_outputs<B>& heads,
                                         const stats::second_moments<typename B::scalar>& moments,
                                         const_view_of<B> texts, index_t n_texts,
                                         const std::function<void(index_t)>& done = {}) {
  using scalar = typename B::scalar;
  const index_t n = heads.n_sources();
  checks::same("text_span", shape{n, heads.d_head()}, shape{moments.n_groups(), moments.width()},
               "moments");
  checks::same("text_span", shape{texts.extent(0), heads.d_joint()}, texts.extents(), "texts");
  if (n_texts <= 0 || texts.empty()) {
    throw argument_error("text_span", "one text a head or more", std::to_string(n_texts),
                         "n_texts");
  }
  const host_tensor<double> covariance = moments.covariance();
  text_spans<scalar> result{host_tensor<index_t>({n, n_texts}, -1),
                            host_tensor<scalar>({n, n_texts}, 0), host_tensor<scalar>({n})};
  for (index_t k = 0; k < n; ++k) {
    detail::head_in_texts<B> head(be, heads.map(k), covariance.view()[k], texts);
    result.variance(k) = static_cast<scalar>(head.variance());
    for (index_t i = 0; i < n_texts; ++i) {
      double share = 0;
      if ((result.texts(k, i) = head.choose(share)) < 0) break;
      result.shares(k, i) = static_cast<scalar>(share);
    }
    if (done) done(k + 1);
  }
  return result;
}

}  // namespace solens
