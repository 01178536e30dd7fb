#pragma once

#include <cstddef>  // std::size_t, std::byte
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>  // std::move
#include <vector>

#include <solens/core/json.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/weight_source.hpp>

namespace solens {

/// The tensors of one safetensors file, or of the several that an index (such as
/// model.safetensors.index.json) names, as if they lay in one. A `weight_source`.
class safetensors_set {
 public:
  /// @param path  a safetensors file, or an index, which ends in .json
  /// @throws what safetensors_file throws; format_error when the index and its files disagree
  explicit safetensors_set(const std::filesystem::path& path) : name_(path.string()) {
    if (path.extension() == ".json") {
      read_index(path);
    } else {
      files_.emplace_back(path);
      tensors_ = files_.front().tensors();
      for (const tensor_info& info : tensors_) home_[info.name] = 0;
    }
  }

  const std::string& name() const { return name_; }
  const std::vector<tensor_info>& tensors() const { return tensors_; }
  const std::vector<safetensors_file>& files() const { return files_; }

  template <class T>
  void read(std::string_view tensor, host_view<T> out) const {
    const auto found = home_.find(tensor);
    if (found == home_.end()) {
      throw argument_error("read", "a tensor of the file", "'" + std::string(tensor) + "'", name_);
    }
    files_[found->second].read(tensor, out);
  }

 private:
  static constexpr const char* operation = "read safetensors index";

  void read_index(const std::filesystem::path& path) {
    const auto index = detail::read_json_object(path, operation);
    const auto map = index.find("weight_map");
    if (map == index.end() || !map->is_object() || map->empty()) {
      throw format_error(operation, "an object 'weight_map' with tensors", "none", name_);
    }
    std::map<std::string, std::size_t> numbers;
    for (const auto& [tensor, file] : map->items()) {
      // A file beside the index and nowhere else.
      const std::string shard = file.is_string() ? file.get<std::string>() : std::string();
      if (shard.empty() || std::filesystem::path(shard).filename() != shard || shard == "..") {
        throw format_error(operation, "the name of a file beside it", file.dump(), place(tensor));
      }
      const auto [at, added] = numbers.emplace(shard, files_.size());
      if (added) files_.emplace_back(path.parent_path() / shard);
      const safetensors_file& home = files_[at->second];
      if (!home.contains(tensor)) {
        throw format_error(operation, "the tensor in " + home.name(), "none there", place(tensor));
      }
      home_[tensor] = at->second;
      tensors_.push_back(home.info(tensor));
    }
    for (const safetensors_file& file : files_) {
      for (const tensor_info& info : file.tensors()) {
        const auto found = home_.find(info.name);
        if (found == home_.end() || &files_[found->second] != &file) {
          throw format_error(operation, "every tensor of its files once in the index",
                             "another in " + file.name(), place(info.name));
        }
      }
    }
  }

  std::string place(const std::string& tensor) const { return name_ + ": " + tensor; }

  std::string name_;
  std::vector<safetensors_file> files_;
  std::vector<tensor_info> tensors_;
  std::map<std::string, std::size_t, std::less<>> home_;
};

static_assert(weight_source<safetensors_set>);

}  // namespace solens
