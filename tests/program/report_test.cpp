// Reports through the program: what the page holds, what is said when something is missing, bad
// input. What the page does in a browser is tested by tests/report/page_test.py.

#include "call.hpp"

#include <array>
#include <cmath>
#include <cstring>

#include <nlohmann/json.hpp>

#include <solens/image/encode_png.hpp>
#include <solens/weights/npy.hpp>
#include <solens/weights/safetensors.hpp>

using namespace solens;
using namespace solens::test;

namespace {

namespace fs = std::filesystem;

const std::string model = data("tiny-a.model.safetensors").string();

/// The text of an element of a page, from after its `id`'s tag to the next tag.
std::string element(const std::string& page, const std::string& id) {
  const std::size_t at = page.find("id=\"" + id + "\"");
  if (at == page.npos) return {};
  const std::size_t begin = page.find('>', at) + 1;
  return page.substr(begin, page.find('<', begin) - begin);
}

/// The numbers of a column of a page; none where it has no such column.
template <class T>
std::vector<T> column(const std::string& page, const std::string& name) {
  const std::string text = element(page, "column-" + name);
  const std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0;
  int n_bits = 0;
  for (const char c : text.substr(0, text.find('='))) {
    bits = bits << 6 | static_cast<unsigned>(digits.find(c));
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    bytes += static_cast<char>(bits >> n_bits & 255);
  }
  std::vector<T> numbers(bytes.size() / sizeof(T));
  if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(T));
  return numbers;
}

nlohmann::json said(const std::string& page) { return nlohmann::json::parse(element(page, "run")); }

/// Twelve pictures of 32 x 32, as tiny-a takes them, and their analysis.
struct example {
  temporary_folder folder;
  std::string images = path("images"), dir = path("run"), page = path("page.html");

  example() {
    fs::create_directory(images);
    for (int i = 0; i < 12; ++i) {
      host_tensor<std::uint8_t> pixels({32, 32, 3});
      std::mt19937 generator(static_cast<unsigned>(i));
      for (auto& value : pixels) value = static_cast<std::uint8_t>(generator() & 255);
      write_png(image(i), pixels);
    }
    run({"analyze", "--model", model, "--images", images, "--layers", "1,2", "--top", "4", "--out",
         dir, "--quiet"});
  }

  std::string path(const std::string& name) const { return (folder / name).string(); }
  fs::path image(int i) const {
    return fs::path(images) / ("image-" + std::to_string(10 + i) + ".png");
  }
  /// The page that a call makes.
  std::string report(std::vector<std::string> rest = {}) const {
    rest.insert(rest.begin(), {"report", "--run", dir, "--out", page, "--quiet"});
    const outcome o = run(rest);
    CHECK(o.out == page + "\n");
    return read_file(page);
  }
};

}  // namespace

TEST_CASE("a report holds the findings of its run") {
  const example e;
  const std::string page = e.report();
  const auto run_of_page = said(page);
  CHECK(run_of_page.at("record") == nlohmann::json::parse(read_file(fs::path(e.dir) / "run.json")));
  CHECK(run_of_page.at("images").size() == 12);
  CHECK(run_of_page.at("images").at(3) == e.image(3).string());
  CHECK(run_of_page.at("shown") == 4);
  CHECK(run_of_page.at("pictures").at("note") == "");
  CHECK(run_of_page.at("ablation").is_null());
  CHECK(run_of_page.at("layers").size() == 2);
  const auto threshold = column<float>(page, "threshold"),
             scale = column<float>(page, "largest_norm"),
             head_scale = column<float>(page, "head_scale");
  const auto norms = column<std::uint16_t>(page, "top_norms");
  const auto heads = column<std::int8_t>(page, "heads");
  const auto images = column<std::uint32_t>(page, "top_images");
  REQUIRE(threshold.size() == 512);
  REQUIRE(images.size() == 512 * 4);
  std::size_t n = 0, at = 0;
  for (const int layer : {1, 2}) {
    const safetensors_file found(fs::path(e.dir) /
                                 ("layer-" + std::to_string(layer) + ".safetensors"));
    const auto top = found.view<index_t>("top_images");
    const auto by_head = found.view<float>("direction_by_head");
    for (index_t w = 0; w < 256; ++w, ++n) {
      REQUIRE(threshold[n] == found.view<float>("threshold")(w));
      for (index_t r = 0; r < 4; ++r) {
        const std::size_t i = 4 * n + static_cast<std::size_t>(r);
        REQUIRE(images[i] == top(w, r));
        REQUIRE(std::abs(norms[i] / 65535.0 * static_cast<double>(scale[n]) -
                         static_cast<double>(found.view<float>("top_norms")(w, r))) <
                1e-5 * static_cast<double>(scale[n]));
      }
      for (index_t h = 0; h < by_head.extent(1); ++h, ++at) {
        REQUIRE(std::abs(heads[at] / 127.0 * static_cast<double>(head_scale[n]) -
                         static_cast<double>(by_head(w, h))) <=
                static_cast<double>(head_scale[n]) / 253);
      }
    }
  }
  CHECK(at == heads.size());
  CHECK(e.report() == page);
  CHECK(said(e.report({"--top", "2"})).at("shown") == 2);
}

