#pragma once

#include <algorithm>  // std::min, std::reverse
#include <cctype>     // std::isdigit
#include <cstddef>    // std::byte, std::size_t
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>  // std::pair
#include <vector>

#include <solens/core/dtype.hpp>
#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>
#include <solens/core/tensor_view.hpp>
#include <solens/weights/stored_numbers.hpp>

namespace solens {

/// What a .npy file says of its array.
struct npy_header {
  dtype type = dtype::f32;
  bool fortran_order = false;  ///< the first axis varies fastest
  shape extents;
  std::size_t data_begin = 0;  ///< bytes before the numbers
  std::size_t data_size = 0;   ///< bytes of them
};

namespace detail {

inline constexpr std::string_view npy_magic = "\x93NUMPY";
inline constexpr std::pair<std::string_view, dtype> npy_types[] = {
    {"|b1", dtype::boolean}, {"|u1", dtype::u8},  {"|i1", dtype::i8},
    {"<i2", dtype::i16},     {"<i4", dtype::i32}, {"<i8", dtype::i64},
    {"<f2", dtype::f16},     {"<f4", dtype::f32}, {"<f8", dtype::f64},
};

/// Reads the header's Python dict, of which numpy writes one form only, up to spaces and commas:
/// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class npy_dict_reader {
 public:
  npy_dict_reader(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  npy_header read() {
    std::optional<dtype> type;
    std::optional<bool> fortran;
    std::optional<std::vector<index_t>> extents;
    expect('{');
    while (!take('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !type) {
        type = type_of(quoted());
      } else if (key == "fortran_order" && !fortran) {
        fortran = truth();
      } else if (key == "shape" && !extents) {
        extents = tuple();
      } else {
        fail("descr, fortran_order and shape, once each", "'" + key + "'");
      }
      if (!take(',') && peek() != '}') fail("',' or '}'", rest());
    }
    if (peek() != '\0') fail("nothing after '}'", rest());
    if (!type || !fortran || !extents) fail("descr, fortran_order and shape", "some of them");
    if (extents->size() > shape::max_rank) {
      fail("at most 6 axes", std::to_string(extents->size()));
    }
    npy_header header{*type, *fortran, shape(*extents)};
    const auto size = byte_size(*type, *extents);
    if (!size) fail("a size that memory can hold", to_string(header.extents));
    header.data_size = *size;
    return header;
  }

 private:
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail("'" + std::string(1, c) + "'", rest());
  }
  std::string rest() const {
    return at_ < text_.size() ? "'" + std::string(text_.substr(at_, 20)) + "'" : "the end";
  }

  std::string quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail("text in quotes", rest());
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("text in quotes", rest());
    const std::string result(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return result;
  }

  bool truth() {
    for (const std::string_view word : {"True", "False"}) {
      peek();
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return word == "True";
      }
    }
    fail("True or False", rest());
  }

  std::vector<index_t> tuple() {
    std::vector<index_t> values;
    expect('(');
    while (!take(')')) {
      values.push_back(number());
      if (!take(',') && peek() != ')') fail("',' or ')'", rest());
    }
    return values;
  }

  index_t number() {
    if (std::isdigit(static_cast<unsigned char>(peek())) == 0) fail("an extent", rest());
    index_t value = 0;
    while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0) {
      if (value > std::numeric_limits<index_t>::max() / 10 - 1) fail("an extent", "a larger one");
      value = 10 * value + (text_[at_++] - '0');
    }
    return value;
  }

  dtype type_of(const std::string& descr) const {
    for (const auto& [text, type] : npy_types) {
      if (descr == text) return type;
    }
    throw not_supported("read npy",
                        "numbers of type f2, f4, f8, i1, i2, i4, i8, u1 or b1, little-endian",
                        descr, name_);
  }

  [[noreturn]] void fail(const std::string& expected, const std::string& got) const {
    throw format_error("read npy", expected, got, name_);
  }

  std::string_view text_, name_;
  std::size_t at_ = 0;
};

}  // namespace detail

/// Reads the header of a .npy file, version 1 to 3.
/// @param bytes  the file from its start, at least to the end of the header
/// @param name   of the file, for messages
/// @throws format_error, not_supported (a number type)
/// Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
inline npy_header read_npy_header(std::span<const std::byte> bytes, std::string_view name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto fail = [&](const std::string& expected, const std::string& got) {
    throw format_error("read npy", expected, got, name);
  };
  if (!text.starts_with(detail::npy_magic)) fail("a file that begins with \\x93NUMPY", "another");
  if (text.size() < 10) fail("a version and a header length", "the end of the file");
  const unsigned version = std::to_integer<unsigned>(bytes[6]);
  if (version < 1 || version > 3) fail("version 1 to 3", std::to_string(version));
  const std::size_t begin = version == 1 ? 10 : 12;
  std::uint64_t length = 0;
  for (std::size_t i = std::min(begin, bytes.size()); i-- > 8;) {
    length = length << 8 | std::to_integer<unsigned>(bytes[i]);
  }
  if (text.size() < begin || length > text.size() - begin) {
    fail("a header of " + std::to_string(length) + " bytes", "the end of the file");
  }
  npy_header header = detail::npy_dict_reader(text.substr(begin, length), name).read();
  header.data_begin = begin + static_cast<std::size_t>(length);
  return header;
}

/// A header of version 1, of 256 bytes whatever it says, so that it can be written again in place
/// when the number of rows is known.
/// @throws not_supported for a type that .npy has not
inline std::string write_npy_header(dtype type, const shape& extents) {
  std::string descr;
  for (const auto& [text, known] : detail::npy_types) {
    if (known == type) descr = text;
  }
  if (descr.empty()) throw not_supported("write npy", "a type of .npy", to_string(type));
  std::string dict = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (";
  for (const index_t extent : extents) dict += std::to_string(extent) + ", ";
  if (extents.rank() > 1) dict.resize(dict.size() - 2);
  if (extents.rank() == 1) dict.resize(dict.size() - 1);
  dict += "), }";
  constexpr std::size_t size = 256;
  dict.resize(size - 10 - 1, ' ');
  dict += '\n';
  std::string header(detail::npy_magic);
  header +=
      {'\1', '\0', static_cast<char>((size - 10) & 0xff), static_cast<char>((size - 10) >> 8)};
  return header + dict;
}

namespace detail {

/// The array of a header as a view in the order of its bytes: Fortran order is C order with the
/// axes the other way round.
template <class T>
host_view<T> in_order_of_bytes(const npy_header& header, const host_view<T>& view) {
  if (!header.fortran_order) return view;
  shape extents = view.extents(), strides = view.strides();
  std::reverse(&extents[0], &extents[0] + extents.rank());
  std::reverse(&strides[0], &strides[0] + strides.rank());
  return {view.data(), extents, strides};
}

}  // namespace detail

}  // namespace solens
