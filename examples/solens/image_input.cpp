#include "image_input.hpp"

#include <algorithm>
#include <filesystem>
#include <numeric>  // std::iota
#include <utility>

#include <solens/core/host_tensor.hpp>
#include <solens/image/decode.hpp>
#include <solens/image/image_list.hpp>
#include <solens/weights/npy.hpp>
#include <solens/weights/safetensors.hpp>

namespace solens::program {
namespace {

class decoded_input : public image_input {
 public:
  decoded_input(image_source images, const preprocess_options& preprocess, index_t at_once,
                int threads, index_t first, bool strict)
      : images_(std::move(images)),
        stream_(images_.n, preprocess, images_.read,
                {.threads = threads,
                 .ahead = std::max(index_t{32}, 2 * at_once),
                 .strict = strict,
                 .first = first}) {
    const image_extent extent = output_extent(preprocess);
    const index_t most = std::min(at_once, size());
    pixels_ = host_tensor<float>(shape{most, 3, extent.height, extent.width});
  }

  batch next() override {
    std::vector<index_t> positions = stream_.next(pixels_);
    const auto n = static_cast<index_t>(positions.size());
    return {pixels_.view().slice(0, 0, n), std::move(positions)};
  }
  index_t size() const override { return stream_.size(); }
  index_t done() const override { return stream_.done(); }
  std::string name(index_t position) const override { return images_.name(position); }
  const std::vector<skipped_image>& skipped() const override { return stream_.skipped(); }

 private:
  image_source images_;
  image_stream stream_;
  host_tensor<float> pixels_;
};

/// `F.safetensors[:tensor]`, in its two parts.
struct tensor_place {
  std::string file, tensor;

  explicit tensor_place(const std::string& text) : file(text) {
    const std::size_t colon = text.rfind(":");
    // A colon may also be part of the file's name.
    if (colon == text.npos || !text.substr(0, colon).ends_with(".safetensors")) return;
    file = text.substr(0, colon);
    tensor = text.substr(colon + 1);
  }
};

/// The tensor that was named, the only one, or the only one with four axes.
const tensor_info& pixels_in(const safetensors_file& file, const std::string& name) {
  if (!name.empty()) return file.info(name);
  const tensor_info* found = nullptr;
  std::string all;
  for (const tensor_info& t : file.tensors()) {
    all += (all.empty() ? "" : ", ") + t.name + " " + to_string(t.extents);
    if (t.extents.rank() != 4) continue;
    if (found != nullptr) {
      throw argument_error("read pixels", "FILE:tensor, since it holds several", all, file.name());
    }
    found = &t;
  }
  if (found == nullptr) {
    throw format_error("read pixels", "a tensor [images, 3, height, width]", all, file.name());
  }
  return *found;
}

/// @throws shape_error when a tensor is not [images, 3, extent]
void check_extents(const shape& x, image_extent extent, const std::string& name) {
  if (x.rank() == 4 && x.without(0) == shape{3, extent.height, extent.width}) return;
  throw shape_error(
      "read pixels",
      "[images, 3, " + std::to_string(extent.height) + ", " + std::to_string(extent.width) + "]",
      to_string(x), name);
}

class pixels_input : public image_input {
 public:
  pixels_input(const std::string& text, image_extent extent, index_t at_once, index_t first)
      : at_once_(at_once) {
    const tensor_place place(text);
    name_ = place.file;
    if (std::filesystem::path(place.file).extension() == ".npy") {
      const auto file = std::make_shared<npy_file>(place.file);
      check_extents(file->extents(), extent, place.file);
      pixels_ = file->view<float>();
      file_ = file;
    } else {
      const auto file = std::make_shared<safetensors_file>(place.file);
      const tensor_info& tensor = pixels_in(*file, place.tensor);
      check_extents(tensor.extents, extent, place.file + ": " + tensor.name);
      pixels_ = file->view<float>(tensor.name);
      name_ += ":" + tensor.name;
      file_ = file;
    }
    done_ = std::min(first, size());
  }

  batch next() override {
    const index_t begin = done_;
    done_ = std::min(done_ + at_once_, size());
    std::vector<index_t> positions(static_cast<std::size_t>(done_ - begin));
    std::iota(positions.begin(), positions.end(), begin);
    return {pixels_.slice(0, begin, done_), std::move(positions)};
  }
  index_t size() const override { return pixels_.extent(0); }
  index_t done() const override { return done_; }
  std::string name(index_t position) const override {
    return name_ + "[" + std::to_string(position) + "]";
  }
  const std::vector<skipped_image>& skipped() const override { return none_; }

 private:
  std::string name_;
  std::shared_ptr<const void> file_;  // keeps mapped what `pixels_` shows
  host_view<const float> pixels_;
  index_t at_once_, done_ = 0;
  std::vector<skipped_image> none_;
};

}  // namespace

std::unique_ptr<image_input> open_images(const image_options& o,
                                         const preprocess_options& preprocess, index_t at_once,
                                         int threads, index_t first) {
  if (!o.pixels.empty()) {
    return std::make_unique<pixels_input>(o.pixels, output_extent(preprocess), at_once, first);
  }
  const image_list list =
      o.labels == "folders" ? images_in_class_folders(o.images) : list_images(o.images);
  return open_images(image_files(list.paths), preprocess, at_once, threads, first, o.strict);
}

image_source image_files(std::vector<std::filesystem::path> paths) {
  const auto all = std::make_shared<const std::vector<std::filesystem::path>>(std::move(paths));
  const auto path = [all](index_t i) { return (*all)[static_cast<std::size_t>(i)]; };
  return {std::ssize(*all), [path](index_t i) { return path(i).string(); },
          [path](index_t i) { return read_image(path(i)); }};
}

std::unique_ptr<image_input> open_images(image_source images, const preprocess_options& preprocess,
                                         index_t at_once, int threads, index_t first, bool strict) {
  return std::make_unique<decoded_input>(std::move(images), preprocess, at_once, threads, first,
                                         strict);
}

}  // namespace solens::program
