#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <solens/core/host_tensor.hpp>

namespace solens::program {

/// Embeddings of words that an earlier call has computed, a safetensors file for each set.
///
/// A file is told by its key, which says everything that the embeddings depend on; it holds the
/// key and a hash of its numbers, so that one which is not what its name says is not believed.
/// What cannot be read or kept is told of on standard error and costs time, no more.
class embedding_cache {
 public:
  /// @param folder  empty: $XDG_CACHE_HOME/solens or ~/.cache/solens
  /// @throws io_error when `folder` is named and cannot be created
  embedding_cache(const std::filesystem::path& folder, std::string key);

  /// @param extents  of the embeddings looked for
  std::optional<host_tensor<float>> find(const shape& extents) const;

  void keep(host_view<const float> embeddings) const;

 private:
  std::filesystem::path file_;  ///< empty where there is no folder to keep it in
  std::string key_;
};

}  // namespace solens::program
