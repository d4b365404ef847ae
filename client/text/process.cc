#include "client/text/process.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"

extern char** environ;

namespace bif::client {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using TemporaryFile = std::unique_ptr<std::FILE, CloseFile>;

absl::Status Failed(const std::string& doing) {
  return absl::InternalError(absl::StrCat("cannot ", doing, ": ", std::strerror(errno)));
}

absl::StatusOr<std::string> ReadAll(std::FILE* file) {
  std::rewind(file);
  std::string text;
  char block[1 << 16];
  while (const size_t bytes = std::fread(block, 1, sizeof(block), file)) text.append(block, bytes);
  if (std::ferror(file) != 0) return Failed("read a temporary file");
  return text;
}

}  // namespace

// Files without names instead of pipes: neither side ever waits for the other.
absl::StatusOr<ProcessResult> RunProcess(const std::vector<std::string>& arguments,
                                         const std::string& input) {
  const TemporaryFile files[3] = {TemporaryFile(std::tmpfile()), TemporaryFile(std::tmpfile()),
                                  TemporaryFile(std::tmpfile())};
  for (const TemporaryFile& file : files) {
    if (file == nullptr) return Failed("make a temporary file");
  }
  if (std::fwrite(input.data(), 1, input.size(), files[0].get()) != input.size() ||
      std::fflush(files[0].get()) != 0) {
    return Failed("write a temporary file");
  }
  std::rewind(files[0].get());

  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int stream = 0; stream < 3; ++stream)
    posix_spawn_file_actions_adddup2(&actions, ::fileno(files[stream].get()), stream);
  pid_t child = 0;
  errno = ::posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (errno == ENOENT || errno == EACCES) {
    return absl::NotFoundError(
        absl::StrCat("cannot run ", arguments[0], ": ", std::strerror(errno)));
  }
  if (errno != 0) return Failed(absl::StrCat("run ", arguments[0]));

  int ended = 0;
  while (::waitpid(child, &ended, 0) < 0) {
    if (errno != EINTR) return Failed(absl::StrCat("wait for ", arguments[0]));
  }
  ProcessResult result;
  result.exit_code = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
  for (const auto& [file, text] : {std::pair{&files[1], &result.out}, {&files[2], &result.err}}) {
    absl::StatusOr<std::string> all = ReadAll(file->get());
    if (!all.ok()) return all.status();
    *text = *std::move(all);
  }
  return result;
}

}  // namespace bif::client
