// Compares a data directory with the history of who wrote it: the storage's promises, one by one.
//
// What was acknowledged is there, bit by bit. Of what was only attempted, each operation is there
// as a whole or not at all. Nothing else is there, and no file that no record names. A read that
// fails is a violation too, unless it is DATA_LOSS and names the object; whoever damages nothing
// demands that there be none.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "src/storage/store.h"
#include "tests/faults/history.h"

namespace bif::faults {

struct Findings {
  std::vector<std::string> violations;  // of a promise: what is wrong, in words
  std::vector<std::string> damaged;     // what was found to be damaged, and named
  absl::Status refused;                 // why the directory was not opened

  // Nothing lost, nothing damaged, opened.
  bool Clean() const { return violations.empty() && damaged.empty() && refused.ok(); }
  std::string ToString() const;
};

// Of a store that has just been opened.
Findings CheckStore(storage::Store& store, const std::string& root, const History& history);

// Opens the directory, checks, and closes it.
Findings OpenAndCheck(const std::string& root, const History& history);

}  // namespace bif::faults
