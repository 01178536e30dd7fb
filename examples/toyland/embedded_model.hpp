#pragma once

#include <filesystem>

namespace toyland {

/// Writes the model of examples/toyland/model, which is built into whoever links to this, with its
/// tokenizer and configuration, as a folder in the Hugging Face layout.
/// @throws solens::io_error naming the file
void write_embedded_model(const std::filesystem::path& folder);

}  // namespace toyland
