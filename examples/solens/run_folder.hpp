#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <solens/findings/analysis.hpp>

namespace solens::program {

/// JSON whose keys keep their order and whose numbers are written as short as float32 allows.
using report_json = nlohmann::basic_json<nlohmann::ordered_map, std::vector, std::string, bool,
                                         std::int64_t, std::uint64_t, float>;

/// The folder that `analyze` fills and others read. docs/run-folder.md describes its files.
///
/// While an analysis is under way, all that is unfinished is in the folder's `.unfinished`: the
/// state and the coefficients. What an earlier analysis left is replaced only at the end.
class run_folder {
 public:
  static constexpr int format_version = 1;

  /// Creates the folder where there is none.
  /// @throws io_error naming it
  explicit run_folder(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path unfinished() const { return path_ / ".unfinished"; }

  /// Writes the tensors of one layer into the unfinished part.
  void write_layer(index_t layer, const layer_findings<float>& found);

  /// Puts everything in its place: the layers written, the list of images, a line for every
  /// neuron, the record of the run; then removes the unfinished part.
  /// @param layers  in order, each written before
  void publish(const std::vector<index_t>& layers, const std::vector<std::string>& images,
               const report_json& run);

 private:
  std::filesystem::path path_;
};

}  // namespace solens::program
