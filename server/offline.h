// bifd fsck and bifd restore: what is done to a data directory that no daemon works on. They are
// commands of bifd and not of bifctl, because the client knows the API alone and nothing of what
// lies on disk.
#pragma once

#include <optional>
#include <ostream>

namespace bif::server {

// Runs such a command and gives the process's exit code; nothing if the command line names none.
// Results go to `out`, errors and hints to `err`.
//
// fsck: 0 clean, 1 damaged, 2 not checked (a mistake on the command line, no data directory, or a
// daemon has it). restore: 0 restored, 1 not, 2 a mistake on the command line.
std::optional<int> RunOfflineCommand(int argc, const char* const* argv, std::ostream& out,
                                     std::ostream& err);

// What `bifd --help` says of them.
inline const char* OfflineHelp() {
  return "While no daemon works on a directory:\n"
         "  bifd fsck DIRECTORY             says what is damaged or left over in it\n"
         "  bifd restore BACKUP DIRECTORY   makes a data directory of what bifctl backup made";
}

}  // namespace bif::server
