#pragma once

#include <algorithm>  // std::min
#include <utility>    // std::as_const

#include <solens/backend/normalize_rows.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/stats/mean.hpp>

namespace solens {

/// How the rows of a dictionary are scaled.
enum class dictionary_scaling {
  unit,       ///< every row to norm 1, so that a pursuit chooses by angle
  reference,  ///< every column to norm 100, as the published code does
};

namespace detail {

/// Minus the mean of rows [n, d], accumulated in double.
template <tensor_backend B>
typename B::tensor minus_mean(const B& be, const_view_of<B> rows) {
  using scalar = typename B::scalar;
  constexpr index_t at_once = 4096;
  const index_t n = rows.extent(0), d = rows.extent(1);
  stats::mean<scalar> mean({d});
  host_tensor<scalar> host({std::min(n, at_once), d});
  for (index_t begin = 0; begin < n; begin += at_once) {
    const auto part = host.view().slice(0, 0, std::min(at_once, n - begin));
    be.download(rows.slice(0, begin, begin + part.extent(0)), part);
    mean.add(part);
  }
  const host_tensor<double> value = mean.value();
  host_tensor<scalar> negative({d});
  for (index_t j = 0; j < d; ++j) negative(j) = static_cast<scalar>(-value(j));
  auto result = be.allocate({d});
  be.upload(std::as_const(negative).view(), result.view());
  return result;
}

}  // namespace detail

/// A dictionary of words: their embeddings without what all of them share, their mean, and scaled.
///
/// A word that lies at the mean becomes a row of zeros, which no pursuit chooses.
/// @param embeddings  [n_words, d_joint], of any scale common to all
/// @return            [n_words, d_joint]
/// @throws shape_error unless there are a word or more with a coordinate or more
/// Source: arXiv 2406.04341, section 4, for the subtracted mean; `reference` is what
/// compute_sparse_decomposition.py of its code does.
template <tensor_backend B>
typename B::tensor text_dictionary(const B& be, const_view_of<B> embeddings,
                                   dictionary_scaling scaling = dictionary_scaling::unit) {
  if (embeddings.rank() != 2 || embeddings.empty()) {
    throw shape_error("text_dictionary", "[n_words, d_joint], a word or more",
                      to_string(embeddings.extents()), "embeddings");
  }
  auto result = be.allocate(embeddings.extents());
  const view_of<B> rows = result.view();
  be.copy(embeddings, rows);
  const auto mean = detail::minus_mean(be, embeddings);
  be.add_bias(mean.view(), rows);
  if (scaling == dictionary_scaling::unit) {
    normalize_rows(be, rows);
  } else {
    normalize_rows(be, rows.transposed(), 100);
  }
  return result;
}

}  // namespace solens
