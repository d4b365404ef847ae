// Reads what libbif_fault_fs.so has written down. Thread-compatible.
#pragma once

#include <string>
#include <vector>

#include "tests/faults/fault_fs_protocol.h"

namespace bif::faults {

struct Event {
  EventKind kind;
  uint8_t flags;
  int fd;
  uint64_t offset;
  std::string path;
  std::string data;  // what was written, or the second path
};

// All whole events of a file. A process that was killed may have left part of one at the end.
// Throws if the file cannot be read.
std::vector<Event> ReadJournal(const std::string& path);

}  // namespace bif::faults
