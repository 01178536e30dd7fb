#pragma once

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/lens/head_map.hpp>
#include <solens/lens/scratch.hpp>

namespace solens {

/// What later heads together make of vectors in the residual stream: the sum over sources k =
/// (later block, head) of P^T diag(ln_post) C W_O W_V diag(ln_1) C z[k].
///
/// For sums over writers that is cheaper than their directions: sum_n s[k, n] D[n, k] is this of
/// z[k] = sum_n s[k, n] w[n].
/// Source: arXiv 2406.04341, eq. 5.
template <tensor_backend B>
class head_readout {
 public:
  /// @param heads  kept by reference, so it must outlive this
  /// @param first  the first block that is ever read through
  /// @note keeps d_joint * d_model numbers a block
  head_readout(const B& be, const head_maps<B>& heads, index_t first)
      : heads_(&heads),
        first_(first),
        outputs_(be.allocate(
            shape{heads.n_layers() - first, heads.n_heads(), heads.d_head(), heads.d_joint()})) {
    for (index_t block = first; block < heads.n_layers(); ++block) {
      be.copy(heads.outputs(block).transposed(), outputs_.view()[block - first]);
    }
  }
  head_readout(const B&, head_maps<B>&&, index_t) = delete;

  /// @param z    [n, sources, d_model], the sources being the heads of the last blocks
  /// @param out  overwritten, [n, d_joint]
  /// @throws shape_error when the sources are not the heads of whole blocks from `first` on
  /// @note costs 2 * sources * d_head * (d_model + d_joint) flops a row
  void operator()(const B& be, const_view_of<B> z, view_of<B> out) {
    const index_t n = z.extent(0), n_heads = heads_->n_heads(), d_head = heads_->d_head();
    const index_t n_blocks = z.extent(1) / n_heads;
    checks::same("head_readout", shape{n, n_blocks * n_heads, heads_->d_model()}, z.extents(), "z");
    checks::same("head_readout", shape{n, heads_->d_joint()}, out.extents(), "out");
    const index_t begin = heads_->n_layers() - n_blocks;
    const auto outputs = outputs_.view().slice(0, begin - first_, heads_->n_layers() - first_);
    const view_of<B> values = values_.get(be, shape{n, n_blocks * n_heads, d_head});
    for (index_t i = 0; i < n_blocks; ++i) {
      const auto part = [&](const auto& x) {
        return x.slice(1, i * n_heads, (i + 1) * n_heads).permuted({1, 0, 2});
      };
      be.batched_gemm(1, part(z), heads_->values(begin + i).map().transposed(), 0, part(values));
    }
    const index_t inner = n_blocks * n_heads * d_head;
    be.gemm(1, values.reshaped(shape{n, inner}), outputs.reshaped(shape{inner, heads_->d_joint()}),
            0, out);
  }

 private:
  const head_maps<B>* heads_;
  index_t first_;
  typename B::tensor outputs_;  ///< [blocks from first_ on, n_heads, d_head, d_joint]
  scratch<B> values_;
};

}  // namespace solens
