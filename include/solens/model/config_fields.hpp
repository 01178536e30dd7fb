#pragma once

#include <algorithm>  // std::find
#include <cmath>      // std::isfinite
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>  // std::move

#include <nlohmann/json.hpp>

#include <solens/core/error.hpp>
#include <solens/core/shape.hpp>

namespace solens::detail {

/// An object of a configuration file. Errors name the file and the path to the field.
///
/// A field that is not there, or is null, has the value that the library which wrote the file
/// gives it.
class config_fields {
 public:
  static constexpr const char* operation = "read configuration";

  /// @param place  the file, and for an object within it the path there
  config_fields(const nlohmann::json& object, std::string place)
      : object_(&object), place_(std::move(place)) {
    if (!object.is_object()) throw format_error(operation, "an object", object.type_name(), place_);
  }

  bool has(const char* key) const { return value(key) != nullptr; }

  config_fields object(const char* key) const {
    const nlohmann::json* found = value(key);
    if (found == nullptr) wrong(key, "an object");
    return {*found, at(key)};
  }

  /// A count of something: 1 to 10^9, so that products of two stay far from overflow.
  index_t count(const char* key, std::optional<index_t> otherwise = {}) const {
    const nlohmann::json* found = value(key);
    if (found == nullptr && otherwise) return *otherwise;
    if (found == nullptr || !is_count(*found)) wrong(key, "a count from 1 to 1000000000");
    return found->get<index_t>();
  }

  /// The side of a square, given as one number or as two that are the same.
  index_t side(const char* key, index_t otherwise) const {
    const nlohmann::json* found = value(key);
    if (found == nullptr || !found->is_array()) return count(key, otherwise);
    if (found->size() != 2 || !is_count((*found)[0]) || (*found)[0] != (*found)[1]) {
      refuse(key, "a square");
    }
    return (*found)[0].get<index_t>();
  }

  double positive(const char* key, double otherwise) const {
    const nlohmann::json* found = value(key);
    if (found == nullptr) return otherwise;
    const double number = found->is_number() ? found->get<double>() : 0;
    if (!(number > 0) || !std::isfinite(number)) wrong(key, "a positive number");
    return number;
  }

  std::string text(const char* key, const char* otherwise) const {
    const nlohmann::json* found = value(key);
    if (found == nullptr) return otherwise;
    if (!found->is_string()) wrong(key, "text");
    return found->get<std::string>();
  }

  bool flag(const char* key) const {
    const nlohmann::json* found = value(key);
    if (found != nullptr && !found->is_boolean()) wrong(key, "true or false");
    return found != nullptr && found->get<bool>();
  }

  /// Refuses, by name, options of other architectures that are switched on.
  void must_be_off(std::initializer_list<const char*> keys) const {
    for (const char* key : keys) {
      const nlohmann::json* found = value(key);
      if (found != nullptr && *found != false) refuse(key, "a CLIP without this option");
    }
  }

  /// Refuses every field that is not named here.
  void know_only(std::initializer_list<std::string_view> keys) const {
    for (const auto& [key, unused] : object_->items()) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
        refuse(key.c_str(), "an option that is known");
      }
    }
  }

  [[noreturn]] void refuse(const char* key, const std::string& expected) const {
    throw not_supported(operation, expected, shown(key), at(key));
  }
  [[noreturn]] void wrong(const char* key, const std::string& expected) const {
    throw format_error(operation, expected, shown(key), at(key));
  }

 private:
  const nlohmann::json* value(const char* key) const {
    const auto found = object_->find(key);
    return found == object_->end() || found->is_null() ? nullptr : &*found;
  }
  static bool is_count(const nlohmann::json& value) {
    return value.is_number_integer() && value >= 1 && value <= 1'000'000'000;
  }
  std::string at(const char* key) const { return place_ + "/" + key; }
  std::string shown(const char* key) const {
    const nlohmann::json* found = value(key);
    return found == nullptr ? "nothing" : found->dump();
  }

  const nlohmann::json* object_;
  std::string place_;
};

}  // namespace solens::detail
