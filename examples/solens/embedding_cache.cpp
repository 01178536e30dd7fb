#include "embedding_cache.hpp"

#include <cstdlib>  // std::getenv
#include <iostream>
#include <utility>  // std::as_const, std::move

#include <solens/core/error.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

#include "hashing.hpp"

namespace solens::program {
namespace {

namespace fs = std::filesystem;

void note(const std::string& text) { std::cerr << "cache: " + text + "\n"; }

/// The user's folder for caches; empty when the environment names none.
fs::path users_folder() {
  const auto named = [](const char* variable) {
    const char* value = std::getenv(variable);
    return fs::path(value == nullptr ? "" : value);
  };
  // A relative path there is to be ignored: XDG Base Directory Specification, version 0.8.
  if (const fs::path cache = named("XDG_CACHE_HOME"); cache.is_absolute()) return cache / "solens";
  if (const fs::path home = named("HOME"); home.is_absolute()) return home / ".cache" / "solens";
  return {};
}

std::string entry(const safetensors_file& file, const std::string& name) {
  const auto found = file.metadata().find(name);
  return found == file.metadata().end() ? std::string() : found->second;
}

}  // namespace

embedding_cache::embedding_cache(const fs::path& folder, std::string key) : key_(std::move(key)) {
  const fs::path home = folder.empty() ? users_folder() : folder;
  std::error_code problem;
  if (!home.empty()) fs::create_directories(home, problem);
  if (problem && !folder.empty()) {
    throw io_error("cache", "a folder that can be created", problem.message(), folder.string());
  }
  if (home.empty() || problem) return;
  file_ = home / ("words-" + sha256(key_).substr(0, 32) + ".safetensors");
}

std::optional<host_tensor<float>> embedding_cache::find(const shape& extents) const {
  if (file_.empty() || !fs::exists(file_)) return std::nullopt;
  try {
    const safetensors_file file(file_);
    if (entry(file, "key") != key_) {
      throw format_error("cache", "embeddings of these words", "others", file_.string());
    }
    host_tensor<float> embeddings(extents);
    file.read("embeddings", embeddings.view());
    if (entry(file, "sha256") == sha256_of(std::as_const(embeddings).view())) return embeddings;
    throw format_error("cache", "numbers with the hash beside them", "others", file_.string());
  } catch (const error& e) {
    note(std::string("computed again: ") + e.what());
    return std::nullopt;
  }
}

void embedding_cache::keep(host_view<const float> embeddings) const {
  if (file_.empty()) return;
  try {
    write_safetensors(file_, {{"embeddings", embeddings}},
                      {{"key", key_}, {"sha256", sha256_of(embeddings)}});
  } catch (const error& e) {
    note(std::string("not kept: ") + e.what());
  }
}

}  // namespace solens::program
