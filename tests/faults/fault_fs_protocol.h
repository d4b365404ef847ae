// What libbif_fault_fs.so and the tests that load it into a program have agreed on: the settings
// that it takes from the environment, and the journal that it writes.
//
// The library wraps libc's calls on files below one directory. It can let a call fail, and it
// writes down every call that changed something, in the order in which they took effect. From that
// journal disk.h works out what a power failure at any moment would have left.
#pragma once

#include <cstdint>

namespace bif::faults {

// The directory to watch: absolute, without links. If it is not set, the library does nothing.
inline constexpr char kDirectoryVariable[] = "BIF_FAULT_DIRECTORY";
// Where the journal goes: a file outside the directory, appended to.
inline constexpr char kJournalVariable[] = "BIF_FAULT_JOURNAL";
// Which call fails, as "CALL:NTH:ERRNO:HOW". CALL is a name of kCallNames, NTH counts from 1, ERRNO
// is a number, HOW is one of
//   once    that call only
//   short   that call writes half of its bytes, and says so; ERRNO is not used
//   full    that call writes half of its bytes; from then on every call that takes space fails
inline constexpr char kFaultVariable[] = "BIF_FAULT";

// The one file in the watched directory that no fault hits: where the program under test says what
// has been acknowledged to it. Its writes are in the journal, and so have a place in its order.
inline constexpr char kAcknowledgements[] = "acknowledged";

// Kinds of call that can be made to fail. `name` is what gives names: rename and link; `remove` is
// unlink and rmdir; `resize` is ftruncate and fallocate.
enum class Call : uint8_t {
  kWrite,
  kSync,
  kName,
  kRemove,
  kMakeDirectory,
  kResize,
  kOpen,
  kMap,
  kRead
};
inline constexpr const char* kCallNames[] = {"write",  "sync", "name", "remove", "mkdir",
                                             "resize", "open", "mmap", "read"};

enum class EventKind : uint8_t {
  kOpen = 1,              // path as fd, with kMade or kEmptied
  kWrite = 2,             // data at `offset` of fd
  kResize = 3,            // fd to `offset` bytes
  kSync = 4,              // fd: a file or a directory
  kFailedSync = 5,        // fd: what was written to it before is given up
  kRename = 6,            // path to the second path, which is replaced
  kLink = 7,              // path to the second path as well
  kUnlink = 8,            // path
  kMakeDirectory = 9,     // path
  kRemoveDirectory = 10,  // path
  kFault = 11,            // a call failed on purpose; path says which
};

// Flags of kOpen.
inline constexpr uint8_t kMade = 1;
inline constexpr uint8_t kEmptied = 2;

// Stands before each event's path and its data (or its second path).
struct EventHeader {
  EventKind kind;
  uint8_t flags;
  uint16_t path_bytes;
  int32_t fd;
  uint64_t offset;
  uint64_t data_bytes;
};
static_assert(sizeof(EventHeader) == 24);

}  // namespace bif::faults
