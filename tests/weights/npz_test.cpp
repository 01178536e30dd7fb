#include "support/test.hpp"

#include <string>

#include <solens/weights/npz.hpp>

using namespace solens;
using Catch::Matchers::Contains;

namespace {

const auto& x() {
  static const auto value = test::random_tensor<float>({4, 3}, 1);
  return value;
}

/// An archive of x, and of 1000 equal numbers, which pack well.
std::string archive(bool compress) {
  const test::temporary_folder folder;
  npz_writer out(folder / "a.npz", compress);
  out.write("x", x().view());
  out.write("ones", host_tensor<double>({10, 100}, 1.0).view());
  out.commit();
  return test::read_file(folder / "a.npz");
}

void refused(const std::string& bytes, const std::string& text) {
  const test::temporary_folder folder;
  test::write_file(folder / "a.npz", bytes);
  CHECK_THROWS_AS(npz_file(folder / "a.npz"), error);
  CHECK_THROWS_WITH(npz_file(folder / "a.npz"), Contains(text) && Contains("a.npz"));
}

/// The archive with one byte of the directory's entry for x changed.
std::string with_directory_byte(std::size_t offset, char value) {
  std::string bytes = archive(false);
  bytes[bytes.find("PK\1\2") + offset] = value;
  return bytes;
}

}  // namespace

TEST_CASE("npz: what is written is read again, stored and deflated") {
  for (const bool compress : {false, true}) {
    const test::temporary_folder folder;
    test::write_file(folder / "a.npz", archive(compress));
    const npz_file file(folder / "a.npz");
    REQUIRE(file.tensors().size() == 2);
    CHECK(file.tensors()[0].name == "x");
    CHECK(file.tensors()[1].type == dtype::f64);
    CHECK(test::relative_difference<float, float>(file.tensor<float>("x"), x().view()) == 0);
    CHECK(file.tensor<float>("ones")(9, 99) == 1.0f);
    CHECK_THROWS_WITH(file.tensor<float>("y"), Contains("'y'") && Contains("a.npz"));
    CHECK_THROWS_AS(file.read("x", host_tensor<float>({3, 4}).view()), shape_error);
  }
  CHECK(archive(true).size() < archive(false).size() / 8);
}

TEST_CASE("npz: an archive without arrays, and names that are there already") {
  const test::temporary_folder folder;
  npz_writer out(folder / "a.npz");
  CHECK_FALSE(std::filesystem::exists(folder / "a.npz"));
  out.commit();
  CHECK(npz_file(folder / "a.npz").tensors().empty());
  npz_writer twice(folder / "b.npz");
  twice.write("x", x().view());
  CHECK_THROWS_AS(twice.write("x", x().view()), argument_error);
}

TEST_CASE("npz: a byte that changed is found by the checksum") {
  for (const bool compress : {false, true}) {
    std::string bytes = archive(compress);
    const test::temporary_folder folder;
    bytes[bytes.find("PK\3\4", 4) - 12] ^= 1;  // near the end of x's numbers
    test::write_file(folder / "a.npz", bytes);
    CHECK_THROWS_AS(npz_file(folder / "a.npz").tensor<float>("x"), format_error);
    CHECK_THROWS_WITH(npz_file(folder / "a.npz").tensor<float>("x"), Contains("a.npz: x"));
  }
}

TEST_CASE("npz: a file that was cut, or is none") {
  const std::string bytes = archive(false);
  refused(bytes.substr(0, bytes.size() - 1), "no end record");
  refused(bytes.substr(0, 100), "no end record");
  refused("", "a zip archive");
  refused(bytes.substr(300), "the end of the file");
}

TEST_CASE("npz: what the format allows and this reader does not") {
  refused(with_directory_byte(8, '\1'), "an encrypted one");
  refused(with_directory_byte(10, '\14'), "method 12");
  std::string zip64 = archive(false);
  zip64.replace(zip64.find("PK\1\2") + 20, 8, 8, '\xff');
  refused(zip64, "zip64");
}

TEST_CASE("npz: sizes and places that lie") {
  refused(with_directory_byte(24, '\1'), "a size that its");
  refused(with_directory_byte(43, '\x7f'), "the end of the file");
  std::string bytes = archive(true);
  bytes[bytes.find("PK\1\2") + 26] = '\x70';  // a deflated entry that claims 7 MB
  refused(bytes, "a size that its");
}

TEST_CASE("npz: entries that are no arrays") {
  std::string bytes = archive(false);
  for (auto at = bytes.find("x.npy"); at != std::string::npos; at = bytes.find("x.npy", at)) {
    bytes.replace(at, 5, "x.txt");
  }
  refused(bytes, "arrays (.npy), got 'x.txt'");
  bytes = archive(false);
  bytes[bytes.find("NUMPY")] = 'n';
  refused(bytes, "a.npz: x");
}
