#include "support/test.hpp"

#include <sys/stat.h>  // mkfifo

#include <solens/text/bpe_table.hpp>
#include <solens/text/word_list.hpp>

using Catch::Matchers::Contains;
using strings = std::vector<std::string>;

TEST_CASE("words are trimmed and kept once, in their order") {
  const solens::test::temporary_folder folder;
  const auto path = folder / "words.txt";
  solens::test::write_file(
      path, "\xEF\xBB\xBFthe\t\r\n  ice cream \r\n\r\n\t\nthe\n\xC2\xA0na\xC3\xAFve\nlast");
  const auto list = solens::read_word_list(path);
  CHECK(list.words == strings{"the", "ice cream", "na\u00EFve", "last"});
  CHECK(list.duplicates == strings{"the"});
  CHECK(list.positions == std::vector<std::size_t>{0, 1, 3, 4});
}

TEST_CASE("a list without words, or no list, is an error") {
  const solens::test::temporary_folder folder;
  const auto path = folder / "words.txt";
  for (const char* content : {"", "\n \t\r\n", "\xEF\xBB\xBF"}) {
    solens::test::write_file(path, content);
    CHECK_THROWS_AS(solens::read_word_list(path), solens::format_error);
  }
  CHECK_THROWS_AS(solens::read_word_list(folder / "none.txt"), solens::io_error);
  CHECK_THROWS_AS(solens::read_word_list(folder.path()), solens::io_error);
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_AS(solens::read_word_list(folder / "pipe"), solens::io_error);
}

TEST_CASE("a line that is not UTF-8 is named") {
  const solens::test::temporary_folder folder;
  const auto path = folder / "words.txt";
  solens::test::write_file(path, "the\nna\xEFve\n");
  CHECK_THROWS_WITH(solens::read_word_list(path),
                    Contains("words.txt, line 2") && Contains("position 2"));
}

TEST_CASE("a word that the tokenizer maps to nothing is named by its line") {
  const solens::test::temporary_folder folder;
  const auto path = folder / "words.txt";
  solens::test::write_file(folder / "table.txt", "#version: 0.2\n");
  const solens::bpe_tokenizer tokenizer(solens::read_bpe_table(folder / "table.txt"));
  solens::test::write_file(path, "a cat\n\n\x01\x02\n");
  CHECK_THROWS_WITH(solens::read_word_list(path, &tokenizer),
                    Contains("words.txt, line 3") && Contains("maps to nothing"));
  CHECK(solens::read_word_list(path).words == strings{"a cat", "\x01\x02"});
  solens::test::write_file(path, "a cat\n\x01!\n");
  CHECK(solens::read_word_list(path, &tokenizer).words == strings{"a cat", "\x01!"});
}

TEST_CASE("the list of 30,000 words is read whole") {
  const auto path = solens::test::shared_data("words-30k.txt");
  SOLENS_NEEDS(path);
  const auto list = solens::read_word_list(path);
  CHECK(list.words.size() + list.duplicates.size() == 30000);
  CHECK(list.words.front() == "the");
}
