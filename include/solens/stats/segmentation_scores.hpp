#pragma once

#include <algorithm>  // std::sort
#include <array>
#include <cstddef>  // std::size_t
#include <cstdint>  // std::uint8_t
#include <string>
#include <utility>  // std::pair
#include <vector>

#include <solens/core/error.hpp>
#include <solens/core/tensor_view.hpp>

namespace solens::stats {

/// Average precision: with items by falling score, items of one score together, the sum over the
/// scores of precision so far times the recall gained. 0 where nothing is right.
/// @param items  score, and whether the item is right; sorted by the call
inline double average_precision(std::vector<std::pair<float, bool>>& items) {
  std::sort(items.begin(), items.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  double right = 0, sum = 0;
  for (std::size_t i = 0; i < items.size();) {
    double gained = 0;
    const float score = items[i].first;
    for (; i < items.size() && items[i].first == score; ++i) gained += items[i].second ? 1 : 0;
    right += gained;
    sum += gained * right / static_cast<double>(i);
  }
  return right == 0 ? 0 : sum / right;
}

/// How well heat maps find an object, scored as the published evaluation does, with background (0)
/// and object (1) as two classes:
///
///   pixel accuracy  right pixels over all pixels, of all images together
///   IoU of a class  intersection over union, each added up over all images; mIoU is the mean of
///                   the two
///   AP              of an image, every pixel gives two items: object with score h, right where
///                   the pixel is the object's, and background with score 1 - h, right where it
///                   is not; the average precision of all these; mAP is the mean over images
///
/// Source: the evaluation of arXiv 2012.09838 (hila-chefer/Transformer-Explainability at 6b4f311,
/// baselines/ViT/imagenet_seg_eval.py), which arXiv 2310.05916 and arXiv 2406.04341 use. It differs
/// for a constant map alone, which has no heat here and neither class there.
class segmentation_scores {
 public:
  /// The scores of one image.
  struct of_image {
    double pixel_accuracy, object_iou, average_precision;
  };

  /// @param heat       [height, width], 0 to 1
  /// @param truth      likewise, 0 for background, else the object
  /// @param threshold  above which heat is taken for the object
  /// @throws shape_error when the extents differ or there is no pixel; argument_error for heat that
  ///         is not from 0 to 1
  of_image add(host_view<const float> heat, host_view<const std::uint8_t> truth, float threshold) {
    if (heat.rank() != 2 || heat.empty() || heat.extents() != truth.extents()) {
      throw shape_error("segmentation_scores", "pixels of " + to_string(heat.extents()),
                        to_string(truth.extents()), "truth");
    }
    std::array<index_t, 4> pixels{};  // by 2 * truth + found
    std::vector<std::pair<float, bool>> items;
    items.reserve(2 * static_cast<std::size_t>(heat.size()));
    for (index_t i = 0; i < heat.size(); ++i) {
      const float h = element_of(heat, i);
      const bool is_object = element_of(truth, i) != 0;
      if (!(h >= 0 && h <= 1)) {
        throw argument_error("segmentation_scores", "heat from 0 to 1", std::to_string(h), "heat");
      }
      ++pixels[2 * std::size_t{is_object} + std::size_t{h > threshold}];
      items.emplace_back(h, is_object);
      items.emplace_back(1 - h, !is_object);
    }
    const double precision = average_precision(items);
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels_[i] += pixels[i];
    precisions_ += precision;
    ++n_;
    return {accuracy(pixels), iou(pixels, 1), precision};
  }

  index_t n() const { return n_; }  ///< images
  double pixel_accuracy() const { return accuracy(pixels_); }
  double background_iou() const { return iou(pixels_, 0); }
  double object_iou() const { return iou(pixels_, 1); }
  double mean_iou() const { return (background_iou() + object_iou()) / 2; }
  double mean_average_precision() const { return share(precisions_, static_cast<double>(n_)); }

 private:
  static double share(double part, double whole) { return whole == 0 ? 0 : part / whole; }

  static double accuracy(const std::array<index_t, 4>& pixels) {
    return share(static_cast<double>(pixels[0] + pixels[3]),
                 static_cast<double>(pixels[0] + pixels[1] + pixels[2] + pixels[3]));
  }
  static double iou(const std::array<index_t, 4>& pixels, std::size_t kind) {
    const index_t both = pixels[3 * kind];
    return share(static_cast<double>(both), static_cast<double>(both + pixels[1] + pixels[2]));
  }

  std::array<index_t, 4> pixels_{};  ///< counted by 2 * truth + found
  double precisions_ = 0;
  index_t n_ = 0;
};

}  // namespace solens::stats
