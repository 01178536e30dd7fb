#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace solens::program {

/// SHA-256 of bytes, in hexadecimal.
std::string sha256(std::string_view bytes);

/// SHA-256 of a file's content, in hexadecimal.
/// @throws io_error naming the file
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace solens::program
