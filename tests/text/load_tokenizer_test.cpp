#include "support/test.hpp"

#include <zlib.h>

#include "text/tiny_tokenizer.hpp"

using Catch::Matchers::Contains;
using solens::index_t;
using solens::load_tokenizer;
using solens::test::temporary_folder;
using solens::test::write_file;
using ids = std::vector<index_t>;
using json = nlohmann::json;

namespace {

/// A folder with the tiny vocabulary in all its forms.
struct tiny_files {
  temporary_folder folder;
  std::filesystem::path table = folder / "table.txt";
  std::filesystem::path pair = folder / "pair", single = folder / "single";

  tiny_files() {
    write_file(table, solens::test::tiny_table);
    std::filesystem::create_directory(pair);
    std::filesystem::create_directory(single);
    write_file(pair / "vocab.json", solens::test::tiny_vocab(table).dump());
    write_file(pair / "merges.txt",
               "#version: 0.2\r\nc a\r\nca t</w>\r\nd o\r\ndo g</w>\r\n' s</w>\r\n");
    write_single(solens::test::tiny_tokenizer_json(table));
  }
  void write_single(const json& file) const { write_file(single / "tokenizer.json", file.dump()); }
};

}  // namespace

TEST_CASE("a table, a pair of files and tokenizer.json give the same ids") {
  const tiny_files files;
  const auto table = load_tokenizer(files.table);
  const auto pair = load_tokenizer(files.pair);
  const auto single = load_tokenizer(files.single);
  for (const char* text :
       {"a cat's dog", "CATS &dogs 1984", "cafe\u0301 \U0001F600", "", "\u0130"}) {
    CHECK(pair.encode(text) == table.encode(text));
    CHECK(single.encode(text) == table.encode(text));
  }
  for (const auto* tokenizer : {&pair, &single}) {
    CHECK(tokenizer->vocab_size() == table.vocab_size());
    CHECK(tokenizer->start_token() == table.start_token());
    CHECK(tokenizer->end_token() == table.end_token());
    CHECK(tokenizer->padding_token() == tokenizer->end_token());
    CHECK(tokenizer->encode("cat<|endoftext|>dog") == ids{513, 518, 515});
    CHECK(tokenizer->encode("&amp;").size() == 5);  // Hugging Face reads no HTML: & a m p ;
  }
  CHECK(table.padding_token() == 0);
}

TEST_CASE("a table may be packed with gzip") {
  const tiny_files files;
  const auto path = files.folder / "table.txt.gz";
  gzFile file = gzopen(path.string().c_str(), "wb");
  gzwrite(file, solens::test::tiny_table.data(),
          static_cast<unsigned>(solens::test::tiny_table.size()));
  gzclose(file);
  CHECK(load_tokenizer(path).encode("cat") == ids{513});
  const std::string whole = solens::test::read_file(path);
  write_file(path, whole.substr(0, whole.size() - 12));
  CHECK_THROWS_AS(load_tokenizer(path), solens::error);
}

TEST_CASE("the padding token of a configuration beside counts") {
  const tiny_files files;
  write_file(files.single / "special_tokens_map.json", R"({"pad_token": {"content": "!"}})");
  CHECK(load_tokenizer(files.single).padding_token() == 0);
  write_file(files.single / "tokenizer_config.json", R"({"pad_token": "\""})");
  CHECK(load_tokenizer(files.single).padding_token() == 1);
  write_file(files.single / "tokenizer_config.json", R"({"pad_token": "no such token"})");
  CHECK_THROWS_AS(load_tokenizer(files.single), solens::format_error);
}

TEST_CASE("merges as pairs, templates and tokens matched after normalizing are read") {
  const tiny_files files;
  auto file = solens::test::tiny_tokenizer_json(files.table);
  const ids expected = load_tokenizer(files.single).encode("a cat's dog");
  for (auto& merge : file["model"]["merges"]) {
    const std::string text = merge;
    merge = {text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)};
  }
  file["post_processor"] = json::parse(R"({"type": "TemplateProcessing", "single": [
    {"SpecialToken": {"id": "<|startoftext|>", "type_id": 0}},
    {"Sequence": {"id": "A", "type_id": 0}},
    {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}]})");
  file["added_tokens"][1]["normalized"] = true;
  file["padding"] = {{"direction", "Right"}, {"pad_id", 5}};
  files.write_single(file);
  const auto tokenizer = load_tokenizer(files.single);
  CHECK(tokenizer.encode("a cat's dog") == expected);
  CHECK(tokenizer.start_token() == 517);
  CHECK(tokenizer.end_token() == 518);
  CHECK(tokenizer.padding_token() == 5);
  CHECK(tokenizer.encode("<|ENDOFTEXT|>") == ids{518});
  CHECK(tokenizer.encode("<|STARTOFTEXT|>").size() > 1);
}

TEST_CASE("bytes without a token become the unknown one") {
  const tiny_files files;
  auto file = solens::test::tiny_tokenizer_json(files.table);
  file["model"]["vocab"].erase("x</w>");
  files.write_single(file);
  CHECK(load_tokenizer(files.single).encode("x") == ids{518});
  file["model"]["unk_token"] = nullptr;
  files.write_single(file);
  CHECK_THROWS_AS(load_tokenizer(files.single), solens::format_error);
}

