#include "support/test.hpp"

#include <cstring>

#include <solens/core/direct_file.hpp>

using namespace solens;

namespace {

page_buffer filled(std::size_t pages, int seed) {
  page_buffer buffer(pages * page_size);
  for (std::size_t i = 0; i < buffer.size(); ++i) {
    buffer.data()[i] = static_cast<std::byte>((i * 31 + i / 4096) ^ static_cast<std::size_t>(seed));
  }
  return buffer;
}

bool same(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

TEST_CASE("buffers are whole pages, on a page") {
  CHECK(whole_pages(0) == 0);
  CHECK(whole_pages(1) == page_size);
  CHECK(whole_pages(page_size) == page_size);
  CHECK(page_buffer().size() == 0);
  for (std::size_t bytes : {std::size_t{1}, std::size_t{5000}, std::size_t{5} << 20}) {
    const page_buffer buffer(bytes);
    CHECK(buffer.size() == whole_pages(bytes));
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % page_size == 0);
  }
}

TEST_CASE("what is written at an offset is read there, also by another object") {
  test::temporary_folder folder;
  const page_buffer a = filled(3, 1), b = filled(1, 2);
  {
    direct_file file(folder / "f");
    CHECK(file.size() == 0);
    file.write(page_size, a.bytes());
    file.write(0, b.bytes());
    file.sync();
  }
  direct_file file(folder / "f");
  CHECK(file.size() == 4 * page_size);
  page_buffer back(3 * page_size);
  file.read(page_size, back.bytes());
  CHECK(same(back.bytes(), a.bytes()));
  file.read(0, back.bytes().first(page_size));
  CHECK(same(back.bytes().first(page_size), b.bytes()));
  file.cut(page_size);
  CHECK(file.size() == page_size);
  file.remove();
  CHECK_FALSE(std::filesystem::exists(folder / "f"));
}

TEST_CASE("a file that ends early, a full disk and a missing folder are named") {
  test::temporary_folder folder;
  direct_file file(folder / "f");
  file.write(0, filled(1, 3).bytes());
  file.cut(100);
  page_buffer back(page_size);
  CHECK_THROWS_WITH(file.read(0, back.bytes()), Catch::Contains((folder / "f").string()));
  CHECK_THROWS_AS(direct_file(folder / "not there" / "f"), io_error);
  if (std::filesystem::exists("/dev/full")) {
    direct_file full("/dev/full");
    CHECK_THROWS_WITH(full.write(0, filled(1, 4).bytes()), Catch::Contains("No space left"));
  } else {
    WARN("not run: this system has no /dev/full");
  }
}
