#include "support/test.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include <solens/weights/npy.hpp>

using namespace solens;
using Catch::Matchers::Contains;

namespace {

/// A .npy file as numpy lays it out: magic, version, header length, dict, numbers.
std::string npy(const std::string& dict, const std::string& numbers, char version = 1) {
  std::string length{static_cast<char>(dict.size() & 0xff), static_cast<char>(dict.size() >> 8)};
  if (version > 1) length += std::string(2, '\0');
  return "\x93NUMPY" + std::string{version, '\0'} + length + dict + numbers;
}

std::string dict(const std::string& descr, const std::string& order, const std::string& extents) {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + extents + ", }\n";
}

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

class raw_file {
 public:
  explicit raw_file(const std::string& bytes) { test::write_file(path(), bytes); }
  std::filesystem::path path() const { return folder_ / "a.npy"; }

 private:
  test::temporary_folder folder_;
};

void refused(const std::string& bytes, const std::string& text) {
  const raw_file file(bytes);
  CHECK_THROWS_AS(npy_file(file.path()), error);
  CHECK_THROWS_WITH(npy_file(file.path()), Contains(text) && Contains("a.npy"));
}

const std::string six = raw<float>({0, 1, 2, 3, 4, 5});

}  // namespace

TEST_CASE("npy: what is written is read again") {
  const test::temporary_folder folder;
  const auto x = test::random_tensor<float>({3, 2, 4}, 1);
  const auto y = test::random_tensor<double>({5}, 2);
  host_tensor<index_t> ids({2, 1});
  ids(0, 0) = -5;
  ids(1, 0) = index_t{1} << 60;
  write_npy(folder / "x", x.view());
  write_npy(folder / "xt", x.view().permuted({2, 0, 1}));
  write_npy(folder / "y", y.view());
  write_npy(folder / "ids", ids.view());
  const npy_file fx(folder / "x"), fxt(folder / "xt"), fy(folder / "y"), fi(folder / "ids");
  CHECK(fx.type() == dtype::f32);
  CHECK(test::relative_difference<float, float>(fx.view<float>(), x.view()) == 0);
  CHECK(test::relative_difference<float, float>(fxt.tensor<float>(),
                                                x.view().permuted({2, 0, 1})) == 0);
  CHECK(test::relative_difference<double, double>(fy.tensor<double>(), y.view()) == 0);
  CHECK(fi.tensor<index_t>()(1, 0) == index_t{1} << 60);
  CHECK_THROWS_WITH(fx.tensor<index_t>(), Contains("int64") && Contains("float32"));
  CHECK_THROWS_AS(fx.read(host_tensor<float>({3, 8}).view()), shape_error);
}

TEST_CASE("npy: rows are written as they come and read as they are wanted") {
  const test::temporary_folder folder;
  const auto x = test::random_tensor<float>({7, 3}, 3);
  npy_writer out(folder / "rows.npy", dtype::f32, {3});
  out.append(x.view().slice(0, 0, 4));
  out.append(x.view().slice(0, 4, 4));
  out.append(x.view().slice(0, 4, 7));
  CHECK_THROWS_AS(out.append(test::random_tensor<float>({1, 4}, 1).view()), shape_error);
  CHECK_THROWS_AS(out.append(host_tensor<index_t>({1, 3}, 1).view()), argument_error);
  CHECK_FALSE(std::filesystem::exists(folder / "rows.npy"));
  out.commit();
  const npy_file file(folder / "rows.npy");
  CHECK(file.extents() == shape{7, 3});
  host_tensor<double> part({2, 3});
  file.read_rows(5, part.view());
  CHECK(part(1, 2) == static_cast<double>(x(6, 2)));
  CHECK_THROWS_WITH(file.read_rows(6, part.view()),
                    Contains("rows 6 to 8") && Contains("rows.npy"));
}

TEST_CASE("npy: an array larger than a block of reading") {
  const test::temporary_folder folder;
  const auto x = test::random_tensor<float>({1100, 2048}, 4);
  write_npy(folder / "large", x.view());
  CHECK(test::relative_difference<float, float>(npy_file(folder / "large").tensor<float>(),
                                                x.view()) == 0);
}

TEST_CASE("npy: an array without elements, and one without rows yet") {
  const test::temporary_folder folder;
  npy_writer(folder / "none", dtype::f32, {4}).commit();
  CHECK(npy_file(folder / "none").tensor<float>().extents() == shape{0, 4});
}

