#pragma once

#include "support/test.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

extern char** environ;

namespace solens::test {

/// How a call of the program ended and what it said.
struct outcome {
  int exit_code = -1;  ///< -1 when a signal ended it
  int signal = 0;
  std::string out, err;

  /// The lines on standard error.
  std::vector<std::string> complaints() const {
    std::vector<std::string> lines;
    std::istringstream text(err);
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }
};

/// Where the standard streams of a call lead.
struct streams {
  std::string in = "/dev/null";
  std::string out = {};  ///< a file or device instead of `outcome::out`; "closed" closes it
};

/// The program, started with these words and not waited for.
class running_program {
 public:
  explicit running_program(const std::vector<std::string>& words, const streams& with = {}) {
    std::vector<std::string> all{SOLENS_PROGRAM};
    all.insert(all.end(), words.begin(), words.end());
    std::vector<char*> arguments;
    for (std::string& word : all) arguments.push_back(word.data());
    arguments.push_back(nullptr);

    out_ = with.out.empty() ? folder_ / "out" : std::filesystem::path(with.out);
    posix_spawn_file_actions_t actions;
    REQUIRE(posix_spawn_file_actions_init(&actions) == 0);
    posix_spawn_file_actions_addopen(&actions, 0, with.in.c_str(), O_RDONLY, 0);
    if (with.out == "closed") {
      posix_spawn_file_actions_addclose(&actions, 1);
    } else {
      posix_spawn_file_actions_addopen(&actions, 1, out_.c_str(), O_WRONLY | O_CREAT, 0600);
    }
    posix_spawn_file_actions_addopen(&actions, 2, (folder_ / "err").c_str(), O_WRONLY | O_CREAT,
                                     0600);
    const int failed =
        posix_spawn(&process_, SOLENS_PROGRAM, &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    REQUIRE(failed == 0);
  }

  void send(int signal) const { REQUIRE(kill(process_, signal) == 0); }

  outcome wait() const {
    int status = 0;
    REQUIRE(waitpid(process_, &status, 0) == process_);
    outcome result;
    if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
    if (out_.parent_path() == folder_.path()) result.out = read_file(out_);
    result.err = read_file(folder_ / "err");
    return result;
  }

 private:
  temporary_folder folder_;
  std::filesystem::path out_;
  pid_t process_ = -1;
};

/// Calls the program and waits for its end.
inline outcome call(const std::vector<std::string>& words, const streams& with = {}) {
  return running_program(words, with).wait();
}

/// The same for a call that has to succeed.
inline outcome run(const std::vector<std::string>& words) {
  outcome o = call(words);
  INFO(o.err);
  REQUIRE(o.exit_code == 0);
  return o;
}

/// Words, and more of them.
inline std::vector<std::string> joined(std::vector<std::string> words,
                                       const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// One line on standard error that holds all of `parts`, exit code 1, nothing on standard output.
inline void check_error(const outcome& o, const std::vector<std::string>& parts) {
  INFO("stderr: " << o.err);
  CHECK(o.exit_code == 1);
  CHECK(o.out.empty());
  CHECK(o.complaints().size() == 1);
  for (const std::string& part : parts) {
    INFO("looked for: " << part);
    CHECK(o.err.find(part) != std::string::npos);
  }
}

/// Exit code 2, and standard error holds the usage and all of `parts`.
inline void check_usage(const outcome& o, const std::vector<std::string>& parts) {
  INFO("stderr: " << o.err);
  CHECK(o.exit_code == 2);
  CHECK(o.out.empty());
  CHECK(o.err.find("Usage: solens") != std::string::npos);
  for (const std::string& part : parts) {
    INFO("looked for: " << part);
    CHECK(o.err.find(part) != std::string::npos);
  }
}

/// The names in a folder, sorted.
inline std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace solens::test
