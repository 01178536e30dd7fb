#include <solens/image/preprocess_json.hpp>

#include <support/test.hpp>

using namespace solens;
using Catch::Matchers::Contains;

namespace {

preprocess_options read(const std::string& text) {
  const test::temporary_folder folder;
  test::write_file(folder / "preprocessor_config.json", text);
  return read_preprocess_options(folder / "preprocessor_config.json");
}

}  // namespace

TEST_CASE("a preprocessor_config.json of today") {
  const auto options = read(R"({"crop_size": {"height": 336, "width": 320},
    "do_center_crop": true, "do_convert_rgb": true, "do_normalize": true, "do_rescale": true,
    "do_resize": true, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6],
    "image_processor_type": "CLIPImageProcessor", "resample": 2,
    "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 336}})");
  CHECK(options.resize == resize_mode::shortest);
  CHECK(options.size == image_extent{336, 336});
  CHECK(options.crop == image_extent{336, 320});
  CHECK(options.center_crop);
  CHECK(options.filter == interpolation::bilinear);
  CHECK(options.white == 255);
  CHECK(options.mean == std::array{0.1, 0.2, 0.3});
  CHECK(options.std == std::array{0.4, 0.5, 0.6});
}

TEST_CASE("a preprocessor_config.json of CLIP's first release") {
  const auto options = read(R"({"crop_size": 224, "do_center_crop": true, "do_normalize": true,
    "do_resize": true, "feature_extractor_type": "CLIPFeatureExtractor", "resample": 3,
    "size": 224})");
  CHECK(options.resize == resize_mode::shortest);
  CHECK(options.size == image_extent{224, 224});
  CHECK(options.mean == preprocess_options{}.mean);
}

TEST_CASE("an image processor inside of a processor_config.json") {
  const auto options = read(R"({"image_processor": {"size": {"height": 10, "width": 20},
    "do_center_crop": false, "do_rescale": false, "do_normalize": false},
    "processor_class": "CLIPProcessor"})");
  CHECK(options.resize == resize_mode::squash);
  CHECK(output_extent(options) == image_extent{10, 20});
  CHECK(options.white == 1);
  CHECK(options.mean == std::array{0., 0., 0.});
  CHECK(options.std == std::array{1., 1., 1.});
}

TEST_CASE("an image that is not resized is cropped") {
  const auto options = read(R"({"do_resize": false, "size": null, "crop_size": [8, 9]})");
  CHECK(options.resize == resize_mode::none);
  CHECK(output_extent(options) == image_extent{8, 9});
}

TEST_CASE("an open_clip_config.json") {
  const auto options = read(R"({"model_cfg": {"vision_cfg": {"image_size": 256}},
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25],
    "interpolation": "bilinear", "resize_mode": "longest", "fill_color": 7}})");
  CHECK(options.size == image_extent{256, 256});
  CHECK(options.crop == image_extent{256, 256});
  CHECK(options.resize == resize_mode::longest);
  CHECK(options.filter == interpolation::bilinear);
  CHECK(options.fill == 7);
  CHECK(options.mean == std::array{0.5, 0.5, 0.5});

  CHECK(read(R"({"preprocess_cfg": {"size": [32, 48]}})").crop == image_extent{32, 48});
  CHECK(read(R"({"model_cfg": {}})").size == image_extent{224, 224});
}

TEST_CASE("what we do not do is an error that names the file and the key") {
  const auto fails = [](const std::string& text, const std::string& key) {
    INFO(text);
    CHECK_THROWS_AS(read(text), format_error);
    CHECK_THROWS_WITH(read(text), Contains("preprocessor_config.json") && Contains(key));
  };
  fails(R"({"resample": 1})", "resample");
  fails(R"({"resample": "bicubic"})", "resample");
  fails(R"({"size": "large"})", "size");
  fails(R"({"size": {"longest_edge": 224}})", "size");
  fails(R"({"size": {"shortest_edge": 224, "longest_edge": 448}})", "size");
  fails(R"({"size": 0})", "size");
  fails(R"({"size": 22.5})", "size");
  fails(R"({"crop_size": 1e9})", "crop_size");
  fails(R"({"crop_size": {"height": 3}})", "crop_size");
  fails(R"({"do_resize": 1})", "do_resize");
  fails(R"({"do_center_crop": false})", "center_crop");
  fails(R"({"do_pad": true})", "do_pad");
  fails(R"({"image_mean": [1, 2]})", "image_mean");
  fails(R"({"image_std": [1, 2, "3"]})", "image_std");
  fails(R"({"image_std": [1, 0, 1]})", "std");
  fails(R"({"rescale_factor": -1})", "rescale_factor");
  fails(R"({"preprocess_cfg": {"resize_mode": "widest"}})", "resize_mode");
  fails(R"({"preprocess_cfg": {"interpolation": "lanczos"}})", "interpolation");
  fails(R"({"preprocess_cfg": {"fill_color": 256}})", "fill_color");
  fails(R"({"preprocess_cfg": {"mode": "L"}})", "mode");
  fails(R"({"preprocess_cfg": 3})", "object");
  fails(R"({"model_cfg": {"vision_cfg": {"image_size": []}}})", "image_size");
  fails("{", "JSON");
  fails("[1]", "JSON");
  fails("", "JSON");
  CHECK_THROWS_AS(read_preprocess_options("/nowhere/preprocessor_config.json"), io_error);
}
