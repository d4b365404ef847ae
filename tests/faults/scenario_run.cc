#include "tests/faults/scenario_run.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "src/base/files.h"
#include "tests/support/must.h"

extern char** environ;

namespace bif::faults {
namespace {

int RunToItsEnd(const std::vector<std::string>& arguments,
                const std::vector<std::string>& environment, const std::string& error_path) {
  std::vector<char*> argv, envp;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  for (char** variable = environ; *variable != nullptr; ++variable) envp.push_back(*variable);
  for (const std::string& variable : environment)
    envp.push_back(const_cast<char*>(variable.c_str()));
  envp.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, error_path.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0644);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start " + arguments[0]);
  int status = -1;
  if (waitpid(pid, &status, 0) != pid) throw std::runtime_error("cannot wait for the scenario");
  return status;
}

}  // namespace

ScenarioRun::ScenarioRun(const ScenarioOptions& options) {
  std::filesystem::create_directory(disk_directory());
  std::vector<std::string> arguments = {BIF_STORAGE_SCENARIO, data_directory(),
                                        disk_directory() + "/" + kAcknowledgements, options.plan,
                                        std::to_string(options.seed)};
  if (options.trusting) arguments.push_back("trusting");
  std::vector<std::string> environment = {
      std::string("LD_PRELOAD=") + BIF_FAULT_FS,
      std::string(kDirectoryVariable) + "=" + disk_directory(),
      std::string(kJournalVariable) + "=" + scratch_ / "journal"};
  if (!options.fault.empty())
    environment.push_back(std::string(kFaultVariable) + "=" + options.fault);
  wait_status_ = RunToItsEnd(arguments, environment, scratch_ / "stderr");
  events_ = ReadJournal(scratch_ / "journal");
}

std::string ScenarioRun::standard_error() const { return Must(ReadFile(scratch_ / "stderr")); }

bool ScenarioRun::fault_came() const {
  return std::any_of(events_.begin(), events_.end(),
                     [](const Event& event) { return event.kind == EventKind::kFault; });
}

History ScenarioRun::history() const {
  return ParseHistory(Must(ReadFile(disk_directory() + "/" + kAcknowledgements)));
}

Disk ScenarioRun::DiskAfter(size_t count, Lie lie) const {
  Disk disk(disk_directory(), lie);
  for (size_t i = 0; i < count; ++i) disk.Apply(events_.at(i));
  return disk;
}

History ScenarioRun::HistoryOn(const Disk& disk, const std::string& directory) {
  return ParseHistory(disk.Contents(directory + "/" + kAcknowledgements).value_or(""));
}

std::string ScenarioRun::FreshCopy() {
  const std::string last = scratch_ / ("copy-" + std::to_string(copies_));
  std::filesystem::remove_all(last);
  return scratch_ / ("copy-" + std::to_string(++copies_));
}

}  // namespace bif::faults
