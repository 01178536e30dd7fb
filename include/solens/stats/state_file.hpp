#pragma once

#include <algorithm>  // std::min
#include <bit>        // std::endian
#include <concepts>
#include <cstddef>  // std::size_t
#include <cstdint>
#include <initializer_list>
#include <istream>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>

namespace solens::stats {

static_assert(std::endian::native == std::endian::little, "state files are little-endian");

/// What a state file holds.
enum class state_kind : std::uint32_t {
  mean = 1,
  second_moments = 2,
  top_k = 3,
  quantiles = 4,
  sharded = 5
};

namespace detail {

inline constexpr std::uint64_t state_magic = 0x54415453534e4c53;  // "SLNSSTAT"
inline constexpr std::uint32_t state_version = 1;

/// FNV-1a, 64 bits: enough to notice damage, not to stop a forger.
class checksum {
 public:
  void add(const char* bytes, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      value_ = (value_ ^ static_cast<unsigned char>(bytes[i])) * 0x100000001b3u;
    }
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325;
};

template <class T>
concept plain_number = std::integral<T> || std::floating_point<T>;

}  // namespace detail

/// Writes the state of an accumulator: magic (8 bytes), kind and version (4 each), the numbers that
/// the accumulator gives, a checksum (8) of all before. Little-endian.
class state_writer {
 public:
  state_writer(std::ostream& out, state_kind kind) : out_(out) {
    value(detail::state_magic);
    value(static_cast<std::uint32_t>(kind));
    value(detail::state_version);
  }

  template <detail::plain_number T>
  void value(T number) {
    values(std::span<const T>(&number, 1));
  }

  template <detail::plain_number T>
  void values(std::span<const T> numbers) {
    const char* bytes = reinterpret_cast<const char*>(numbers.data());
    sum_.add(bytes, numbers.size_bytes());
    out_.write(bytes, static_cast<std::streamsize>(numbers.size_bytes()));
  }

  void extents(const shape& extents) {
    value(static_cast<index_t>(extents.rank()));
    values(std::span<const index_t>(extents.begin(), extents.end()));
  }

  /// @throws io_error when anything could not be written
  void finish() {
    value(sum_.value());
    if (!out_) throw io_error("save statistics", "a stream that takes all of it", "a failed write");
  }

 private:
  std::ostream& out_;
  detail::checksum sum_;
};

/// Reads what state_writer wrote. Allocates no more than the stream holds, whatever it claims.
class state_reader {
 public:
  /// @throws format_error when the stream does not begin with a state of this kind and version
  state_reader(std::istream& in, state_kind kind) : in_(in) {
    if (value<std::uint64_t>() != detail::state_magic) fail("a statistics file");
    if (value<std::uint32_t>() != static_cast<std::uint32_t>(kind)) {
      fail("statistics of kind " + std::to_string(static_cast<std::uint32_t>(kind)));
    }
    if (value<std::uint32_t>() != detail::state_version) {
      fail("version " + std::to_string(detail::state_version));
    }
  }

  template <detail::plain_number T>
  T value() {
    return values<T>(1)[0];
  }

  template <detail::plain_number T>
  std::vector<T> values(index_t count) {
    constexpr std::size_t step = std::size_t{1} << 17;
    std::vector<T> numbers;
    for (auto left = static_cast<std::size_t>(count); left > 0;) {
      const std::size_t old = numbers.size(), n = std::min(left, step);
      numbers.resize(old + n);
      char* bytes = reinterpret_cast<char*>(numbers.data() + old);
      in_.read(bytes, static_cast<std::streamsize>(n * sizeof(T)));
      if (static_cast<std::size_t>(in_.gcount()) != n * sizeof(T)) fail("more bytes");
      sum_.add(bytes, n * sizeof(T));
      left -= n;
    }
    return numbers;
  }

  /// A number that is not negative.
  index_t size() {
    const auto number = value<index_t>();
    if (number < 0) fail("sizes that are not negative");
    return number;
  }

  /// Extents of an axis or more that memory can hold.
  shape extents() {
    const auto rank = size();
    if (rank == 0 || rank > index_t{shape::max_rank}) fail("extents of 1 to 6 axes");
    shape result;
    for (index_t i = 0; i < rank; ++i) result.push_back(size());
    product({result.begin(), result.rank()});
    return result;
  }

  /// The product of sizes.
  index_t product(std::span<const index_t> sizes) const {
    const auto result = bounded_size(sizes, index_t{1} << 56);
    if (!result) fail("sizes that memory can hold");
    return *result;
  }
  index_t product(std::initializer_list<index_t> sizes) const {
    return product(std::span(sizes.begin(), sizes.size()));
  }

  /// @throws format_error when the checksum is another one
  void finish() {
    const std::uint64_t expected = sum_.value();
    if (value<std::uint64_t>() != expected) fail("the checksum of what was written");
  }

  [[noreturn]] void fail(const std::string& expected) const {
    throw format_error("load statistics", expected, "something else");
  }

 private:
  std::istream& in_;
  detail::checksum sum_;
};

}  // namespace solens::stats
