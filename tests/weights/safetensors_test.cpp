#include "support/test.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

using namespace solens;
using Catch::Matchers::Contains;

namespace {

std::string length_prefix(std::uint64_t n) {
  std::string text(8, '\0');
  std::memcpy(text.data(), &n, 8);  // the tests, like the library, run on little-endian machines
  return text;
}

/// A file of a header and so many bytes of data.
class raw_file {
 public:
  raw_file(const std::string& header, std::size_t n_data)
      : raw_file(length_prefix(header.size()) + header + std::string(n_data, '\0')) {}
  explicit raw_file(const std::string& bytes) { test::write_file(path(), bytes); }
  std::filesystem::path path() const { return folder_ / "bad.safetensors"; }

 private:
  test::temporary_folder folder_;
};

/// Checks that a file is refused with `text`, and the file's name.
void refused(const raw_file& file, const std::string& text) {
  CHECK_THROWS_WITH(safetensors_file(file.path()), Contains(text) && Contains("bad.safetensors"));
  CHECK_THROWS_AS(safetensors_file(file.path()), error);
}

const std::string x_f32_2 = R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";

}  // namespace

TEST_CASE("safetensors: what is written is read again") {
  const test::temporary_folder folder;
  const auto path = folder / "t.safetensors";
  const auto a = test::random_tensor<float>({3, 4}, 1);
  const auto b = test::random_tensor<double>({2, 2, 2}, 2);
  host_tensor<index_t> ids({3});
  ids(0) = -1;
  ids(1) = std::numeric_limits<index_t>::max();
  ids(2) = 7;
  const float scalar = 2.5f;
  const host_tensor<float> nothing({0, 5});
  write_safetensors(path,
                    {{"a", a.view()},
                     {"b", b.view()},
                     {"a.transposed", a.view().transposed()},
                     {"ids", ids.view()},
                     {"nothing", nothing.view()},
                     {"scalar", host_view<const float>(&scalar, shape{})}},
                    {{"made by", "a test"}});

  const safetensors_file file(path);
  REQUIRE(file.tensors().size() == 6);
  CHECK(file.metadata().at("made by") == "a test");
  CHECK(file.info("b").type == dtype::f64);
  CHECK(file.info("scalar").extents == shape{});
  CHECK(file.tensor<float>("scalar")(0) == 2.5f);
  CHECK(file.tensor<index_t>("ids")(1) == std::numeric_limits<index_t>::max());
  CHECK(file.tensor<float>("nothing").empty());
  CHECK(test::relative_difference<float, float>(file.view<float>("a"), a.view()) == 0);
  CHECK(test::relative_difference<double, double>(file.tensor<double>("b"), b.view()) == 0);
  CHECK(test::relative_difference<float, float>(file.view<float>("a.transposed"),
                                                a.view().transposed()) == 0);

  host_tensor<double> wide({4, 3});
  file.read("a", wide.view().transposed());
  CHECK(wide(2, 1) == static_cast<double>(a(1, 2)));
}

TEST_CASE("safetensors: the bytes do not depend on the order of declaring and writing") {
  const test::temporary_folder folder;
  const auto x = test::random_tensor<float>({5, 2}, 1);
  const auto y = test::random_tensor<double>({3}, 2);
  write_safetensors(folder / "1", {{"x", x.view()}, {"y", y.view()}});
  safetensors_writer out(folder / "2", {{"y", dtype::f64, {3}}, {"x", dtype::f32, {5, 2}}});
  out.write_rows("x", 3, x.view().slice(0, 3, 5));
  out.write("y", y.view());
  out.write_rows("x", 0, x.view().slice(0, 0, 3));
  out.commit();
  CHECK(test::read_file(folder / "1") == test::read_file(folder / "2"));
}

TEST_CASE("safetensors: narrow types convert") {
  const test::temporary_folder folder;
  safetensors_writer out(folder / "f", {{"half", dtype::f16, {3}}, {"brain", dtype::bf16, {3}}});
  host_tensor<float> x({3});
  x(0) = 0.1f;
  x(1) = -65504.0f;
  x(2) = 3.0f;
  out.write("half", x.view());
  out.write("brain", x.view());
  out.commit();
  const safetensors_file file(folder / "f");
  const auto half = file.tensor<double>("half"), brain = file.tensor<double>("brain");
  CHECK(half(0) == static_cast<double>(f16(0.1f)));
  CHECK(std::abs(half(0) - 0.1) <= 0.1 * 0x1p-11);
  CHECK(half(1) == -65504);
  CHECK(std::abs(brain(0) - 0.1) <= 0.1 * 0x1p-8);
  CHECK(brain(2) == 3);
}

