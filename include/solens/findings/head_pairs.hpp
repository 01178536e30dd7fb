#pragma once

#include <algorithm>  // std::min, std::partial_sort
#include <cmath>      // std::sqrt
#include <cstddef>    // std::size_t
#include <numeric>    // std::iota
#include <string>
#include <utility>  // std::as_const
#include <vector>

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/core/error.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/lens/attention_routes.hpp>
#include <solens/lens/scratch.hpp>
#include <solens/lens/second_order.hpp>

namespace solens {

/// The later heads through which each writer of a layer has its largest effects.
template <class T>
struct dominant_heads {
  host_tensor<index_t> sources;  ///< [n_writers, n], later heads (block outermost), the one with
                                 ///< the largest effects first
  host_tensor<T> direction;      ///< [n_writers, n, d_joint], unit rows; zero without an effect
  host_tensor<T> norm;   ///< [n_writers, n]: root mean square, over the top images, of the norm of
                         ///< the pair's centered effect
  host_tensor<T> share;  ///< [n_writers, n]: of the sum of all heads' mean squared norms
};

/// Splits the second-order effects of the writers of a layer by later head.
///
/// The effect of writer n through head k on an image is s[k, n] D[n, k], a number that the image
/// makes times a vector that the weights do. So the effects of such a pair lie on one line, always:
/// its direction is D[n, k] of length 1, there is no variance off it to explain, and the norm of
/// its centered effect is |s[k, n] - mean| ||D[n, k]||. (In the reference convention, effects hold
/// besides a vector that all writers share, which is of no pair and left out.) What has to be seen
/// of images is how large these norms are where it counts: on the writer's top images, of which
/// only sums are kept.
/// Source: arXiv 2406.04341, eq. 5, whose inner sum this is, before the sum over heads.
template <tensor_backend B>
class head_pairs {
 public:
  using scalar = typename B::scalar;

  /// @param map                kept by reference, so it must outlive this; of all writers
  /// @param mean_coefficients  [n_writers, n_sources], over the data set
  /// @param top_images         [n_writers, top], numbers of images
  /// @param n_images           in the data set
  /// @throws shape_error; argument_error for an image that is not there
  /// @note keeps 3 * n_writers * n_sources numbers, and 8 * n_writers * top bytes
  head_pairs(const B& be, second_order_map<B>& map, host_view<const scalar> mean_coefficients,
             host_view<const index_t> top_images, index_t n_images)
      : map_(&map), writers_of_image_(static_cast<std::size_t>(n_images)) {
    const index_t n = map.n_writers(), k = map.n_sources();
    const std::string name = "layer " + std::to_string(map.layer()) + ": ";
    checks::same("head_pairs", shape{n, k}, mean_coefficients.extents(),
                 name + "mean_coefficients");
    checks::same("head_pairs", shape{n, top_images.rank() == 2 ? top_images.extent(1) : 0},
                 top_images.extents(), name + "top_images");
    for (index_t w = 0; w < n; ++w) {
      for (index_t i = 0; i < top_images.extent(1); ++i) {
        const index_t image = top_images(w, i);
        if (image < 0 || image >= n_images) {
          throw argument_error("head_pairs", "images below " + std::to_string(n_images),
                               std::to_string(image), name + "top_images");
        }
        writers_of_image_[static_cast<std::size_t>(image)].push_back(w);
      }
    }
    n_top_ = top_images.extent(1);
    mean_ = be.allocate(shape{n, k});
    sums_ = be.allocate(shape{n, 1, k});
    squares_ = be.allocate(shape{n, 1, k});
    be.upload(mean_coefficients, mean_.view());
    be.fill(0, sums_.view());
    be.fill(0, squares_.view());
  }
  head_pairs(const B&, second_order_map<B>&&, host_view<const scalar>, host_view<const index_t>,
             index_t) = delete;

  /// Whether an image is among the top images of any writer; others need not be added.
  bool needs(index_t image) const {
    return !writers_of_image_.at(static_cast<std::size_t>(image)).empty();
  }

  /// Takes in images, each once.
  ///
  /// @param routes   of a batch, from block layer + 1 or an earlier one on
  /// @param writers  activations [n, n_tokens, n_writers] of the same batch
  /// @param images   their numbers, n of them
  /// @param work     n * n_sources * n_writers numbers, which layers can share
  /// @note costs the coefficients and 6 * n_sources * n_writers flops an image
  void add(const B& be, const attention_routes<B>& routes, const_view_of<B> writers,
           const std::vector<index_t>& images, scratch<B>& work) {
    const index_t n = map_->n_writers(), k = map_->n_sources(), batch = std::ssize(images);
    const view_of<B> s = work.get(be, shape{n, batch, k});
    map_->coefficients(be, routes, writers, s.permuted({1, 2, 0}));
    be.axpby(-1, std::as_const(mean_).view().repeated(batch).permuted({1, 0, 2}), 1, s);

    host_tensor<scalar> is_top({n, 1, batch}, 0);
    for (index_t i = 0; i < batch; ++i) {
      const auto image = static_cast<std::size_t>(images[static_cast<std::size_t>(i)]);
      for (const index_t w : writers_of_image_.at(image)) is_top(w, 0, i) = 1;
    }
    const view_of<B> chosen = chosen_.get(be, shape{n, 1, batch});
    be.upload(std::as_const(is_top).view(), chosen);
    be.batched_gemm(1, chosen, s, 1, sums_.view());
    be.multiply(s, s, s);
    be.batched_gemm(1, chosen, s, 1, squares_.view());
  }