TEST_CASE("what tokenizer.json asks for and we do not do is refused by name") {
  const tiny_files files;
  const std::pair<const char*, json> changes[] = {
      {"/model/type", "WordPiece"},
      {"/model/dropout", 0.1},
      {"/model/continuing_subword_prefix", "##"},
      {"/model/fuse_unk", true},
      {"/model/byte_fallback", true},
      {"/model/ignore_merges", true},
      {"/added_tokens/0/lstrip", true},
      {"/normalizer/normalizers/0/type", "NFKC"},
      {"/normalizer/normalizers/1/content", ""},
      {"/normalizer/normalizers/1/pattern", json::object({{"Regex", "x"}})},
      {"/pre_tokenizer/type", "Whitespace"},
      {"/pre_tokenizer/pretokenizers/0/type", "Whitespace"},
      {"/pre_tokenizer/pretokenizers/1/type", "Whitespace"},
      {"/pre_tokenizer/pretokenizers/0/pattern/Regex", "\\w+"},
      {"/pre_tokenizer/pretokenizers/0/behavior", "Isolated"},
      {"/pre_tokenizer/pretokenizers/0/invert", false},
      {"/pre_tokenizer/pretokenizers/1/add_prefix_space", true},
      {"/post_processor/type", "BertProcessing"},
      {"/padding/direction", "Left"},
      {"/truncation/direction", "Left"},
  };
  for (const auto& [place, value] : changes) {
    INFO(place);
    auto file = solens::test::tiny_tokenizer_json(files.table);
    file[json::json_pointer(place)] = value;
    files.write_single(file);
    CHECK_THROWS_AS(load_tokenizer(files.single), solens::not_supported);
    CHECK_THROWS_WITH(load_tokenizer(files.single), Contains("tokenizer.json") && Contains(place));
  }
}

TEST_CASE("a tokenizer.json that is broken is refused with the place") {
  const tiny_files files;
  const std::pair<const char*, json> changes[] = {
      {"/model/vocab", 3},
      {"/model/vocab/a", -1},
      {"/model/vocab/a", "one"},
      {"/model/merges", nullptr},
      {"/model/merges/0", "one"},
      {"/model/merges/0", 7},
      {"/model/merges/0", "x y"},
      {"/model/merges/0", {"x", "y", "z"}},
      {"/model", "BPE"},
      {"/added_tokens/0/id", 1.5},
      {"/added_tokens/0/content", nullptr},
      {"/post_processor/cls", {"<|startoftext|>"}},
      {"/model/unk_token", "none"},
      {"/normalizer/normalizers", "NFC"},
  };
  for (const auto& [place, value] : changes) {
    INFO(place << " " << value);
    auto file = solens::test::tiny_tokenizer_json(files.table);
    file[json::json_pointer(place)] = value;
    files.write_single(file);
    CHECK_THROWS_AS(load_tokenizer(files.single), solens::format_error);
    CHECK_THROWS_WITH(load_tokenizer(files.single), Contains("tokenizer.json"));
  }
  for (const char* text :
       {"", "[]", "{\"model\"", "{\"model\": \"\xFF\"}", "{\"model\": 1, \"model\": 2}"}) {
    write_file(files.single / "tokenizer.json", text);
    CHECK_THROWS_AS(load_tokenizer(files.single), solens::format_error);
  }
}

TEST_CASE("a file that is no vocabulary is refused with its line") {
  const tiny_files files;
  const std::string first = "#version: 0.2\n";
  const std::pair<std::string, const char*> tables[] = {
      {"", "line 0"},
      {"a photo of a cat\n", "line 1"},
      {first + "c a\nthe quick brown fox\n", "line 3"},
      {first + "c a\ncat\n", "line 3"},
      {first + "c a\nca ts\n", "line 3"},
  };
  for (const auto& [table, line] : tables) {
    write_file(files.table, table);
    CHECK_THROWS_AS(load_tokenizer(files.table), solens::format_error);
    CHECK_THROWS_WITH(load_tokenizer(files.table), Contains("table.txt") && Contains(line));
  }
  write_file(files.pair / "merges.txt", first + "c a\nc x\n");
  CHECK_THROWS_WITH(load_tokenizer(files.pair), Contains("merges.txt") && Contains("line 3"));
  write_file(files.pair / "vocab.json", R"({"a": 0})");
  write_file(files.pair / "merges.txt", first);
  CHECK_THROWS_WITH(load_tokenizer(files.pair), Contains("vocab.json") && Contains("startoftext"));
}

TEST_CASE("a place without a tokenizer says so") {
  const temporary_folder folder;
  CHECK_THROWS_AS(load_tokenizer(folder.path()), solens::io_error);
  CHECK_THROWS_AS(load_tokenizer(folder / "none.gz"), solens::io_error);
  CHECK_THROWS_AS(load_tokenizer(folder / "none.json"), solens::io_error);
}
