#pragma once

#include "support/test.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace solens::test {

/// A vocabulary of the 256 bytes alone, then the same at the end of a word. Ids are easy to work
/// out by hand: a byte is its value, and 256 more at the end of a word.
inline nlohmann::json byte_vocabulary() {
  nlohmann::json vocabulary;
  for (int at_end : {0, 1}) {
    int next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b > 0x20 && b < 0x7F) || (b > 0xA0 && b != 0xAD);
      const int code = printable ? b : next++;
      std::string letter(1, static_cast<char>(code));
      if (code >= 0x80) {  // as UTF-8
        letter = {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
      }
      vocabulary[letter + (at_end == 1 ? "</w>" : "")] = b + 256 * at_end;
    }
  }
  return vocabulary;
}

/// Writes that as Hugging Face's vocab.json and merges.txt; start is 512, end 513.
inline void write_byte_vocabulary(const std::filesystem::path& folder) {
  nlohmann::json vocabulary = byte_vocabulary();
  vocabulary["<|startoftext|>"] = 512;
  vocabulary["<|endoftext|>"] = 513;
  write_file(folder / "vocab.json", vocabulary.dump());
  write_file(folder / "merges.txt", "#version: 0.2\n");
}

/// Writes a tokenizer.json in which `<t7>` is token 7, for a model whose vocabulary of `n_tokens`
/// means nothing; the last two are start and end.
inline void write_numbered_tokenizer(const std::filesystem::path& path, int n_tokens) {
  nlohmann::json added = nlohmann::json::array();
  for (int id = 0; id < n_tokens; ++id) {
    std::string name = "<t" + std::to_string(id) + ">";
    if (id == n_tokens - 2) name = "<|startoftext|>";
    if (id == n_tokens - 1) name = "<|endoftext|>";
    added.push_back({{"id", id}, {"content", name}, {"special", true}, {"normalized", false}});
  }
  const std::string words = R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)";
  const nlohmann::json file{{"added_tokens", added},
                            {"normalizer", {{"type", "NFC"}}},
                            {"pre_tokenizer",
                             {{"type", "Sequence"},
                              {"pretokenizers",
                               {{{"type", "Split"},
                                 {"pattern", {{"Regex", words}}},
                                 {"behavior", "Removed"},
                                 {"invert", true}},
                                {{"type", "ByteLevel"}, {"add_prefix_space", false}}}}}},
                            {"model",
                             {{"type", "BPE"},
                              {"unk_token", "<|endoftext|>"},
                              {"continuing_subword_prefix", ""},
                              {"end_of_word_suffix", "</w>"},
                              {"vocab", byte_vocabulary()},
                              {"merges", nlohmann::json::array()}}},
                            {"post_processor",
                             {{"type", "RobertaProcessing"},
                              {"sep", {"<|endoftext|>", n_tokens - 1}},
                              {"cls", {"<|startoftext|>", n_tokens - 2}},
                              {"trim_offsets", false},
                              {"add_prefix_space", false}}}};
  write_file(path, file.dump());
}

}  // namespace solens::test
