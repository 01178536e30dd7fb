#include "array_output.hpp"

#include <algorithm>  // std::min
#include <bit>        // std::endian
#include <limits>
#include <span>
#include <utility>

#include <solens/core/error.hpp>

namespace solens::program {
namespace {

static_assert(std::endian::native == std::endian::little, "both formats are little-endian");

bool is_npy(const std::filesystem::path& path) {
  const auto ending = path.extension();
  if (ending == ".npy" || ending == ".safetensors") return ending == ".npy";
  throw argument_error("write arrays", "a file that ends in .npy or .safetensors", ending.string(),
                       path.string());
}

/// `1, 2, 3`
std::string list(const shape& extents) {
  const std::string text = to_string(extents);
  return text.substr(1, text.size() - 2);
}

shape with_rows(index_t rows, const shape& row) {
  shape extents{rows};
  for (index_t extent : row) extents.push_back(extent);
  return extents;
}

/// `value` as `bytes` little-endian bytes.
std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}

}  // namespace

array_output::array_output(std::filesystem::path path, array only)
    : array_output(std::move(path), std::vector{std::move(only)},
                   std::numeric_limits<index_t>::max()) {}

array_output::array_output(std::filesystem::path path, std::vector<array> arrays, index_t most_rows)
    : file_(path), npy_(is_npy(path)), most_rows_(most_rows), data_begin_(0) {
  if (npy_ && arrays.size() != 1) {
    throw argument_error("write arrays", "a file that ends in .safetensors, for several arrays",
                         path.extension().string(), path.string());
  }
  std::uint64_t offset = 0;
  for (array& a : arrays) {
    const auto row_bytes = static_cast<std::uint64_t>(a.row.size()) * sizeof(float);
    columns_.push_back({std::move(a), row_bytes, offset});
    offset += row_bytes * static_cast<std::uint64_t>(most_rows);  // of one array it is not used
  }
  // Room for the header, whatever the numbers in it turn out to be: 20 digits hold any of them.
  data_begin_ = (header().size() + 60 * columns_.size() + 63) / 64 * 64;
}

void array_output::append(std::size_t which, host_view<const float> rows) {
  column& c = columns_.at(which);
  const index_t n = rows.rank() == 0 ? 0 : rows.extent(0);
  if (rows.extents() != with_rows(n, c.row) || n > most_rows_ - c.rows || !rows.contiguous()) {
    throw shape_error("write arrays",
                      "contiguous rows of " + to_string(c.row) + ", at most " +
                          std::to_string(most_rows_) + " of them",
                      to_string(rows.extents()), c.name);
  }
  const std::span values(rows.data(), static_cast<std::size_t>(rows.size()));
  file_.write_at(data_begin_ + c.offset + c.bytes(), std::as_bytes(values));
  c.rows += n;
}

std::string array_output::header() const {
  std::string text;
  if (npy_) {
    const column& c = columns_.front();
    const std::string comma = c.row.rank() == 0 ? "," : "";
    return "{'descr': '<f4', 'fortran_order': False, 'shape': (" + list(with_rows(c.rows, c.row)) +
           comma + "), }";
  }
  std::uint64_t begin = 0;
  for (const column& c : columns_) {
    text += text.empty() ? "{" : ",";
    text += "\"" + c.name + "\":{\"dtype\":\"F32\",\"shape\":[" + list(with_rows(c.rows, c.row)) +
            "],\"data_offsets\":[" + std::to_string(begin) + "," +
            std::to_string(begin + c.bytes()) + "]}";
    begin += c.bytes();
  }
  return text + "}";
}

/// Moves the arrays down to where the ones before them end: there were fewer rows than might
/// have been.
void array_output::close_gaps() {
  std::vector<std::byte> block(std::size_t{1} << 22);
  std::uint64_t end = 0;
  for (column& c : columns_) {
    for (std::uint64_t done = 0; c.offset != end && done < c.bytes();) {
      const auto part =
          std::span(block).first(std::min<std::uint64_t>(block.size(), c.bytes() - done));
      file_.read_at(data_begin_ + c.offset + done, part);
      file_.write_at(data_begin_ + end + done, part);
      done += part.size();
    }
    c.offset = end;
    end += c.bytes();
  }
  file_.resize(data_begin_ + end);
}

void array_output::finish() {
  close_gaps();
  const std::string prefix = npy_ ? std::string("\x93NUMPY\x01\x00", 8) : "";
  const int length_bytes = npy_ ? 2 : 8;
  const std::uint64_t length =
      data_begin_ - prefix.size() - static_cast<std::uint64_t>(length_bytes);
  std::string text = header();
  text.resize(length, ' ');
  if (npy_) text.back() = '\n';
  const std::string all = prefix + little_endian(length, length_bytes) + text;
  file_.write_at(0, std::as_bytes(std::span(all)));
  file_.commit();
}

}  // namespace solens::program
