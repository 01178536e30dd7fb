#pragma once

#include <utility>  // std::as_const
#include <vector>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/lens/head_outputs.hpp>
#include <solens/stats/mean.hpp>

namespace solens {

/// Representations without what chosen attention heads write, which is replaced by its mean over
/// all images: mean ablation of their direct contributions.
///
/// Images come in batches and the mean is known at their end. So a batch leaves representations
/// without the heads altogether, and the mean, one vector, is added to all of them afterwards.
/// Source: arXiv 2310.05916, section 5.1 (heads that carry spurious features are removed).
template <tensor_backend B>
class head_removal {
 public:
  using scalar = typename B::scalar;

  /// @param outputs  of the heads to remove; kept by reference, so it must outlive this
  head_removal(const B& be, head_outputs<B>& outputs)
      : outputs_(&outputs),
        maps_(be.allocate(shape{outputs.n_sources() * outputs.d_head(), outputs.d_joint()})),
        mean_(shape{outputs.d_joint()}) {
    for (index_t k = 0; k < outputs.n_sources(); ++k) {
      be.copy(outputs.map(k).transposed(),
              maps_.view().slice(0, k * outputs.d_head(), (k + 1) * outputs.d_head()));
    }
  }

  /// @param activations  as `head_outputs::coordinates` takes them
  /// @param out          overwritten, [n_images, d_joint]: representations scaled to the norm
  ///                     `coefficient`, less all that the heads write
  /// @note costs 2 * d_head * d_joint flops a head and image, beside the coordinates
  template <lens_activations_for<B> A>
  void operator()(const B& be, const A& activations, view_of<B> out) {
    const const_view_of<B> x = outputs_->coordinates(be, activations);
    const index_t images = x.extent(0), e = outputs_->d_joint();
    checks::same("head_removal", shape{images, e}, out.extents(), "out");
    const view_of<B> written = written_.get(be, shape{images, e});
    be.gemm(1, x.reshaped(shape{images, x.extent(1) * x.extent(2)}), std::as_const(maps_).view(), 0,
            written);
    host_tensor<scalar> host(written.extents());
    be.download(const_view_of<B>(written), host);
    mean_.add(std::as_const(host).view());
    be.multiply(activations.representation, outputs_->readout().scale().repeated(e).transposed(),
                out);
    be.axpby(-1, written, 1, out);
  }

  /// What the heads together write on average over all images so far: [d_joint].
  /// @throws argument_error when there were none
  host_tensor<double> mean() const { return mean_.value(); }

 private:
  head_outputs<B>* outputs_;
  typename B::tensor maps_;  ///< [n_sources * d_head, d_joint]
  stats::mean<scalar> mean_;
  scratch<B> written_;
};

}  // namespace solens
