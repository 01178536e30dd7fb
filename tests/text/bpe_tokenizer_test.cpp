#include "support/test.hpp"

#include <map>
#include <set>

#include <solens/core/host_tensor.hpp>

#include "text/tiny_tokenizer.hpp"

using solens::host_tensor;
using solens::index_t;
using ids = std::vector<index_t>;
using strings = std::vector<std::string>;

namespace {

solens::bpe_tokenizer tiny_tokenizer() {
  const solens::test::temporary_folder folder;
  solens::test::write_file(folder / "table.txt", solens::test::tiny_table);
  return solens::load_tokenizer(folder / "table.txt");
}

// Ids of OpenAI's table: printable bytes first, from "!"; the end of a word 256 later.
index_t inner(char c) { return c - '!'; }
index_t last(char c) { return 256 + c - '!'; }
constexpr index_t cat = 513, dog = 515, apostrophe_s = 516, start = 517, end = 518;

}  // namespace

TEST_CASE("words are split and merged") {
  const auto tokenizer = tiny_tokenizer();
  CHECK(tokenizer.vocab_size() == solens::test::tiny_vocab_size);
  CHECK(tokenizer.encode("Cat  DOG") == ids{cat, dog});
  CHECK(tokenizer.encode("cat's") == ids{cat, apostrophe_s});
  CHECK(tokenizer.encode("ca") == ids{inner('c'), last('a')});
  CHECK(tokenizer.encode("caca") == ids{512, inner('c'), last('a')});
  CHECK(tokenizer.encode("12") == ids{last('1'), last('2')});
  CHECK(tokenizer.encode("cat!?dog") == ids{cat, inner('!'), last('?'), dog});
  CHECK(tokenizer.encode("<start_of_text>cat<END_OF_TEXT>") == ids{start, cat, end});
}

TEST_CASE("a text without words encodes to nothing") {
  const auto tokenizer = tiny_tokenizer();
  CHECK(tokenizer.encode("").empty());
  CHECK(tokenizer.encode(" \t\n").empty());
}

TEST_CASE("texts are framed, padded and cut") {
  const auto tokenizer = tiny_tokenizer();
  host_tensor<index_t> out({4, 5}, -7);
  const strings texts{"cat", "", "cat cat dog", "dog dog dog dog dog"};
  CHECK(tokenizer.tokenize(texts, out) == ids{1, 0, 3, 5});
  CHECK(ids(out.begin(), out.end()) == ids{start, cat, end, 0,   0,    //
                                           start, end, 0,   0,   0,    //
                                           start, cat, cat, dog, end,  //
                                           start, dog, dog, dog, end});
  host_tensor<index_t> narrow({4, 1}), few({3, 5});
  CHECK_THROWS_AS(tokenizer.tokenize(texts, narrow), solens::shape_error);
  CHECK_THROWS_AS(tokenizer.tokenize(texts, few), solens::shape_error);
}

TEST_CASE("ids are decoded") {
  const auto tokenizer = tiny_tokenizer();
  CHECK(tokenizer.decode(tokenizer.encode("Cat's na\u00EFve 7")) == "cat 's na\u00EFve 7");
  CHECK(tokenizer.decode(ids{start, cat, end}) == "<start_of_text> cat <end_of_text>");
  CHECK_THROWS_AS(tokenizer.decode(ids{10000}), solens::argument_error);
}

TEST_CASE("text that is not UTF-8 is refused") {
  CHECK_THROWS_AS(tiny_tokenizer().encode("cat \xFF"), solens::format_error);
}

TEST_CASE("long words are merged as quickly as short ones") {
  const auto tokenizer = tiny_tokenizer();
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "ca";
  const ids expected(99999, 512);
  const ids got = tokenizer.encode(text);
  REQUIRE(got.size() == 100001);
  CHECK(ids(got.begin(), got.end() - 2) == expected);
}

TEST_CASE("vocabularies that do not hold together are refused") {
  const solens::test::temporary_folder folder;
  solens::test::write_file(folder / "table.txt", solens::test::tiny_table);
  const auto good = solens::read_bpe_table(folder / "table.txt");
  CHECK_NOTHROW(solens::bpe_tokenizer(good));
  auto bad = good;
  bad.merges.push_back({"x", "y"});
  CHECK_THROWS_AS(solens::bpe_tokenizer(bad), solens::format_error);
  bad = good;
  bad.ids.erase("a");
  CHECK_THROWS_AS(solens::bpe_tokenizer(bad), solens::format_error);
  bad = good;
  bad.ids["more"] = -1;
  CHECK_THROWS_AS(solens::bpe_tokenizer(bad), solens::format_error);
  bad = good;
  bad.specials.push_back({"", 3});
  CHECK_THROWS_AS(solens::bpe_tokenizer(bad), solens::format_error);
}

TEST_CASE("CLIP's own vocabulary gives CLIP's own ids") {
  const auto table = solens::test::shared_data("bpe_simple_vocab_16e6.txt.gz");
  SOLENS_NEEDS(table);
  const auto tokenizer = solens::load_tokenizer(table);
  CHECK(tokenizer.vocab_size() == 49408);
  // Text once decoded with the wrong encoding: ftfy repairs it by trial, which we do not.
  const std::set<std::string> mojibake{
      "sch\u00C3\u00B6n",
      "\u00E2\u0153\u201D No problems",
      "\u00E2\u20AC\u0153quoted\u00E2\u20AC\u009D",
      "caf\u00C3\u00A9",
      "u\u00CC\u02C6nicode",
      "The Mona Lisa doesn\u00C3\u0192\u00C2\u00A2\u00C3\u00A2\u00E2\u20AC\u0161\u00C2\u00AC"
      "\u00C3\u00A2\u00E2\u20AC\u017E\u00C2\u00A2t have eyebrows."};
  const auto cases =
      nlohmann::json::parse(solens::test::read_file(solens::test::data("tokenizer.json")))["cases"];
  REQUIRE(cases.size() == 192);
  std::size_t skipped = 0;
  for (const auto& item : cases) {
    const std::string text = item["text"];
    INFO(text);
    if (mojibake.contains(text)) {
      CHECK(item["same_without_ftfy"] == false);
      ++skipped;
      continue;
    }
    CHECK(solens::clean_text(text) == item["cleaned"].get<std::string>());
    CHECK(tokenizer.encode(text) == item["encode"].get<ids>());
    host_tensor<index_t> row({1, 77});
    const auto lengths = tokenizer.tokenize(strings{text}, row);
    CHECK(ids(row.begin(), row.end()) == item["ids"].get<ids>());
    CHECK(lengths[0] == static_cast<index_t>(item["encode"].size()));
  }
  CHECK(skipped == mojibake.size());
}