TEST_CASE("safetensors: integers of every width are read") {
  const raw_file file(R"({"b":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]},)"
                      R"("i":{"dtype":"I32","shape":[1],"data_offsets":[2,6]},)"
                      R"("s":{"dtype":"I16","shape":[],"data_offsets":[6,8]},)"
                      R"("u":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}})",
                      0);
  auto bytes = test::read_file(file.path());
  bytes += std::string("\x01\x00\xfe\xff\xff\xff\x03\x00\xff", 9);
  test::write_file(file.path(), bytes);
  const safetensors_file in(file.path());
  CHECK(in.tensor<index_t>("b")(0) == 1);
  CHECK(in.tensor<float>("i")(0) == -2.0f);
  CHECK(in.tensor<index_t>("s")(0) == 3);
  CHECK(in.tensor<index_t>("u")(0) == 255);
}

TEST_CASE("safetensors: misaligned numbers are read by copy, not by view") {
  const raw_file file(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                      R"("x":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
                      0);
  auto bytes = test::read_file(file.path()) + '\7';
  const float value = 0.75f;
  bytes.append(reinterpret_cast<const char*>(&value), 4);
  // Whatever the header's length, one of four data sections lies askew.
  for (int spaces = 0; spaces < 4; ++spaces) {
    const std::string header =
        bytes.substr(8, bytes.size() - 13) + std::string(static_cast<std::size_t>(spaces), ' ');
    test::write_file(file.path(),
                     length_prefix(header.size()) + header + bytes.substr(bytes.size() - 5));
    const safetensors_file in(file.path());
    CHECK(in.tensor<float>("x")(0) == 0.75f);
    if ((8 + header.size() + 1) % 4 == 0) {
      CHECK(in.view<float>("x")(0) == 0.75f);
    } else {
      CHECK_THROWS_WITH(in.view<float>("x"), Contains("aligned") && Contains("bad.safetensors: x"));
    }
  }
}

TEST_CASE("safetensors: what is asked for must be there and fit") {
  const raw_file raw(x_f32_2 + "}", 8);
  const safetensors_file file(raw.path());
  host_tensor<float> three({3});
  host_tensor<index_t> two({2});
  CHECK(file.contains("x"));
  CHECK_FALSE(file.contains("y"));
  CHECK_THROWS_WITH(file.tensor<float>("y"), Contains("'y'") && Contains("bad.safetensors"));
  CHECK_THROWS_AS(file.read("x", three.view()), shape_error);
  CHECK_THROWS_WITH(file.read("x", three.view()),
                    Contains("[3]") && Contains("[2]") && Contains("bad.safetensors: x"));
  CHECK_THROWS_WITH(file.read("x", two.view()), Contains("int64") && Contains("float32"));
  CHECK_THROWS_WITH(file.view<double>("x"), Contains("float64") && Contains("float32"));
}

TEST_CASE("safetensors: an empty file") {
  refused(raw_file(""), "8 bytes of header length, got 0");
}

TEST_CASE("safetensors: a missing file") {
  CHECK_THROWS_AS(safetensors_file("/nowhere/at.all"), io_error);
}

TEST_CASE("safetensors: a header over 100 MB") {
  refused(raw_file(length_prefix(100'000'001) + "{}"), "at most 100000000 bytes, got 100000001");
  refused(raw_file(length_prefix(~std::uint64_t{0}) + "{}"), "at most 100000000");
}

TEST_CASE("safetensors: a header past the end of the file") {
  refused(raw_file(length_prefix(50) + "{}"), "a header of 50 bytes, got 2");
}

TEST_CASE("safetensors: a header that is no JSON object") {
  refused(raw_file("{\"x\": ", 0), "JSON");
  refused(raw_file("[1, 2]", 0), "begins with '{'");
  refused(raw_file("", 0), "begins with '{'");
  refused(raw_file("{\"\xff\xfe\": 1}", 0), "JSON");
}

TEST_CASE("safetensors: a tensor that is there twice") {
  refused(raw_file(x_f32_2 + "," + x_f32_2.substr(1) + "}", 8), "'x' twice");
}

TEST_CASE("safetensors: a type that is not known") {
  const raw_file file(R"({"x":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", 1);
  refused(file, "got F4");
  CHECK_THROWS_AS(safetensors_file(file.path()), not_supported);
}