  /// The n_heads later heads with the largest effects of every writer, over the images so far.
  ///
  /// A direction is turned so that the centered effects on the top images are along it on average.
  /// @throws argument_error for a number of heads that is not between 1 and n_sources
  dominant_heads<scalar> finish(const B& be, index_t n_heads) {
    const index_t n = map_->n_writers(), k = map_->n_sources(), e = map_->d_joint();
    if (n_heads < 1 || n_heads > k) {
      throw argument_error("head_pairs",
                           "1 to " + std::to_string(k) +
                               " heads, as many as are later than layer " +
                               std::to_string(map_->layer()),
                           std::to_string(n_heads), "n_heads");
    }
    host_tensor<scalar> sums({n, 1, k}), squares({n, 1, k});
    be.download(std::as_const(sums_).view(), sums);
    be.download(std::as_const(squares_).view(), squares);
    dominant_heads<scalar> result{
        host_tensor<index_t>({n, n_heads}), host_tensor<scalar>({n, n_heads, e}),
        host_tensor<scalar>({n, n_heads}), host_tensor<scalar>({n, n_heads})};
    map_->for_directions(be, [&](index_t begin, index_t end, const_view_of<B> d) {
      auto lengths = be.allocate(shape{end - begin, k});
      be.row_norms(d, lengths.view());
      host_tensor<scalar> length({end - begin, k});
      be.download(std::as_const(lengths).view(), length);
      for (index_t w = begin; w < end; ++w) {
        choose(w, std::as_const(squares).view()[w][0], std::as_const(length).view()[w - begin],
               result);
      }
      take_directions(be, begin, end, d, result.sources, result.direction);
      for (index_t w = begin; w < end; ++w) {
        for (index_t i = 0; i < n_heads; ++i) {
          const index_t source = result.sources(w, i);
          const scalar long_as = length(w - begin, source);
          const scalar turn = sums(w, 0, source) < 0 ? scalar{-1} : scalar{1};
          const scalar scale = long_as > 0 ? turn / long_as : scalar{0};
          for (index_t j = 0; j < e; ++j) result.direction(w, i, j) *= scale;
        }
      }
    });
    return result;
  }

 private:
  /// The largest of a writer's heads; of equal ones, the first.
  /// @param squares  [n_sources]: sums of squared centered coefficients
  /// @param length   [n_sources]: of the directions
  void choose(index_t writer, host_view<const scalar> squares, host_view<const scalar> length,
              dominant_heads<scalar>& to) const {
    std::vector<double> energy(static_cast<std::size_t>(squares.size()));
    double total = 0;
    for (index_t k = 0; k < squares.size(); ++k) {
      const auto l = static_cast<double>(length(k));
      total += energy[static_cast<std::size_t>(k)] = static_cast<double>(squares(k)) * l * l;
    }
    std::vector<index_t> order(energy.size());
    std::iota(order.begin(), order.end(), index_t{0});
    const index_t n_heads = to.sources.extent(1);
    std::partial_sort(order.begin(), order.begin() + n_heads, order.end(),
                      [&](index_t a, index_t b) {
                        const double x = energy[static_cast<std::size_t>(a)],
                                     y = energy[static_cast<std::size_t>(b)];
                        return x > y || (x == y && a < b);
                      });
    for (index_t i = 0; i < n_heads; ++i) {
      const index_t source = order[static_cast<std::size_t>(i)];
      const double of = energy[static_cast<std::size_t>(source)];
      to.sources(writer, i) = source;
      to.norm(writer, i) =
          static_cast<scalar>(n_top_ > 0 ? std::sqrt(of / static_cast<double>(n_top_)) : 0);
      to.share(writer, i) = static_cast<scalar>(total > 0 ? of / total : 0);
    }
  }

  /// The directions of the chosen heads of writers [begin, end), as long as they are.
  /// @param d  [end - begin, n_sources, d_joint]
  void take_directions(const B& be, index_t begin, index_t end, const_view_of<B> d,
                       const host_tensor<index_t>& sources, host_tensor<scalar>& out) {
    const index_t n = end - begin, k = d.extent(1), e = d.extent(2), n_heads = sources.extent(1);
    host_tensor<index_t> rows({n, n_heads});
    for (index_t w = 0; w < n; ++w) {
      for (index_t i = 0; i < n_heads; ++i) rows(w, i) = w * k + sources(begin + w, i);
    }
    auto on_device = be.allocate_indices(shape{n, n_heads});
    auto directions = be.allocate(shape{n, n_heads, e});
    be.upload(std::as_const(rows).view(), on_device.view());
    be.gather(d.reshaped(shape{n * k, e}), std::as_const(on_device).view(), directions.view());
    be.download(std::as_const(directions).view(), out.view().slice(0, begin, end));
  }

  second_order_map<B>* map_;
  std::vector<std::vector<index_t>> writers_of_image_;
  index_t n_top_ = 0;
  typename B::tensor mean_;            ///< [n_writers, n_sources]
  typename B::tensor sums_, squares_;  ///< [n_writers, 1, n_sources]: over top images, of s - mean
  scratch<B> chosen_;
};

}  // namespace solens