TEST_CASE("npy: every version of the header") {
  for (const char version : {'\1', '\2', '\3'}) {
    const raw_file file(npy(dict("<f4", "False", "(2, 3)"), six, version));
    CHECK(npy_file(file.path()).tensor<float>()(1, 0) == 3);
  }
  refused(npy(dict("<f4", "False", "(2, 3)"), six, 4), "version 1 to 3, got 4");
}

TEST_CASE("npy: Fortran order") {
  const raw_file file(npy(dict("<f4", "True", "(2, 3)"), six));
  const npy_file in(file.path());
  const auto x = in.tensor<double>();
  CHECK(x.extents() == shape{2, 3});
  CHECK(x(0, 1) == 2);
  CHECK(x(1, 2) == 5);
  const std::string aligned = dict("<f4", "True", "(2, 3)");
  const raw_file padded(npy(aligned.substr(0, aligned.size() - 1) +
                                std::string((64 - (10 + aligned.size()) % 64) % 64, ' ') + "\n",
                            six));
  const npy_file mapped(padded.path());
  CHECK(mapped.view<float>()(1, 2) == 5);
  CHECK(mapped.view<float>().extents() == shape{2, 3});
  host_tensor<float> row({1, 3});
  CHECK_THROWS_AS(in.read_rows(0, row.view()), not_supported);
}

TEST_CASE("npy: every type of number") {
  const auto second = [](const std::string& descr, const std::string& numbers) {
    const raw_file file(npy(dict(descr, "False", "(2,)"), numbers));
    return npy_file(file.path()).tensor<double>()(1);
  };
  CHECK(second("<f2", raw<std::uint16_t>({0, 0xc000})) == -2);
  CHECK(second("<f4", raw<float>({0, 1.5f})) == 1.5);
  CHECK(second("<f8", raw<double>({0, 0.1})) == 0.1);
  CHECK(second("<i2", raw<std::int16_t>({0, -300})) == -300);
  CHECK(second("<i4", raw<std::int32_t>({0, -70000})) == -70000);
  CHECK(second("<i8", raw<std::int64_t>({0, 9})) == 9);
  CHECK(second("|u1", raw<std::uint8_t>({0, 200})) == 200);
  CHECK(second("|i1", raw<std::int8_t>({0, -3})) == -3);
  CHECK(second("|b1", raw<std::uint8_t>({0, 1})) == 1);
}

TEST_CASE("npy: a scalar has rank 0") {
  const raw_file file(npy(dict("<f8", "False", "()"), raw<double>({2.5})));
  const npy_file in(file.path());
  CHECK(in.extents() == shape{});
  CHECK(in.tensor<double>()(0) == 2.5);
}

TEST_CASE("npy: a file that was cut") {
  const std::string whole = npy(dict("<f4", "False", "(2, 3)"), six);
  refused(whole.substr(0, whole.size() - 1), "24 bytes for float32 [2, 3], got 23 bytes");
  refused(whole.substr(0, 40), "the end of the file");
  refused(whole.substr(0, 9), "a version and a header length");
  refused("", "begins with \\x93NUMPY");
}

TEST_CASE("npy: a file with more than its array") {
  refused(npy(dict("<f4", "False", "(2, 3)"), six + "x"), "got 25 bytes");
}

TEST_CASE("npy: types that are not numbers, or of another machine") {
  for (const char* descr : {"|O", ">f4", "<c8", "<U5"}) {
    refused(npy(dict(descr, "False", "(1,)"), "12345678"), descr);
  }
}

TEST_CASE("npy: headers that are not numpy's") {
  refused(npy("{'descr': '<f4', 'fortran_order': False}\n", ""), "some of them");
  refused(npy("{'descr': '<f4', 'descr': '<f4'}\n", ""), "once each, got 'descr'");
  refused(npy("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': ()}\n", ""),
          "text in quotes");
  refused(npy(dict("<f4", "Maybe", "(1,)"), "1234"), "True or False, got 'Maybe");
  refused(npy(dict("<f4", "False", "(-1,)"), ""), "an extent, got '-1");
  refused(npy(dict("<f4", "False", "(99999999999999999999,)"), ""), "a larger one");
  refused(npy(dict("<f4", "False", "(4294967296, 4294967296)"), ""), "a size that memory can hold");
  refused(npy(dict("<f4", "False", "(0, 4294967296, 4294967296)"), ""), "that memory can hold");
  refused(npy(dict("<f4", "False", "(1, 1, 1, 1, 1, 1, 1)"), "1234"), "at most 6 axes, got 7");
  refused(npy(dict("<f4", "False", "(1,)") + "; import os", "1234"), "nothing after '}'");
  refused(npy("", ""), "'{', got the end");
}
