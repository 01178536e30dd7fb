#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <solens/core/atomic_file.hpp>
#include <solens/core/shape.hpp>
#include <solens/core/tensor_view.hpp>

namespace solens::program {

/// Arrays of float32 that grow row by row on disk: what `--out` names, .npy or .safetensors.
///
/// The file is created at once, so that a folder which cannot be written is found before the
/// work and not after it, and takes its name when `finish` is called. Memory does not grow.
class array_output {
 public:
  struct array {
    std::string name;  ///< of the tensor; .npy has none
    shape row;         ///< extents of one row: of one image, say
  };

  /// One array of any number of rows.
  /// @throws io_error when the file cannot be created; argument_error for another ending
  array_output(std::filesystem::path path, array only);

  /// Several arrays, each of at most `most_rows` rows.
  array_output(std::filesystem::path path, std::vector<array> arrays, index_t most_rows);

  /// Writes more rows of an array.
  /// @param rows  [n, row...], contiguous
  /// @throws shape_error, io_error when the disk is full
  void append(std::size_t which, host_view<const float> rows);

  /// Writes what is known only now, the number of rows, and puts the file in its place.
  void finish();

 private:
  struct column : array {
    std::uint64_t row_bytes, offset;  ///< of the first row, while rows are being added
    index_t rows = 0;
    std::uint64_t bytes() const { return row_bytes * static_cast<std::uint64_t>(rows); }
  };

  std::string header() const;
  void close_gaps();

  atomic_file file_;
  bool npy_;
  index_t most_rows_;
  std::uint64_t data_begin_;  ///< bytes before the data
  std::vector<column> columns_;
};

}  // namespace solens::program
