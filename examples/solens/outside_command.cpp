#include "outside_command.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>  // kill
#include <cstdio>   // std::tmpfile
#include <cstring>  // std::strerror, strsignal
#include <memory>

#include <solens/core/error.hpp>

#include "console.hpp"

extern char** environ;

namespace solens::program {
namespace {

struct close_file {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

/// A child process, which does not outlive this.
class child {
 public:
  child(const std::string& command, int in, int out) {
    std::string shell = "sh", flag = "-c", line = command;
    char* const words[] = {shell.data(), flag.data(), line.data(), nullptr};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    failure_ = posix_spawn(&process_, "/bin/sh", &files, nullptr, words, environ);
    posix_spawn_file_actions_destroy(&files);
  }
  ~child() {
    if (failure_ != 0 || waited_) return;
    kill(process_, SIGTERM);
    wait();
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;

  int failure() const { return failure_; }  ///< why it did not start; 0 when it did
  int wait() {
    int status = 0;
    while (waitpid(process_, &status, 0) < 0 && errno == EINTR) continue;
    waited_ = true;
    return status;
  }

 private:
  pid_t process_ = -1;
  int failure_ = 0;
  bool waited_ = false;
};

/// The end of a pipe.
class pipe_end {
 public:
  explicit pipe_end(int fd) : fd_(fd) {}
  ~pipe_end() { close(); }
  pipe_end(const pipe_end&) = delete;
  pipe_end& operator=(const pipe_end&) = delete;
  int fd() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

}  // namespace

std::string run_outside(const std::string& option, const std::string& command,
                        std::string_view input) {
  const std::string name = option + " " + command;
  const auto failed = [&](const std::string& got) {
    return io_error("run command", "exit code 0", got, name);
  };
  // A file, not a pipe: the command may read it when it likes, or not at all.
  const std::unique_ptr<std::FILE, close_file> in(std::tmpfile());
  int ends[2];
  if (in == nullptr || std::fwrite(input.data(), 1, input.size(), in.get()) != input.size() ||
      std::fflush(in.get()) != 0 || lseek(fileno(in.get()), 0, SEEK_SET) != 0 ||
      fcntl(fileno(in.get()), F_SETFD, FD_CLOEXEC) != 0 || pipe2(ends, O_CLOEXEC) != 0) {
    throw failed(std::strerror(errno));
  }
  pipe_end from(ends[0]), to(ends[1]);
  child running(command, fileno(in.get()), to.fd());
  to.close();
  if (running.failure() != 0) throw failed(std::strerror(running.failure()));

  constexpr std::size_t most = std::size_t{256} << 20;
  std::string output;
  std::array<char, 65536> part;
  while (true) {
    const ssize_t n = read(from.fd(), part.data(), part.size());
    throw_if_stopped();
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw failed(std::strerror(errno));
    if (n == 0) break;
    output.append(part.data(), static_cast<std::size_t>(n));
    if (output.size() > most) throw io_error("run command", "256 MB or less", "more", name);
  }
  const int status = running.wait();
  throw_if_stopped();
  if (WIFSIGNALED(status)) throw failed(std::string("signal ") + strsignal(WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0) throw failed(std::to_string(WEXITSTATUS(status)));
  return output;
}

}  // namespace solens::program