TEST_CASE("safetensors: extents that make no sense") {
  const auto with_shape = [](const std::string& extents) {
    return raw_file(R"({"x":{"dtype":"F32","shape":)" + extents + R"(,"data_offsets":[0,8]}})", 8);
  };
  refused(with_shape("[-2]"), "counts in 'shape', got -2");
  refused(with_shape("[2.0]"), "counts in 'shape', got 2.0");
  refused(with_shape("2"), "a list 'shape'");
  refused(with_shape("[4294967296, 4294967296, 2]"), "a size that memory can hold");
  refused(with_shape("[0, 4294967296, 4294967296]"), "a size that memory can hold");
  refused(with_shape("[18446744073709551615]"), "extents that memory can hold");
  refused(with_shape("[1,1,1,1,1,1,2]"), "at most 6 axes, got 7");
}

TEST_CASE("safetensors: a size that is not the extents'") {
  const raw_file file(R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8);
  refused(file, "12 bytes for float32 [3], got 8 bytes (" + file.path().string() + ": x)");
}

TEST_CASE("safetensors: offsets that leave the file, as in one that was cut") {
  refused(raw_file(x_f32_2 + "}", 7), "within 7 bytes of data, got [0,8]");
  refused(raw_file(R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[3,2]}})", 4), "got [3,2]");
}

TEST_CASE("safetensors: tensors that overlap") {
  refused(raw_file(x_f32_2 + R"(,"y":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8),
          "an overlap: they begin at 4");
}

TEST_CASE("safetensors: a gap between tensors") {
  refused(raw_file(x_f32_2 + R"(,"y":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})", 16),
          "a gap: they begin at 12");
}

TEST_CASE("safetensors: bytes after the last tensor") {
  refused(raw_file(x_f32_2 + "}", 9), "1 more bytes");
}

TEST_CASE("safetensors: entries that lack or add something") {
  refused(raw_file(R"({"x": 3})", 0), "an object, got number");
  refused(raw_file(R"({"x":{"shape":[0],"data_offsets":[0,0]}})", 0), "a dtype");
  refused(raw_file(R"({"x":{"dtype":"U8","shape":[0]}})", 0), "'data_offsets'");
  refused(raw_file(R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[0]}})", 0),
          "two data_offsets");
  refused(raw_file(R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"z":1}})", 0), "'z'");
  refused(raw_file(R"({"__metadata__":{"a":1}})", 0), "text for 'a'");
}

TEST_CASE("safetensors writer: everything declared must be written, once declared") {
  const test::temporary_folder folder;
  const auto x = test::random_tensor<float>({4, 2}, 1);
  safetensors_writer out(folder / "f", {{"x", dtype::f32, {4, 2}}});
  out.write_rows("x", 0, x.view().slice(0, 0, 2));
  CHECK_THROWS_WITH(out.commit(), Contains("no row 2") && Contains("f: x"));
  CHECK_THROWS_WITH(out.write_rows("x", 3, x.view().slice(0, 0, 2)), Contains("rows 3 to 5"));
  CHECK_THROWS_WITH(out.write("y", x.view()), Contains("a declared tensor, got 'y'"));
  CHECK_THROWS_AS(out.write("x", x.view().transposed()), shape_error);
  CHECK_THROWS_WITH(out.write("x", host_tensor<index_t>({4, 2}, 1).view()),
                    Contains("expected float32, got int64"));
  CHECK_FALSE(std::filesystem::exists(folder / "f"));
  using infos = std::vector<tensor_info>;
  CHECK_THROWS_AS(
      safetensors_writer(folder / "g", infos{{"a", dtype::u8, {1}}, {"a", dtype::u8, {2}}}),
      argument_error);
}

TEST_CASE("safetensors: the fixtures of other writers are read") {
  const safetensors_file model(test::data("tiny-a.model.safetensors"));
  CHECK(model.metadata().at("act") == "quick_gelu");
  CHECK(model.info("visual.conv1.weight").extents == shape{64, 3, 8, 8});
  CHECK(model.info("logit_scale").extents == shape{});
  CHECK(model.tensor<float>("logit_scale")(0) == Approx(std::log(1 / 0.07)));
  const safetensors_file reference(test::data("tiny-a.ref.safetensors"));
  CHECK(reference.tensor<index_t>("text_tokens").extents() == shape{6, 77});
}
