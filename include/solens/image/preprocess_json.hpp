#pragma once

#include <array>
#include <cmath>    // std::abs, std::round
#include <cstddef>  // std::size_t
#include <cstdint>  // std::uint8_t
#include <filesystem>
#include <string>
#include <utility>  // std::move, std::pair

#include <nlohmann/json.hpp>

#include <solens/core/error.hpp>
#include <solens/core/json.hpp>
#include <solens/image/preprocess.hpp>

namespace solens {

/// Reads the values of one JSON object; errors name the file and the key.
class preprocess_json {
 public:
  preprocess_json(nlohmann::json object, std::string file)
      : object_(std::move(object)), file_(std::move(file)) {
    if (!object_.is_object()) fail("the preprocessing", "a JSON object", object_);
  }

  /// Hugging Face's preprocessor_config.json. Keys that are not there keep CLIP's values.
  preprocess_options hugging_face() const {
    preprocess_options options;
    if (flag("do_pad", false)) fail("do_pad", "false", true);
    if (has("size")) read_size(options);
    if (!flag("do_resize", true)) options.resize = resize_mode::none;
    if (has("crop_size")) options.crop = extent("crop_size", object_.at("crop_size"));
    options.center_crop = flag("do_center_crop", true);
    if (has("resample")) options.filter = resample(object_.at("resample"));
    options.mean = channels("image_mean", options.mean);
    options.std = channels("image_std", options.std);
    if (has("rescale_factor")) options.white = white(object_.at("rescale_factor"));
    if (!flag("do_rescale", true)) options.white = 1;
    if (!flag("do_normalize", true)) {
      options.mean = {0, 0, 0};
      options.std = {1, 1, 1};
    }
    return options;
  }

  /// The preprocess_cfg of open_clip_config.json.
  /// @param image_size  the vision tower's, for a preprocess_cfg without a size
  preprocess_options open_clip(image_extent image_size) const {
    preprocess_options options;
    options.size = has("size") ? extent("size", object_.at("size")) : image_size;
    options.crop = options.size;
    options.mean = channels("mean", options.mean);
    options.std = channels("std", options.std);
    options.filter = one_of<interpolation>("interpolation", options.filter,
                                           {{{"bicubic", interpolation::bicubic},
                                             {"bilinear", interpolation::bilinear},
                                             {"random", interpolation::bicubic}}});
    options.resize = one_of<resize_mode>("resize_mode", options.resize,
                                         {{{"shortest", resize_mode::shortest},
                                           {"longest", resize_mode::longest},
                                           {"squash", resize_mode::squash}}});
    if (has("fill_color")) {
      options.fill =
          static_cast<std::uint8_t>(whole_number("fill_color", object_.at("fill_color"), 0, 255));
    }
    if (has("mode") && object_.at("mode") != "RGB") fail("mode", "\"RGB\"", object_.at("mode"));
    return options;
  }

  /// [height, width] from one number or a list of two or an object with both.
  image_extent extent(const char* key, const nlohmann::json& value) const {
    if (value.is_array() && value.size() == 2) {
      return {side(key, value[0]), side(key, value[1])};
    }
    if (value.is_object()) {
      if (!value.contains("height") || !value.contains("width")) {
        fail(key, "a number, or height and width", value);
      }
      return {side(key, value.at("height")), side(key, value.at("width"))};
    }
    return {side(key, value), side(key, value)};
  }

 private:
  [[noreturn]] void fail(const std::string& key, const std::string& expected,
                         const nlohmann::json& got) const {
    throw format_error(
        "preprocessing", expected,
        got.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).substr(0, 100),
        file_ + ": " + key);
  }

  /// Whether a key is there; null counts as absent.
  bool has(const char* key) const { return object_.contains(key) && !object_.at(key).is_null(); }

  bool flag(const char* key, bool otherwise) const {
    if (!has(key)) return otherwise;
    if (!object_.at(key).is_boolean()) fail(key, "true or false", object_.at(key));
    return object_.at(key).get<bool>();
  }

