#include "hashing.hpp"

#include <openssl/evp.h>

#include <cstddef>  // std::byte
#include <memory>
#include <span>

#include <solens/core/error.hpp>
#include <solens/core/mapped_file.hpp>

namespace solens::program {
namespace {

std::string digest(std::span<const std::byte> bytes) {
  unsigned char value[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), value, &size, EVP_sha256(), nullptr) != 1) {
    throw not_supported("hash", "SHA-256 from OpenSSL", "none");
  }
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += "0123456789abcdef"[value[i] >> 4];
    text += "0123456789abcdef"[value[i] & 15];
  }
  return text;
}

}  // namespace

std::string sha256(std::string_view bytes) { return digest(std::as_bytes(std::span(bytes))); }

std::string sha256_of_file(const std::filesystem::path& path) {
  return digest(mapped_file(path).bytes());
}

}  // namespace solens::program
