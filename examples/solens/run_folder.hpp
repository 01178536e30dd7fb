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

/// A folder for files on their way: removed with what it holds, unless it has been renamed by then.
class passing_folder {
 public:
  /// @throws io_error naming the folder that it is to be in
  explicit passing_folder(std::filesystem::path path);
  ~passing_folder();
  passing_folder(const passing_folder&) = delete;
  passing_folder& operator=(const passing_folder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The folder that `analyze` fills and others read. docs/run-folder.md describes its files.
///
/// While an analysis is under way, all that is unfinished is in the folder's `.unfinished`: the
/// state and the coefficients. Files of the folder are replaced together: the new ones are
/// gathered in `.next.part`, which becomes `.next` when they are complete; from then on they move
/// to their places, and where that is broken off, whoever opens the folder next goes on with it.
class run_folder {
 public:
  static constexpr int format_version = 1;

  /// Creates the folder where there is none.
  /// @throws io_error naming it
  static run_folder create(std::filesystem::path path);

  /// A folder with a finished analysis, whose files fit together.
  /// @throws io_error when it holds none; as `record` does; shape_error, format_error naming the
  ///         file and tensor that does not fit
  static run_folder open(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path unfinished() const { return path_ / ".unfinished"; }
  static std::string layer_file(index_t layer);
  static std::string pairs_file(index_t layer);
  static constexpr const char* ablation_file = "ablation.json";

  /// What `run.json` says: the model, the images, the options of the lens, the words if any, and
  /// one layer or more.
  /// @throws io_error, format_error, not_supported (another version), naming the file
  report_json record() const;

  /// An empty folder for the files that are to take the place of those here; one at a time.
  /// @throws io_error
  passing_folder begin_replacing() const { return passing_folder(part()); }

  /// Puts the files written to that folder into their places, with `run` and with a line for every
  /// neuron of its layers, made from the layers' files and the words among them. Files of an
  /// earlier analysis that `run` does not speak of are removed.
  void finish_replacing(const report_json& run) const;

  /// The same for files that leave the findings as they are.
  void finish_adding(const report_json& run) const;

 private:
  explicit run_folder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path part() const { return path_ / ".next.part"; }
  void move_into_place() const;

  std::filesystem::path path_;
};

/// The layers of a run, as its record says.
std::vector<index_t> layers_of(const report_json& run);

/// Writes the tensors of one layer.
void write_layer(const std::filesystem::path& file, const layer_findings<float>& found);

}  // namespace solens::program
