#include "support/test.hpp"

#include <string>

#include <solens/core/json.hpp>

using namespace solens;
using Catch::Matchers::Contains;
using detail::parse_json_object;

namespace {

/// An object with lists in lists: so many levels in all.
std::string nested(std::size_t levels) {
  return "{\"a\":" + std::string(levels - 1, '[') + std::string(levels - 1, ']') + "}";
}

}  // namespace

TEST_CASE("a JSON object is read, from a file too") {
  CHECK(parse_json_object(R"({"a": [1]})", "read", "f").at("a").at(0) == 1);
  const test::temporary_folder folder;
  test::write_file(folder / "f.json", R"({"a": 2})");
  CHECK(detail::read_json_object(folder / "f.json", "read").at("a") == 2);
  CHECK_THROWS_AS(detail::read_json_object(folder / "none.json", "read"), io_error);
}

TEST_CASE("what is no JSON object is refused by operation and name") {
  for (const char* text : {"", "[]", "3", "{\"a\":}", "{} {}", "{\"a\":\"\xff\"}"}) {
    CHECK_THROWS_AS(parse_json_object(text, "read things", "f.json"), format_error);
    CHECK_THROWS_WITH(parse_json_object(text, "read things", "f.json"),
                      Contains("[read things]") && Contains("f.json"));
  }
}

TEST_CASE("a key that is there twice is refused, in its own object") {
  CHECK_THROWS_WITH(parse_json_object(R"({"a": {"b": 1, "b": 2}})", "read", "f"),
                    Contains("'b' twice"));
  CHECK_NOTHROW(parse_json_object(R"({"a": {"b": 1}, "b": {"b": 2}})", "read", "f"));
}

TEST_CASE("JSON that is nested deeper than any file of a model is refused") {
  CHECK_NOTHROW(parse_json_object(nested(64), "read", "f"));
  CHECK_THROWS_WITH(parse_json_object(nested(1000), "read", "f"), Contains("64 levels"));
  CHECK_THROWS_AS(parse_json_object(nested(3'000'000), "read", "f"), format_error);
}
