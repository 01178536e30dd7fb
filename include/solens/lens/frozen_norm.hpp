#pragma once

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>

namespace solens {

/// How the output of a LayerNorm is shared out among the sources that its input is a sum of.
enum class convention {
  centered,   ///< each source carries its own mean; the bias is a source of its own
  reference,  ///< no source is centered; each gets an equal share of the measured mean and of
              ///< every bias, as the published code does
};

/// A LayerNorm held at its measured mean and scale, together with the linear map that reads it.
///
/// With the scale sigma as measured, LayerNorm is linear in its input, so what a reader R makes
/// of it is a sum over everything that was ever written to the residual stream. The part that
/// does not depend on the image is kept here; a source x with the share q of the rest gives
///   centered:   map x / sigma                               (and once: bias_image)
///   reference:  map x / sigma - q mean_image mu / sigma + q bias_image
/// Source: arXiv 2406.04341, appendix A.6; arXiv 2310.05916, appendix A.
template <tensor_backend B>
class frozen_norm {
 public:
  /// @param weight, bias  of the LayerNorm, [d_model]
  /// @param reader        [..., d_model]: any number of linear functions of the norm's output
  /// @throws shape_error  when the widths differ
  /// @note costs 4 flops an element of the reader
  frozen_norm(const B& be, convention how, const_view_of<B> weight, const_view_of<B> bias,
              const_view_of<B> reader)
      : map_(be.allocate(reader.extents())),
        mean_image_(be.allocate(checks::leading(reader.extents()))),
        bias_image_(be.allocate(checks::leading(reader.extents()))) {
    const index_t n = row_count(reader), d = reader.extent(reader.rank() - 1);
    checks::same("frozen_norm", shape{d}, weight.extents(), "weight");
    checks::same("frozen_norm", shape{d}, bias.extents(), "bias");
    be.copy(reader, map_.view());
    const view_of<B> rows(map_.view().data(), shape{n, d});
    const view_of<B> means(mean_image_.view().data(), shape{n, 1});
    be.gemm(1, rows, bias.repeated(1).transposed(), 0,
            view_of<B>(bias_image_.view().data(), shape{n, 1}));
    be.gemm(1, rows, weight.repeated(1).transposed(), 0, means);
    be.multiply(rows, weight.repeated(n), rows);
    if (how == convention::centered) {
      // A row of (R diag(weight)) times (I - 11^T/d): the row less its mean.
      const const_view_of<B> repeated(means.data(), shape{n, d}, shape{1, 0});
      be.axpby(static_cast<typename B::scalar>(-1.0 / static_cast<double>(d)), repeated, 1, rows);
    }
  }

  /// R diag(weight), its rows centered in the centered convention; extents of the reader.
  const_view_of<B> map() const { return map_.view(); }
  /// R weight: what one unit of the mean takes away; the reader's leading extents.
  const_view_of<B> mean_image() const { return mean_image_.view(); }
  /// R bias; the reader's leading extents.
  const_view_of<B> bias_image() const { return bias_image_.view(); }

 private:
  typename B::tensor map_, mean_image_, bias_image_;
};

}  // namespace solens