TEST_CASE("heat maps sum to the effects along the directions") {
  const example e;
  const std::string page = e.report();
  const auto heat = column<std::int8_t>(page, "heat");
  const auto scales = column<float>(page, "heat_scale");
  const auto images = column<std::uint32_t>(page, "top_images");
  constexpr std::size_t tokens = 17;  // a class token and 4 x 4 patches
  REQUIRE(heat.size() == 512 * 4 * tokens);
  CHECK(column<std::uint32_t>(page, "thumbnail_sizes").size() == 12);
  run({"effects", "--model", model, "--images", e.images, "--layer", "2", "--out",
       e.path("effects.npy"), "--quiet"});
  const auto effects = npy_file(e.path("effects.npy")).tensor<float>();
  const safetensors_file found(fs::path(e.dir) / "layer-2.safetensors");
  const auto directions = found.view<float>("direction");
  double largest = 0, difference = 0;
  for (index_t w = 0; w < 256; ++w) {
    const auto n = static_cast<std::size_t>(256 + w);
    for (std::size_t r = 0; r < 4; ++r) {
      double sum = 0, projection = 0;
      for (std::size_t t = 0; t < tokens; ++t) sum += heat[(4 * n + r) * tokens + t] / 127.0;
      for (index_t j = 0; j < directions.extent(1); ++j) {
        projection += static_cast<double>(directions(w, j)) *
                      static_cast<double>(effects(images[4 * n + r], w, j));
      }
      const auto scale = static_cast<double>(scales[n]);
      largest = std::max(largest, std::abs(projection));
      difference = std::max(difference, std::abs(sum * scale - projection) / scale);
    }
  }
  CHECK(largest > 0.01);
  CHECK(difference < tokens / 254.0 + 1e-3);
}

TEST_CASE("pictures stay within their budget, and what is missing is said") {
  const example e;
  const std::size_t without = e.report({"--thumbnails", "0"}).size();
  const std::size_t all = e.report().size();
  // An image takes a kB or more; half the budget is too little for a heat map of every neuron.
  const std::size_t budget = 10000;
  const outcome o = run({"report", "--run", e.dir, "--out", e.page, "--thumbnails", "10000"});
  CHECK_THAT(o.err, Catch::Contains("--thumbnails has room"));
  const std::string some = read_file(e.page);
  CHECK(some.size() < all);
  CHECK(some.size() > without + budget / 2);
  CHECK(some.size() < without + budget + 4000);  // scales and sizes, the note
  CHECK_THAT(said(some).at("pictures").at("note").get<std::string>(),
             Catch::Contains("of the 12 images"));

  fs::remove(e.image(5));
  CHECK_THAT(said(e.report()).at("pictures").at("note").get<std::string>(),
             Catch::Contains("1 of the 12 images are gone"));
  const auto sizes = column<std::uint32_t>(read_file(e.page), "thumbnail_sizes");
  CHECK(sizes[5] == 0);
  CHECK(sizes[6] > 0);
  write_file(e.image(6), "no image");
  const outcome broken = run({"report", "--run", e.dir, "--out", e.page});
  CHECK_THAT(broken.err, Catch::Contains(e.image(6).string()));
  CHECK_THAT(broken.err, Catch::Contains("1 of the 12 images cannot be read"));
  CHECK(column<std::uint32_t>(read_file(e.page), "thumbnail_sizes")[6] == 0);
  fs::remove_all(e.images);
  CHECK_THAT(said(e.report()).at("pictures").at("note").get<std::string>(),
             Catch::Contains("without pictures: no image"));
}

TEST_CASE("a report of a run whose model is gone has no pictures") {
  const example e;
  auto record = nlohmann::json::parse(read_file(fs::path(e.dir) / "run.json"));
  record["model"]["path"] = "/no/such/model";
  write_file(fs::path(e.dir) / "run.json", record.dump());
  const outcome o = run({"report", "--run", e.dir});
  CHECK(o.out == (fs::path(e.dir) / "report.html").string() + "\n");
  CHECK_THAT(o.err, Catch::Contains("without pictures") && Catch::Contains("/no/such/model"));
  CHECK(column<std::int8_t>(read_file(fs::path(e.dir) / "report.html"), "heat").empty());
  CHECK(said(e.report({"--model", model})).at("pictures").at("note") == "");
}

TEST_CASE("what cannot be reported is refused, and nothing is left") {
  const example e;
  check_usage(call({"report"}), {"--run"});
  check_error(call({"report", "--run", e.images}), {e.images});
  const std::string out = e.path("report.html");
  const auto refused = [&](const std::string& what) {
    check_error(call({"report", "--run", e.dir, "--out", out, "--thumbnails", "0"}), {what});
    CHECK_FALSE(fs::exists(out));
  };
  write_file(e.path("text.json"), "not JSON");
  check_error(call({"report", "--run", e.dir, "--ablation", e.path("text.json"), "--out", out}),
              {"text.json"});
  write_file(fs::path(e.dir) / "ablation.json", R"({"layers":[{"layer":1,"rows":[{}]}]})");
  refused("ablation.json");
  fs::remove(fs::path(e.dir) / "ablation.json");
  const std::string names = read_file(fs::path(e.dir) / "images.txt");
  write_file(fs::path(e.dir) / "images.txt", names.substr(0, names.size() / 2));
  refused("layer-1.safetensors");
  fs::remove(fs::path(e.dir) / "images.txt");
  refused("images.txt");
}

TEST_CASE("a run of pixels has pictures, too") {
  temporary_folder folder;
  const std::string dir = (folder / "run").string();
  const std::string pixels = data("tiny-a.stages.safetensors").string() + ":train_images";
  run({"analyze", "--model", model, "--pixels", pixels, "--layers", "2", "--top", "4", "--out", dir,
       "--quiet"});
  const outcome o = run({"report", "--run", dir, "--quiet"});
  CHECK(o.err.empty());
  const std::string page = read_file(fs::path(dir) / "report.html");
  CHECK(column<std::int8_t>(page, "heat").size() == 256 * 4 * 17);
  CHECK(said(page).at("pictures").at("count") == 64);
}
