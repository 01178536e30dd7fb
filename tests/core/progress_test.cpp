#include "support/test.hpp"

#include <algorithm>
#include <sstream>
#include <thread>
#include <vector>

#include <solens/core/progress.hpp>

using namespace solens;

namespace {

constexpr progress::clock::duration always{0};
constexpr progress::clock::duration never = std::chrono::hours(1);

/// What a terminal shows: `\r` goes back, `ESC [ K` erases to the end, `\n` keeps the line.
std::vector<std::string> as_seen(const std::string& bytes) {
  std::vector<std::string> lines(1);
  std::size_t column = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string& line = lines.back();
    if (bytes[i] == '\r') {
      column = 0;
    } else if (bytes.compare(i, 3, "\x1b[K") == 0) {
      line.resize(column);
      i += 2;
    } else if (bytes[i] == '\n') {
      lines.emplace_back();
      column = 0;
    } else {
      line.resize(std::max(line.size(), column + 1));
      line[column++] = bytes[i];
    }
  }
  return lines;
}

}  // namespace

TEST_CASE("A line of progress says how much, how fast and how long") {
  CHECK(progress::line("encode", "images", 25, 100, 10, 8) ==
        "encode  [##......]  25 %  25/100 images  2.5/s  0:30 left");
  CHECK(progress::line("encode", "images", 0, 100, 0, 4) == "encode  [....]  0 %  0/100 images");
  CHECK(progress::line("encode", "images", 100, 100, 50, 0) ==
        "encode  100 %  100/100 images  2.0/s");
  CHECK(progress::line("read", "texts", 7, 0, 2, 30) == "read  7 texts  3.5/s");
}

TEST_CASE("999 of 1000 is not yet 100 %, and more than all is no more than 100 %") {
  CHECK(progress::line("a", "b", 999, 1000, 1, 4).find(" 99 %") != std::string::npos);
  CHECK(progress::line("a", "b", 11, 10, 1, 4).find("[####]  100 %") != std::string::npos);
}

TEST_CASE("Durations read as people write them") {
  CHECK(progress::duration(0.44) == "0.4 s");
  CHECK(progress::duration(12) == "0:12");
  CHECK(progress::duration(88.4) == "1:28");
  CHECK(progress::duration(7439) == "2:03:59");
}

TEST_CASE("A quiet progress writes nothing, but for what is reported") {
  std::ostringstream out;
  progress p("encode", "images", 3, {progress_style::none, &out, always});
  p.add(3);
  CHECK(out.str().empty());
  p.report("cut.jpg skipped");
  p.finish();
  CHECK(out.str() == "cut.jpg skipped\n");
  CHECK(p.done() == 3);
}

TEST_CASE("A log gets whole lines, none before its time") {
  std::ostringstream out;
  progress slow("encode", "images", 4, {progress_style::lines, &out, never});
  slow.add(1);
  CHECK(out.str().empty());

  progress fast("encode", "images", 4, {progress_style::lines, &out, always});
  fast.add(4);
  fast.finish();
  const std::string text = out.str();
  CHECK(text.find_first_of("\r\x1b") == std::string::npos);
  CHECK(text.find("encode  100 %  4/4 images") != std::string::npos);
  CHECK(text.find("encode: 4 images in ") != std::string::npos);
  CHECK(text.back() == '\n');
}

TEST_CASE("A bar shares no line with what is reported and leaves with the work") {
  std::ostringstream out;
  {
    progress p("encode", "images", 4, {progress_style::bar, &out, always, 80});
    p.add(1);
    CHECK(as_seen(out.str()).back().rfind("encode  [", 0) == 0);
    p.report("cut.jpg skipped");
    auto lines = as_seen(out.str());
    REQUIRE(lines.size() == 2);
    CHECK(lines[0] == "cut.jpg skipped");
    CHECK(lines[1].rfind("encode  [", 0) == 0);
  }
  CHECK(as_seen(out.str()) == std::vector<std::string>{"cut.jpg skipped", ""});
}

TEST_CASE("A bar fits the terminal") {
  std::ostringstream out;
  progress p("encode", "images", 1000000, {progress_style::bar, &out, always, 20});
  p.add(1);
  CHECK(as_seen(out.str()).back().size() == 19);
}

TEST_CASE("Threads may add and report at once") {
  std::ostringstream out;
  progress p("encode", "images", 4000, {progress_style::lines, &out, always});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&p] {
      for (int i = 0; i < 1000; ++i) p.add(1);
      p.report("one thread done");
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(p.done() == 4000);
  std::istringstream text(out.str());
  int reported = 0;
  for (std::string line; std::getline(text, line);) {
    if (line == "one thread done") {
      ++reported;
    } else {
      CHECK(line.rfind("encode  ", 0) == 0);
    }
  }
  CHECK(reported == 4);
}
