#include <solens/report/columns.hpp>

#include <cstring>
#include <limits>

#include <support/test.hpp>

using namespace solens;

TEST_CASE("columns name the typed array that reads them") {
  CHECK(column_type<std::uint8_t>() == "Uint8");
  CHECK(column_type<std::int8_t>() == "Int8");
  CHECK(column_type<std::uint16_t>() == "Uint16");
  CHECK(column_type<std::int16_t>() == "Int16");
  CHECK(column_type<std::int32_t>() == "Int32");
  CHECK(column_type<float>() == "Float32");
}

TEST_CASE("a column holds the bytes of its numbers") {
  column_writer<std::uint16_t> writer("numbers");
  writer.add(1);
  writer.add(0x1234);
  const report_column column = writer.column();
  CHECK(column.name == "numbers");
  CHECK(column.type == "Uint16");
  REQUIRE(column.bytes.size() == 4);
  CHECK(std::memcmp(column.bytes.data(), "\x01\x00\x34\x12", 4) == 0);
}

TEMPLATE_TEST_CASE("quantized numbers come back within half a step", "", std::int8_t, std::int16_t,
                   std::uint16_t) {
  constexpr bool is_signed = std::numeric_limits<TestType>::is_signed;
  constexpr double most = std::numeric_limits<TestType>::max();
  const auto numbers = test::random_tensor<float>({200}, 5);
  std::vector<float> row(numbers.begin(), numbers.end());
  if (!is_signed) {
    for (float& x : row) x = std::abs(x);
  }
  const double scale = largest_magnitude(std::span<const float>(row));
  column_writer<TestType> writer("row");
  add_quantized(std::span<const float>(row), scale, writer);
  REQUIRE(writer.values().size() == row.size());
  for (std::size_t i = 0; i < row.size(); ++i) {
    const double back = writer.values()[i] / most * scale;
    CHECK(std::abs(back - static_cast<double>(row[i])) <= scale / (2 * most) * (1 + 1e-9));
  }
}

TEST_CASE("what no scale fits becomes its end, or nothing") {
  const float row[] = {3, -3, std::numeric_limits<float>::quiet_NaN(),
                       std::numeric_limits<float>::infinity(), 0.5F};
  column_writer<std::int8_t> writer("row");
  add_quantized(std::span<const float>(row), 1.0, writer);
  CHECK(writer.values() == std::vector<std::int8_t>{127, -127, 0, 0, 64});
  column_writer<std::uint16_t> without_sign("row");
  add_quantized(std::span<const float>(row).first(2), 1.0, without_sign);
  CHECK(without_sign.values() == std::vector<std::uint16_t>{65535, 0});
  column_writer<std::int8_t> zeros("row");
  add_quantized(std::span<const float>(row), 0.0, zeros);
  CHECK(zeros.values() == std::vector<std::int8_t>(5, 0));
  CHECK(largest_magnitude(std::span<const float>(row)) == 3);
}
