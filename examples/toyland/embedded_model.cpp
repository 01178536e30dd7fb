#include "embedded_model.hpp"

#include <cstddef>  // std::size_t
#include <string_view>

#include <solens/core/atomic_file.hpp>

/// The files of TOYLAND_MODEL, a folder that the build names, and names for their bytes.
#define TOYLAND_FOR_EACH_FILE(f)                                                         \
  f(config, "config.json") f(merges, "merges.txt") f(weights, "model.safetensors")       \
      f(preprocessing, "preprocessor_config.json") f(tokenizer, "tokenizer_config.json") \
          f(vocabulary, "vocab.json")

// The assembler puts a file's bytes between two symbols: in ELF, the format of objects on Linux.
#define TOYLAND_EMBED(name, file)                 \
  asm(".section .rodata\n"                        \
      ".global toyland_" #name ", toyland_" #name \
      "_end\n"                                    \
      "toyland_" #name                            \
      ":\n"                                       \
      ".incbin \"" TOYLAND_MODEL "/" file         \
      "\"\n"                                      \
      "toyland_" #name                            \
      "_end:\n"                                   \
      ".previous\n");                             \
  extern "C" const char toyland_##name[], toyland_##name##_end[];

#define TOYLAND_WRITE(name, file) \
  solens::write_file_atomically(  \
      folder / file,              \
      {toyland_##name, static_cast<std::size_t>(toyland_##name##_end - toyland_##name)});

TOYLAND_FOR_EACH_FILE(TOYLAND_EMBED)

void toyland::write_embedded_model(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  TOYLAND_FOR_EACH_FILE(TOYLAND_WRITE)
}
