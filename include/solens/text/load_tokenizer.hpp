#pragma once

#include <filesystem>
#include <utility>  // std::move

#include <solens/core/error.hpp>
#include <solens/text/bpe_table.hpp>
#include <solens/text/bpe_tokenizer.hpp>
#include <solens/text/tokenizer_json.hpp>

namespace solens::detail {

/// Sets the padding token that tokenizer_config.json or special_tokens_map.json name, when the
/// folder has one of them.
inline void read_padding(const std::filesystem::path& folder, bpe_vocabulary& vocabulary) {
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    const auto path = folder / name;
    if (!std::filesystem::exists(path)) continue;
    const json file = read_tokenizer_object(path);
    const json_place token = json_place(file, path.string() + ": ")["pad_token"];
    if (token.null()) continue;
    vocabulary.padding =
        named_token(vocabulary, token.value().is_object() ? token["content"] : token);
    return;
  }
}

}  // namespace solens::detail

namespace solens {

/// The tokenizer at a path: a BPE table, a tokenizer.json, or a folder with one of tokenizer.json,
/// vocab.json with merges.txt, bpe_simple_vocab_16e6.txt.gz (looked for in this order).
/// @throws io_error when there is none, format_error, not_supported
inline bpe_tokenizer load_tokenizer(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(path)) {
    return bpe_tokenizer(path.extension() == ".json" ? read_tokenizer_json(path)
                                                     : read_bpe_table(path));
  }
  const auto table = path / "bpe_simple_vocab_16e6.txt.gz";
  bpe_vocabulary vocabulary;
  if (fs::exists(path / "tokenizer.json")) {
    vocabulary = read_tokenizer_json(path / "tokenizer.json");
  } else if (fs::exists(path / "vocab.json") && fs::exists(path / "merges.txt")) {
    vocabulary = read_vocab_and_merges(path / "vocab.json", path / "merges.txt");
  } else if (fs::exists(table)) {
    return bpe_tokenizer(read_bpe_table(table));
  } else {
    throw io_error("load tokenizer",
                   "tokenizer.json, vocab.json with merges.txt, or bpe_simple_vocab_16e6.txt.gz",
                   "none of them", path.string());
  }
  detail::read_padding(path, vocabulary);
  return bpe_tokenizer(std::move(vocabulary));
}

}  // namespace solens
