#include <solens/report/base64.hpp>

#include <support/test.hpp>

using namespace solens;

namespace {

std::string encoded(std::string_view text) { return base64(std::as_bytes(std::span(text))); }

}  // namespace

TEST_CASE("base64 gives the examples of its specification") {
  // RFC 4648, section 10.
  CHECK(encoded("").empty());
  CHECK(encoded("f") == "Zg==");
  CHECK(encoded("fo") == "Zm8=");
  CHECK(encoded("foo") == "Zm9v");
  CHECK(encoded("foob") == "Zm9vYg==");
  CHECK(encoded("fooba") == "Zm9vYmE=");
  CHECK(encoded("foobar") == "Zm9vYmFy");
}

TEST_CASE("base64 takes bytes of every value") {
  CHECK(encoded(std::string("\xFF\xFE\xFD\x00\x10\x83", 6)) == "//79ABCD");
}
