#include "support/test.hpp"

#include <sys/stat.h>  // mkfifo

#include <fstream>
#include <span>
#include <utility>

#include <solens/core/mapped_file.hpp>

using namespace solens;
using Catch::Matchers::Contains;

namespace {

/// Memory of this process that is resident because of mapped files, in kB.
long resident_file_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "RssFile:") {
      long kb = 0;
      status >> kb;
      return kb;
    }
  }
  return -1;
}

}  // namespace

TEST_CASE("a mapped file shows the bytes of the file") {
  const test::temporary_folder folder;
  test::write_file(folder / "f", "some bytes");
  mapped_file file(folder / "f");
  REQUIRE(file.size() == 10);
  CHECK(std::to_integer<char>(file.bytes()[5]) == 'b');
  const mapped_file moved = std::move(file);
  CHECK(std::to_integer<char>(moved.bytes()[9]) == 's');
  CHECK(file.bytes().empty());
}

TEST_CASE("an empty file maps to no bytes") {
  const test::temporary_folder folder;
  test::write_file(folder / "empty", "");
  CHECK(mapped_file(folder / "empty").bytes().empty());
}

TEST_CASE("what cannot be mapped is an error that names the file") {
  const test::temporary_folder folder;
  CHECK_THROWS_WITH(mapped_file(folder / "missing"),
                    Contains("missing") && Contains("No such file"));
  CHECK_THROWS_WITH(mapped_file(folder.path()), Contains("a folder"));
  CHECK_THROWS_AS(mapped_file("/dev/zero"), io_error);
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_AS(mapped_file(folder / "pipe"), io_error);
}

TEST_CASE("dropped pages leave memory and come back") {
  const test::temporary_folder folder;
  constexpr std::size_t size = std::size_t{16} << 20;
  test::write_file(folder / "f", std::string(size, 'x'));
  const mapped_file file(folder / "f");
  const auto touch = [&] {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < size; i += 4096)
      sum += std::to_integer<std::size_t>(file.bytes()[i]);
    return sum;
  };
  const std::size_t sum = touch();
  const long touched = resident_file_kb();
  file.drop(file.bytes());
  if (touched >= 0) CHECK(touched - resident_file_kb() > 15 * 1024);
  CHECK(touch() == sum);
}
