#include "support/test.hpp"

#include <solens/weights/safetensors_set.hpp>
#include <solens/weights/safetensors_writer.hpp>

using namespace solens;

namespace {

/// Two files with a tensor each, and the index that names them.
void write_shards(const test::temporary_folder& folder, const std::string& index) {
  const host_tensor<float> a({2}, 1.5F), b({3}, -2);
  write_safetensors(folder / "one.safetensors", {{"a", a.view()}});
  write_safetensors(folder / "two.safetensors", {{"b", b.view()}});
  test::write_file(folder / "model.safetensors.index.json", index);
}

const std::string good = R"({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}})";

void check_refused(const std::string& index, const std::string& named) {
  test::temporary_folder folder;
  write_shards(folder, index);
  try {
    const safetensors_set set(folder / "model.safetensors.index.json");
    FAIL("opened " << index);
  } catch (const error& e) {
    CHECK_THAT(e.what(), Catch::Contains(named));
  }
}

}  // namespace

TEST_CASE("tensors of several files are read as of one") {
  test::temporary_folder folder;
  write_shards(folder, good);
  const safetensors_set set(folder / "model.safetensors.index.json");
  REQUIRE(set.tensors().size() == 2);
  CHECK(set.files().size() == 2);
  host_tensor<float> a({2}), b({3}), wrong({4});
  set.read("a", a.view());
  set.read("b", b.view());
  CHECK(a(1) == 1.5F);
  CHECK(b(2) == -2);
  CHECK_THROWS_AS(set.read("c", a.view()), argument_error);
  CHECK_THROWS_AS(set.read("a", wrong.view()), shape_error);
}

TEST_CASE("one file is a set, too") {
  test::temporary_folder folder;
  write_shards(folder, good);
  const safetensors_set set(folder / "one.safetensors");
  REQUIRE(set.tensors().size() == 1);
  CHECK(set.tensors()[0].name == "a");
}

TEST_CASE("an index that does not fit its files is refused by name") {
  check_refused("[]", "model.safetensors.index.json");
  check_refused("{}", "weight_map");
  check_refused(R"({"weight_map": {}})", "weight_map");
  check_refused(R"({"weight_map": {"a": 3}})", "model.safetensors.index.json");
  check_refused(R"({"weight_map": {"a": "../one.safetensors"}})", "one.safetensors");
  check_refused(R"({"weight_map": {"a": "three.safetensors"}})", "three.safetensors");
  check_refused(R"({"weight_map": {"a": "two.safetensors", "b": "two.safetensors"}})", "a");
}
