#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <solens/core/error.hpp>
#include <solens/core/mapped_file.hpp>

namespace solens::detail {

using json = nlohmann::json;

/// A JSON object out of a file. Unlike the library's own parse it refuses a key that is there
/// twice, whose meaning would depend on who reads it, and deep nesting, since showing a value in a
/// message takes a stack frame a level.
/// @param name  of the file, for messages
/// @throws format_error
inline json parse_json_object(std::string_view text, std::string_view operation,
                              std::string_view name) {
  std::vector<std::set<std::string>> keys;
  const auto look = [&](int depth, json::parse_event_t event, json& value) {
    constexpr int deepest = 64;
    if (depth > deepest) {
      throw format_error(operation, "JSON of at most " + std::to_string(deepest) + " levels",
                         "more", name);
    }
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key &&
        !keys.back().insert(value.get_ref<const std::string&>()).second) {
      throw format_error(operation, "every key once",
                         "'" + value.get_ref<const std::string&>() + "' twice", name);
    }
    return true;
  };
  json result;
  try {
    result = json::parse(text.begin(), text.end(), look);
  } catch (const json::exception& e) {
    throw format_error(operation, "JSON", e.what(), name);
  }
  if (!result.is_object()) throw format_error(operation, "a JSON object", result.type_name(), name);
  return result;
}

/// The same from the file itself.
/// @throws io_error, format_error
inline json read_json_object(const std::filesystem::path& path, std::string_view operation) {
  const mapped_file file(path);
  return parse_json_object({reinterpret_cast<const char*>(file.bytes().data()), file.size()},
                           operation, path.string());
}

}  // namespace solens::detail
