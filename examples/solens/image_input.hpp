#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include <solens/core/progress.hpp>
#include <solens/core/shape.hpp>
#include <solens/core/tensor_view.hpp>
#include <solens/image/image_stream.hpp>
#include <solens/image/preprocess.hpp>

#include "console.hpp"
#include "options.hpp"

namespace solens::program {

/// Preprocessed images in batches, whether they come from image files or from a tensor.
class image_input {
 public:
  struct batch {
    host_view<const float> pixels;   ///< [n, 3, height, width], valid until the next batch
    std::vector<index_t> positions;  ///< which images of the input these are; empty at the end
  };

  virtual ~image_input() = default;
  virtual batch next() = 0;

  /// How many images there are, and how many of them are done with, skipped ones included.
  virtual index_t size() const = 0;
  virtual index_t done() const = 0;

  /// The file, or the place in a tensor, of the image at a position of the input.
  virtual std::string name(index_t position) const = 0;

  /// The images that were left out so far.
  virtual const std::vector<skipped_image>& skipped() const = 0;
};

/// Opens what `--images` or `--pixels` names.
///
/// @param preprocess  how image files become pixels; a tensor has to have the extents of that
/// @param at_once     images in a batch
/// @param threads     that decode image files
/// @param first       the image to begin with; positions count from the first of all the same
/// @throws io_error, format_error, shape_error naming the file
std::unique_ptr<image_input> open_images(const image_options&, const preprocess_options& preprocess,
                                         index_t at_once, int threads, index_t first = 0);

/// Images wherever they are, by position.
struct image_source {
  index_t n = 0;
  std::function<std::string(index_t)> name;
  image_stream::reader read;
};
image_source image_files(std::vector<std::filesystem::path>);

/// The same for those.
/// @param strict  an image that cannot be read is an error
std::unique_ptr<image_input> open_images(image_source, const preprocess_options& preprocess,
                                         index_t at_once, int threads, index_t first = 0,
                                         bool strict = false);

/// Calls `f(batch)` for every batch, or until it returns false where it returns anything, with a
/// progress, and reports images that were left out.
///
/// @throws format_error when no image could be read; interrupted
template <class F>
void for_each_batch(image_input& input, const std::string& task, bool quiet, F&& f) {
  progress bar(task, "images", input.size(), {.style = progress_style_of_stderr(quiet)});
  std::size_t reported = 0;
  while (true) {
    const image_input::batch batch = input.next();
    const std::vector<skipped_image>& skipped = input.skipped();
    for (; reported < skipped.size(); ++reported) {
      bar.report("skipped: " + skipped[reported].reason);
    }
    throw_if_stopped();
    if (batch.positions.empty()) break;
    if constexpr (std::is_same_v<decltype(f(batch)), bool>) {
      if (!f(batch)) break;
    } else {
      f(batch);
    }
    bar.add(input.done() - bar.done());
  }
  const auto n_skipped = static_cast<index_t>(reported);
  if (n_skipped == input.size()) {
    throw format_error(task, "at least one image that can be read",
                       "none among " + std::to_string(n_skipped));
  }
  bar.finish();
  if (n_skipped > 0) {
    bar.report("skipped " + std::to_string(n_skipped) + " of " + std::to_string(input.size()) +
               " images");
  }
}

}  // namespace solens::program
