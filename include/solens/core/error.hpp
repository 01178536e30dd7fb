#pragma once

#include <stdexcept>  // std::runtime_error
#include <string>
#include <string_view>

namespace solens {

/// The base of everything that solens throws.
///
/// The text reads `[operation] expected ..., got ... (name)`: what was being
/// done, what it needed, what it found, and the file, tensor or option at fault.
class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;

  error(std::string_view operation, std::string_view expected, std::string_view got,
        std::string_view name = {})
      : std::runtime_error(compose(operation, expected, got, name)) {}

 private:
  static std::string compose(std::string_view operation, std::string_view expected,
                             std::string_view got, std::string_view name) {
    std::string text;
    text.append("[").append(operation).append("] expected ").append(expected);
    text.append(", got ").append(got);
    if (!name.empty()) text.append(" (").append(name).append(")");
    return text;
  }
};

/// Extents or strides that do not fit together.
class shape_error : public error {
 public:
  using error::error;
};

/// The content of a file is not what its format allows.
class format_error : public error {
 public:
  using error::error;
};

/// A file that cannot be opened, read, mapped or written.
class io_error : public error {
 public:
  using error::error;
};

/// A value given by the caller that makes no sense: an option, a layer, a name.
class argument_error : public error {
 public:
  using error::error;
};

/// Something that this backend or this build does not offer.
class not_supported : public error {
 public:
  using error::error;
};

}  // namespace solens