  index_t whole_number(const char* key, const nlohmann::json& value, index_t least,
                       index_t most) const {
    if (!value.is_number() || value.get<double>() != std::round(value.get<double>()) ||
        value.get<double>() < static_cast<double>(least) ||
        value.get<double>() > static_cast<double>(most)) {
      fail(key, "a whole number from " + std::to_string(least) + " to " + std::to_string(most),
           value);
    }
    return value.get<index_t>();
  }

  index_t side(const char* key, const nlohmann::json& value) const {
    return whole_number(key, value, 1, 16384);
  }

  /// A number or {"shortest_edge"} keeps the ratio; {"height", "width"} does not.
  void read_size(preprocess_options& options) const {
    const nlohmann::json& size = object_.at("size");
    if (size.is_object() && size.contains("shortest_edge")) {
      if (size.size() != 1) fail("size", "shortest_edge alone", size);
      options.size = extent("size", size.at("shortest_edge"));
    } else {
      options.size = extent("size", size);
      if (!size.is_number()) options.resize = resize_mode::squash;
    }
  }

  /// Pillow's numbers of its filters.
  interpolation resample(const nlohmann::json& value) const {
    if (value == 0) return interpolation::nearest;
    if (value == 2) return interpolation::bilinear;
    if (value != 3) fail("resample", "0 (nearest), 2 (bilinear) or 3 (bicubic)", value);
    return interpolation::bicubic;
  }

  /// 255 for a factor of 1/255, whatever digits it was written with.
  double white(const nlohmann::json& factor) const {
    if (!factor.is_number() || !(factor.get<double>() > 0)) {
      fail("rescale_factor", "a positive number", factor);
    }
    const double white = 1 / factor.get<double>();
    return std::abs(white - std::round(white)) < 1e-6 * white ? std::round(white) : white;
  }

  std::array<double, 3> channels(const char* key, std::array<double, 3> values) const {
    if (!has(key)) return values;
    const nlohmann::json& list = object_.at(key);
    const bool one = list.is_number();
    if (!one && !(list.is_array() && list.size() == 3)) fail(key, "three numbers", list);
    for (std::size_t c = 0; c < values.size(); ++c) {
      const nlohmann::json& value = one ? list : list[c];
      if (!value.is_number()) fail(key, "three numbers", list);
      values[c] = value.get<double>();
    }
    return values;
  }

  template <class E>
  E one_of(const char* key, E otherwise,
           const std::array<std::pair<const char*, E>, 3>& names) const {
    if (!has(key)) return otherwise;
    std::string expected;
    for (const auto& [name, value] : names) {
      if (object_.at(key) == name) return value;
      expected += (expected.empty() ? "" : ", ") + std::string(name);
    }
    fail(key, "one of " + expected, object_.at(key));
  }

  nlohmann::json object_;
  std::string file_;
};

/// How a model's images are prepared, from the file that lies beside its weights:
/// preprocessor_config.json or processor_config.json of Hugging Face, or open_clip_config.json.
///
/// Keys that say nothing about pixels are passed over. Of two tools that crop differently we
/// follow torchvision: an offset of half a pixel is rounded to even.
/// @throws io_error when the file cannot be read; format_error, with the file and the key, when
///         it is not JSON or asks for what we do not do
inline preprocess_options read_preprocess_options(const std::filesystem::path& file) {
  const std::string name = file.string();
  const nlohmann::json json = detail::read_json_object(file, "preprocessing");
  preprocess_options options;
  if (json.contains("preprocess_cfg") || json.contains("model_cfg")) {
    image_extent image_size = options.size;
    const nlohmann::json::json_pointer tower("/model_cfg/vision_cfg/image_size");
    const nlohmann::json nothing = nlohmann::json::object();
    const preprocess_json values(json.value("preprocess_cfg", nothing), name);
    if (json.contains(tower)) image_size = values.extent("image_size", json.at(tower));
    options = values.open_clip(image_size);
  } else {
    options =
        preprocess_json(json.contains("image_processor") ? json.at("image_processor") : json, name)
            .hugging_face();
  }
  try {
    output_extent(options);
  } catch (const argument_error& reason) {
    throw format_error(reason.what() + std::string(" (") + name + ")");
  }
  return options;
}

}  // namespace solens
