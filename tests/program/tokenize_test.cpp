#include "call.hpp"
#include "vocabulary.hpp"

using namespace solens::test;
using nlohmann::json;

namespace {

std::vector<json> arrays(const std::string& out) {
  std::vector<json> rows;
  std::istringstream text(out);
  for (std::string line; std::getline(text, line);) rows.push_back(json::parse(line));
  return rows;
}

/// `ids` between start and end, then padding up to 77.
json padded(std::vector<int> ids, int padding) {
  ids.insert(ids.begin(), 512);
  ids.push_back(513);
  ids.resize(77, padding);
  return ids;
}

}  // namespace

TEST_CASE("tokenize gives CLIP's ids, a JSON array a line") {
  const auto table = shared_data("bpe_simple_vocab_16e6.txt.gz");
  SOLENS_NEEDS(table);
  const json fixture = json::parse(read_file(data("tokenizer.json")));
  std::string texts;
  std::vector<json> expected;
  for (const json& c : fixture.at("cases")) {
    const auto text = c.at("text").get<std::string>();
    // A line holds no line ends, and what ftfy repairs is not repaired here.
    if (!c.at("same_without_ftfy").get<bool>() || text.find_first_of("\r\n") != text.npos) continue;
    texts += text + "\n";
    expected.push_back(c.at("ids"));
  }
  REQUIRE(expected.size() > 100);
  temporary_folder folder;
  write_file(folder / "texts.txt", texts);
  const outcome o =
      call({"tokenize", "--vocab", table.string(), "--texts", (folder / "texts.txt").string()});
  CHECK(o.exit_code == 0);
  CHECK(o.err.empty());
  const auto rows = arrays(o.out);
  REQUIRE(rows.size() == expected.size());
  for (std::size_t i = 0; i < rows.size(); ++i) CHECK(rows[i] == expected[i]);
}

TEST_CASE(
    "tokenize reads standard input, empty lines, a last line without end, Windows line ends") {
  temporary_folder folder;
  write_byte_vocabulary(folder.path());
  write_file(folder / "texts.txt",
             "\xEF\xBB\xBF"
             "A b\r\n\nc");
  const outcome o = call({"tokenize", "--vocab", folder.path().string(), "--texts", "-"},
                         {.in = (folder / "texts.txt").string()});
  INFO(o.err);
  REQUIRE(o.exit_code == 0);
  const auto rows = arrays(o.out);
  REQUIRE(rows.size() == 3);
  const int padding = rows[1].back().get<int>();
  CHECK(rows[0] == padded({'a' + 256, 'b' + 256}, padding));
  CHECK(rows[1] == padded({}, padding));
  CHECK(rows[2] == padded({'c' + 256}, padding));
}

TEST_CASE("tokenize cuts what is too long and keeps the end token") {
  temporary_folder folder;
  write_byte_vocabulary(folder.path());
  write_file(folder / "texts.txt", std::string(1000, 'x') + "\n");
  const outcome o = call(
      {"tokenize", "--vocab", folder.path().string(), "--texts", (folder / "texts.txt").string()});
  REQUIRE(o.exit_code == 0);
  const json row = arrays(o.out).at(0);
  CHECK(row.size() == 77);
  CHECK(row.front() == 512);
  CHECK(row.at(75) == 'x');
  CHECK(row.back() == 513);
}

TEST_CASE("tokenize says what is wrong with its files") {
  temporary_folder folder;
  write_byte_vocabulary(folder.path());
  const std::string vocabulary = folder.path().string();
  write_file(folder / "texts.txt", "a\n");
  write_file(folder / "latin.txt", "fine\ncaf\xE9\n");
  write_file(folder / "table.txt", "this is\nno table\n");
  const std::string texts = (folder / "texts.txt").string();
  check_error(call({"tokenize", "--vocab", "/no/such/table.gz", "--texts", texts}),
              {"/no/such/table.gz"});
  check_error(call({"tokenize", "--vocab", (folder / "table.txt").string(), "--texts", texts}),
              {"table.txt", "line 1"});
  check_error(call({"tokenize", "--vocab", vocabulary, "--texts", "/no/such.txt"}),
              {"/no/such.txt"});
  check_error(call({"tokenize", "--vocab", vocabulary, "--texts", folder.path().string()}),
              {"directory"});
  const outcome latin =
      call({"tokenize", "--vocab", vocabulary, "--texts", (folder / "latin.txt").string()});
  CHECK(latin.exit_code == 1);
  CHECK(latin.complaints().size() == 1);
  CHECK(latin.err.find("latin.txt, line 2") != std::string::npos);
}

TEST_CASE("Output that does not arrive is an error, a pipe that closes is the end") {
  temporary_folder folder;
  write_byte_vocabulary(folder.path());
  std::string texts;
  for (int i = 0; i < 5000; ++i) texts += "a line of many\n";
  write_file(folder / "texts.txt", texts);
  const std::vector<std::string> words{"tokenize", "--vocab", folder.path().string(), "--texts",
                                       (folder / "texts.txt").string()};
  check_error(call(words, {.out = "/dev/full"}), {"standard output", "No space left"});
  check_error(call(words, {.out = "closed"}), {"standard output"});

  const std::string pipe = (folder / "pipe").string();
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(reader >= 0);
  const running_program writer(words, {.out = pipe});
  std::string first(100, ' ');
  // Nobody has written yet, or the pipe holds something.
  while (read(reader, first.data(), first.size()) <= 0) usleep(1000);
  close(reader);
  const outcome o = writer.wait();
  CHECK(o.signal == SIGPIPE);
  CHECK(o.err.empty());
}
