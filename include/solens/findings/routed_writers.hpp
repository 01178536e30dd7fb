#pragma once

#include <algorithm>   // std::copy_n, std::fill, std::transform
#include <cstddef>     // std::size_t
#include <functional>  // std::negate
#include <utility>     // std::as_const

#include <solens/backend/concept.hpp>
#include <solens/backend/parallel.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/findings/coefficient_store.hpp>
#include <solens/findings/stream_rows.hpp>

namespace solens {

/// A block of writers whose coefficients are not on disk but made again from the writers'
/// activations and the routes of every image, s = U p; to be used like `images_of_writers`.
///
/// That takes n_tokens numbers an image and writer instead of one for every later head. The
/// activations of some neighbouring writers, a panel, are kept together as
/// [n_panels, batch, n_tokens, panel], so that an image is a product with a matrix.
/// On host memory only.
template <tensor_backend B>
class routed_writers {
 public:
  using scalar = typename B::scalar;

  static constexpr index_t panel = 32;
  static constexpr index_t together = panel;  ///< writers that are best looked at at once

  /// Panels that hold so many writers.
  static constexpr index_t n_panels(index_t n_writers) { return (n_writers + panel - 1) / panel; }

  /// Copies the activations of some images to their part of a record.
  /// @param activations  [n, n_tokens, n_writers], the writers of a token one after the other
  /// @param out          [n_panels, n, n_tokens * panel]; the end of the last panel is set to 0
  /// @returns whether all are finite
  static bool keep(host_view<const scalar> activations, host_view<scalar> out) {
    const index_t tokens = activations.extent(1), n = activations.extent(2);
    const index_t whole = n / panel, left = n % panel;
    bool finite = true;
    const auto stream = [&finite](const scalar* from, scalar* to, index_t rows, index_t distance,
                                  index_t width) {
      finite &= stream_rows<scalar>({from, {rows, width}, {panel, 1}},
                                    {to, {rows, width}, {distance, 1}});
    };
    for (index_t i = 0; i < activations.extent(0); ++i) {
      for (index_t t = 0; t < tokens; ++t) {
        const scalar* from = &activations(i, t, 0);
        if (whole > 0) stream(from, &out(0, i, t * panel), whole, out.stride(0), panel);
        if (left == 0) continue;
        scalar* last = &out(whole, i, t * panel);
        stream(from + whole * panel, last, 1, panel, left);
        std::fill(last + left, last + panel, scalar{0});
      }
    }
    return finite;
  }

  using block_type = typename coefficient_store<scalar>::block;

  /// @param block      panels, of which the first hold so many writers; must outlive this, and
  ///                   `measure` be called before anything else
  /// @param routes     of all images, a single row of [n_tokens, sources]; must outlive this
  /// @param n_tokens   of every image
  /// @param n_sources  later heads of the layer, the last ones of the routes' sources
  routed_writers(const B& be, const block_type& block, index_t n_writers, const block_type& routes,
                 index_t n_tokens, index_t n_sources)
      : be_(&be),
        block_(&block),
        routes_(&routes),
        n_tokens_(n_tokens),
        n_sources_(n_sources),
        mean_({n_writers, n_sources}) {}

  /// Takes the mean over all images, of writers [begin, end) of a panel, from its first on; threads
  /// may do so at the same time for different panels.
  void measure(index_t begin, index_t end) {
    const index_t n = end - begin;
    host_tensor<double> sum({n, n_sources_}, 0.0);
    host_tensor<scalar> of_piece({n, n_sources_});
    nearby memory(*this);
    for (std::size_t p = 0; p < block_->pieces().size(); ++p) {
      for (index_t i = 0; i < block_->pieces()[p].extent(1); ++i) {
        multiply(begin, p, i, scalar(i == 0 ? 0 : 1), of_piece.view(), memory);
      }
      std::transform(sum.begin(), sum.end(), of_piece.begin(), sum.begin(),
                     [](double a, scalar b) { return a + static_cast<double>(b); });
    }
    std::transform(sum.begin(), sum.end(), mean_.data() + begin * n_sources_,
                   [m = static_cast<double>(block_->n_images())](double s) {
                     return static_cast<scalar>(s / m);
                   });
  }

  const host_tensor<scalar>& mean() const { return mean_; }  ///< [n_writers, n_sources]

  /// Coefficients of images of writers of one panel, from `writer`, its first, and `image` on, less
  /// the mean.
  /// @param out  overwritten, [n, m, n_sources], contiguous
  void centered(index_t writer, index_t image, host_view<scalar> out) const {
    const index_t n = out.extent(0);
    nearby memory(*this);
    std::size_t p = block_->piece_of(image);
    for (index_t i = 0; i < out.extent(1); ++i) {
      if (image + i == block_->first(p + 1)) ++p;
      for (index_t w = 0; w < n; ++w) subtract_from_nothing(writer + w, &out(w, i, 0));
      multiply(writer, p, image + i - block_->first(p), 1, out.select(1, i), memory);
    }
  }

  /// Coefficients of the images that each writer chose, less the mean.
  /// @param chosen  [n_writers, count]
  /// @param out     overwritten, [n_writers, count, n_sources], contiguous
  void centered(host_view<const index_t> chosen, host_view<scalar> out) const {
    thread_team().split(out.extent(0), 1, [&](index_t from, index_t to) {
      for (index_t w = from; w < to; ++w) {
        for (index_t c = 0; c < out.extent(1); ++c) {
          const index_t image = chosen(w, c);
          const scalar* p = block_->row(w / panel, image) + w % panel;
          const index_t sources = routes_->width() / n_tokens_;
          const scalar* u = routes_->row(0, image) + sources - n_sources_;
          scalar* s = &out(w, c, 0);
          subtract_from_nothing(w, s);
          for (index_t t = 0; t < n_tokens_; ++t, p += panel, u += sources) {
            const scalar active = *p;
            SOLENS_SIMD()
            for (index_t k = 0; k < n_sources_; ++k) s[k] += active * u[k];
          }
        }
      }
    });
  }

 private:
  /// Copies of what belongs to an image: a product would wait for memory at every row of it.
  struct nearby {
    host_tensor<scalar> activations, routes;
    explicit nearby(const routed_writers& of)
        : activations({of.n_tokens_, panel}), routes({of.n_tokens_, of.n_sources_}) {}
  };

  /// out [n, n_sources] = coefficients of an image of a piece, from `writer`, the first of a panel,
  /// on, + beta out.
  void multiply(index_t writer, std::size_t piece, index_t image, scalar beta,
                host_view<scalar> out, nearby& memory) const {
    const index_t sources = routes_->width() / n_tokens_;
    const scalar* u = &routes_->pieces()[piece](0, image, sources - n_sources_);
    for (index_t t = 0; t < n_tokens_; ++t) {
      std::copy_n(u + t * sources, n_sources_, &memory.routes(t, 0));
    }
    std::copy_n(&block_->pieces()[piece](writer / panel, image, 0), n_tokens_ * panel,
                memory.activations.data());
    be_->gemm(1, std::as_const(memory.activations).view().slice(1, 0, out.extent(0)).transposed(),
              std::as_const(memory.routes).view(), beta, out);
  }

  void subtract_from_nothing(index_t writer, scalar* out) const {
    std::transform(mean_.data() + writer * n_sources_, mean_.data() + (writer + 1) * n_sources_,
                   out, std::negate<>());
  }

  const B* be_;
  const block_type *block_, *routes_;
  index_t n_tokens_, n_sources_;
  host_tensor<scalar> mean_;
};

}  // namespace solens
