#include "support/test.hpp"

#include <csignal>
#include <iterator>
#include <span>

#include <sys/resource.h>  // setrlimit
#include <sys/wait.h>      // waitpid
#include <unistd.h>        // fork, _exit

#include <solens/core/atomic_file.hpp>

using namespace solens;
using Catch::Matchers::Contains;
using test::read_file;

namespace {

long entries(const test::temporary_folder& folder) {
  return std::distance(std::filesystem::directory_iterator(folder.path()), {});
}

}  // namespace

TEST_CASE("a file appears when it is committed, and not before") {
  const test::temporary_folder folder;
  atomic_file file(folder / "out.txt");
  file.write("two ");
  file.write("parts");
  CHECK_FALSE(std::filesystem::exists(folder / "out.txt"));
  file.commit(true);
  CHECK(read_file(folder / "out.txt") == "two parts");
  CHECK(file.size() == 9);
  CHECK(entries(folder) == 1);
}

TEST_CASE("a file that is not committed leaves nothing and touches nothing") {
  const test::temporary_folder folder;
  test::write_file(folder / "out.txt", "old");
  {
    atomic_file file(folder / "out.txt");
    file.write("half");
    atomic_file moved = std::move(file);
    moved.write(" of it");
  }
  CHECK(read_file(folder / "out.txt") == "old");
  CHECK(entries(folder) == 1);
  write_file_atomically(folder / "out.txt", "new");
  CHECK(read_file(folder / "out.txt") == "new");
}

TEST_CASE("parts may be written where they belong") {
  const test::temporary_folder folder;
  atomic_file file(folder / "out");
  file.write("head");
  file.write_at(8, std::as_bytes(std::span("tail", 4)));
  file.write("mid.");
  file.commit();
  CHECK(read_file(folder / "out") == "headmid.tail");
}

TEST_CASE("what was written can be read back, moved and cut") {
  const test::temporary_folder folder;
  atomic_file file(folder / "out");
  file.write("head....body");
  std::string body(4, ' ');
  file.read_at(8, std::as_writable_bytes(std::span(body)));
  CHECK(body == "body");
  file.write_at(4, std::as_bytes(std::span(body)));
  file.resize(8);
  CHECK_THROWS_WITH(file.read_at(6, std::as_writable_bytes(std::span(body))),
                    Contains((folder / "out").string()));
  file.commit();
  CHECK(read_file(folder / "out") == "headbody");
}

TEST_CASE("a folder that is not there is an error that names the file") {
  const test::temporary_folder folder;
  CHECK_THROWS_WITH(atomic_file(folder / "missing" / "out.npy"), Contains("missing/out.npy"));
  CHECK_THROWS_AS(atomic_file(folder / "missing" / "out.npy"), io_error);
}

TEST_CASE("a name that is no file's is refused") {
  const test::temporary_folder folder;
  CHECK_THROWS_WITH(atomic_file(folder.path()), Contains("got a folder"));
  CHECK_THROWS_WITH(atomic_file("/dev/null"), Contains("another kind") && Contains("/dev/null"));
}

TEST_CASE("a full disk is an error and leaves no half file") {
  const test::temporary_folder folder;
  test::write_file(folder / "out", "old");
  const auto child = ::fork();
  REQUIRE(child >= 0);
  if (child ==
      0) {  // a limit on file sizes fails as a full disk does; a child, to limit no one else
    std::signal(SIGXFSZ, SIG_IGN);
    const ::rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    int failed = 1;
    try {
      write_file_atomically(folder / "out", std::string(100'000, 'x'));
    } catch (const io_error& e) {
      failed = std::string(e.what()).find((folder / "out").string()) == std::string::npos;
    }
    ::_exit(failed);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(read_file(folder / "out") == "old");
  CHECK(entries(folder) == 1);
}
