#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include <solens/text/load_tokenizer.hpp>

#include "support/test.hpp"

namespace solens::test {

/// A BPE table of a few words.
inline const std::string tiny_table =
    "\"tiny#version: 0.2\nc a\nca t</w>\nd o\ndo g</w>\n' s</w>\n";
inline constexpr index_t tiny_vocab_size = 512 + 5 + 2;

/// The vocabulary of the table, its special tokens named as Hugging Face names them.
inline nlohmann::json tiny_vocab(const std::filesystem::path& table) {
  const bpe_vocabulary vocabulary = read_bpe_table(table);
  nlohmann::json ids = vocabulary.ids;
  ids["<|startoftext|>"] = vocabulary.start;
  ids["<|endoftext|>"] = vocabulary.end;
  return ids;
}

/// The tokenizer.json that says the same.
inline nlohmann::json tiny_tokenizer_json(const std::filesystem::path& table) {
  const bpe_vocabulary vocabulary = read_bpe_table(table);
  auto file = nlohmann::json::parse(R"({
    "version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [
      {"content": "<|startoftext|>", "normalized": false, "special": true,
       "single_word": false, "lstrip": false, "rstrip": false},
      {"content": "<|endoftext|>", "normalized": false, "special": true,
       "single_word": false, "lstrip": false, "rstrip": false}],
    "normalizer": {"type": "Sequence", "normalizers": [
      {"type": "NFC"},
      {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
      {"type": "Lowercase"}]},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
      {"type": "Split", "behavior": "Removed", "invert": true, "pattern":
       {"Regex": "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"}},
      {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}]},
    "post_processor": {"type": "RobertaProcessing", "trim_offsets": false,
      "add_prefix_space": false},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "dropout": null, "unk_token": "<|endoftext|>",
      "continuing_subword_prefix": "", "end_of_word_suffix": "</w>", "fuse_unk": false}})");
  file["added_tokens"][0]["id"] = vocabulary.start;
  file["added_tokens"][1]["id"] = vocabulary.end;
  file["post_processor"]["cls"] = {"<|startoftext|>", vocabulary.start};
  file["post_processor"]["sep"] = {"<|endoftext|>", vocabulary.end};
  file["model"]["vocab"] = tiny_vocab(table);
  for (const auto& [left, right] : vocabulary.merges) {
    file["model"]["merges"].push_back(left + " " + right);
  }
  return file;
}

}  // namespace solens::test
