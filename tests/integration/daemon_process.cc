#include "tests/integration/daemon_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

extern char** environ;

namespace bif::testing {
namespace {

// Starts a program with stdout into `pipe_end` and stderr into a file.
pid_t Spawn(const std::vector<std::string>& arguments, int pipe_end, const std::string& log_path) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_end, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log_path.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0644);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start " + arguments[0]);
  return pid;
}

// The next line of a pipe; empty at its end.
std::string ReadLine(int fd) {
  std::string line;
  for (char c; read(fd, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

}  // namespace

DaemonProcess::DaemonProcess(const std::string& data_directory,
                             const std::vector<std::string>& flags, Start start)
    : log_path_(data_directory + ".log") {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  stdout_ = ends[0];
  std::vector<std::string> arguments = {BIF_DAEMON, "--data=" + data_directory};
  // A flag may come once: what the test says of one stands instead of the usual.
  for (const std::string& usual :
       std::vector<std::string>{"--listen=127.0.0.1:0", "--metrics=127.0.0.1:0", "--threads=1"}) {
    const std::string name = usual.substr(0, usual.find('=') + 1);
    const auto same = [&name](const std::string& flag) { return flag.starts_with(name); };
    if (std::none_of(flags.begin(), flags.end(), same)) arguments.push_back(usual);
  }
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  pid_ = Spawn(arguments, ends[1], log_path_);
  close(ends[1]);
  if (start == Start::kAndServe) AwaitServing();
}

void DaemonProcess::AwaitServing() {
  const std::string metrics_line = "metrics on http://127.0.0.1:";
  const std::string address_line = "listening on ";
  for (std::string line; !(line = ReadLine(stdout_)).empty();) {
    if (line.starts_with(metrics_line))
      metrics_port_ = std::atoi(line.c_str() + metrics_line.size());
    if (line.starts_with(address_line)) {
      address_ = line.substr(address_line.size());
      break;
    }
  }
}

DaemonProcess::~DaemonProcess() {
  if (pid_ > 0) Kill();
  close(stdout_);
}

std::string DaemonProcess::log() const {
  std::stringstream text;
  text << std::ifstream(log_path_).rdbuf();
  return text.str();
}

void DaemonProcess::Signal(int signal) {
  if (pid_ > 0) kill(pid_, signal);
}

void DaemonProcess::StandStill() {
  Signal(SIGSTOP);
  int status = 0;
  if (waitpid(pid_, &status, WUNTRACED) != pid_ || !WIFSTOPPED(status))
    throw std::runtime_error("does not stop");
}

void DaemonProcess::GoOn() { Signal(SIGCONT); }

int DaemonProcess::AwaitExit() {
  int status = 0;
  if (waitpid(pid_, &status, 0) != pid_) throw std::runtime_error("no such child");
  pid_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void DaemonProcess::Kill() {
  Signal(SIGKILL);
  AwaitExit();
}

}  // namespace bif::testing
