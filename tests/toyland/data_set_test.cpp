#include "support/test.hpp"

#include <sstream>

#include <nlohmann/json.hpp>

#include <solens/image/decode.hpp>
#include <solens/weights/npy.hpp>
#include <solens/weights/safetensors.hpp>
#include <toyland/data_set.hpp>
#include <toyland/grammar.hpp>
#include <toyland/painter.hpp>

using namespace toyland;

namespace {

/// What a file of classes says of a picture.
std::string class_in(const solens::test::temporary_folder& folder, const std::string& classes,
                     int picture) {
  const auto labels = solens::npy_file(folder / (classes + ".npy")).tensor<solens::index_t>();
  std::istringstream names(solens::test::read_file(folder / (classes + ".txt")));
  std::string name;
  for (solens::index_t c = 0; c <= labels(picture); ++c) REQUIRE(std::getline(names, name));
  return name;
}

}  // namespace

TEST_CASE("pictures are written with masks and captions that tell the truth") {
  const solens::test::temporary_folder folder;
  const data_set_options o{.n = 12, .seed = 3};
  write_pictures(o, folder.path());
  std::istringstream lines(solens::test::read_file(folder / "captions.jsonl"));
  int i = 0;
  for (std::string line; std::getline(lines, line); ++i) {
    const auto record = nlohmann::json::parse(line);
    const scene s = scene_of(o, i);
    const picture p = paint(s);
    const auto image = solens::read_image(folder / record.at("image").get<std::string>());
    CHECK(std::equal(image.row(0), image.row(0) + image.view().size(), p.image.row(0)));
    REQUIRE(record.at("things").size() == s.things.size());
    for (std::size_t j = 0; j < s.things.size(); ++j) {
      const auto& t = record.at("things").at(j);
      CHECK(t.at("kind") == std::string(name_of(s.things[j].what)));
      CHECK(std::filesystem::exists(folder / t.at("mask").get<std::string>()));
    }
    CHECK(record.at("concepts") == concepts_of(s));
    const std::string first(name_of(s.things[0].what));
    CHECK(class_in(folder, "kinds", i) == first);
    CHECK(class_in(folder, "textured", i) ==
          std::string(name_of(s.things[0].pattern)) + " " + first);
    const description told = parse(record.at("caption").get<std::string>()).told;
    REQUIRE(told.things.size() == s.things.size());
    if (told.place) CHECK(told.place == s.place);
  }
  CHECK(i == o.n);
}

TEST_CASE("a data set for training holds the same scenes, as numbers") {
  const solens::test::temporary_folder folder;
  const data_set_options o{.n = 9, .seed = 3};
  write_raw(o, folder / "scenes.safetensors");
  const solens::safetensors_file file(folder / "scenes.safetensors");
  const auto kinds = file.tensor<solens::index_t>("kinds");
  const auto there = file.tensor<solens::index_t>("there");
  const auto said = file.tensor<solens::index_t>("said");
  std::istringstream captions(solens::test::read_file(folder / "scenes.txt"));
  for (int i = 0; i < o.n; ++i) {
    const scene s = scene_of(o, i);
    for (int j = 0; j < most_things; ++j) {
      const bool is = j < std::ssize(s.things);
      CHECK(kinds.view()(i, j) ==
            (is ? static_cast<int>(s.things[static_cast<std::size_t>(j)].what) : -1));
    }
    for (int j = 0; j < captions_a_scene; ++j) {
      CHECK((said.view()(i, j) & ~there.view()(i)) == 0);  // nothing is said that is not there
      std::string caption;
      REQUIRE(std::getline(captions, caption));
      CHECK(parse(caption).told.things.size() == s.things.size());
    }
  }
}
