#include "support/test.hpp"

#include <cmath>
#include <cstdint>
#include <limits>

#include <solens/core/dtype.hpp>

using namespace solens;

TEST_CASE("every float16 is a float that turns back into it") {
  for (std::uint32_t i = 0; i <= 0xffff; ++i) {
    f16 x;
    x.bits = static_cast<std::uint16_t>(i);
    const auto wide = static_cast<float>(x);
    const bool same = std::isnan(wide) ? std::isnan(static_cast<float>(f16(wide))) : f16(wide) == x;
    if (!same) FAIL("float16 " << i << " reads as " << wide);
  }
}

TEST_CASE("float16 has the values of IEEE 754") {
  const auto value = [](std::uint16_t bits) {
    f16 x;
    x.bits = bits;
    return static_cast<double>(x);
  };
  CHECK(value(0x3c00) == 1);
  CHECK(value(0xc000) == -2);
  CHECK(value(0x7bff) == 65504);
  CHECK(value(0x0001) == 0x1p-24);
  CHECK(value(0x03ff) == 0x1p-14 - 0x1p-24);
  CHECK(std::signbit(value(0x8000)));
  CHECK(value(0xfc00) == -std::numeric_limits<double>::infinity());
}

TEST_CASE("floats round to the nearest float16, ties to even") {
  CHECK(f16(1 + 0x1p-11f).bits == 0x3c00);
  CHECK(f16(1 + 0x1p-11f + 0x1p-20f).bits == 0x3c01);
  CHECK(f16(1 + 3 * 0x1p-11f).bits == 0x3c02);
  CHECK(f16(65519.0f).bits == 0x7bff);
  CHECK(f16(65520.0f).bits == 0x7c00);
  CHECK(f16(-1e9f).bits == 0xfc00);
  CHECK(f16(0x1p-25f).bits == 0);
  CHECK(f16(0x1p-25f * 1.001f).bits == 1);
  CHECK(f16(0x1p-14f - 0x1p-26f).bits == 0x0400);
  CHECK(f16(-0.0f).bits == 0x8000);
}

TEST_CASE("bfloat16 is the upper half of a float, rounded to even") {
  CHECK(static_cast<float>(bf16(1.0f)) == 1);
  CHECK(bf16(1 + 0x1p-8f).bits == 0x3f80);
  CHECK(bf16(1 + 3 * 0x1p-8f).bits == 0x3f82);
  CHECK(std::isinf(static_cast<float>(bf16(std::numeric_limits<float>::max()))));
  CHECK(std::isnan(static_cast<float>(bf16(std::numeric_limits<float>::quiet_NaN()))));
  CHECK(static_cast<float>(bf16(-std::numeric_limits<float>::infinity())) ==
        -std::numeric_limits<float>::infinity());
}

TEST_CASE("a dtype knows its size, its C++ type and its name") {
  CHECK(size_of(dtype::boolean) == 1);
  CHECK(size_of(dtype::bf16) == 2);
  CHECK(size_of(dtype::i64) == 8);
  CHECK(dtype_of<double>() == dtype::f64);
  CHECK(to_string(dtype::f16) == "float16");
  const bool floating =
      with_stored_type(dtype::f32, []<class T>(stored_type<T>) { return std::floating_point<T>; });
  CHECK(floating);
}

TEST_CASE("numbers load from memory of any alignment") {
  const std::byte bytes[] = {std::byte{9}, std::byte{0}, std::byte{0}, std::byte{0x80},
                             std::byte{0x3f}};
  CHECK(load_number<float, double>(bytes + 1) == 1.0);
  CHECK(load_number<bool, float>(bytes) == 1.0f);
}
