#pragma once

#include <cstddef>  // std::size_t
#include <filesystem>
#include <string>
#include <string_view>

#include <solens/core/tensor_view.hpp>

namespace solens::program {

/// SHA-256 of bytes, in hexadecimal.
std::string sha256(std::string_view bytes);

/// SHA-256 of the numbers of a contiguous tensor, as memory holds them.
template <class T>
std::string sha256_of(host_view<const T> numbers) {
  return sha256({reinterpret_cast<const char*>(numbers.data()),
                 static_cast<std::size_t>(numbers.size()) * sizeof(T)});
}

/// SHA-256 of a file's content, in hexadecimal.
/// @throws io_error naming the file
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace solens::program
