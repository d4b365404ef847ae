// What the storage scenario attempted and what was acknowledged to it: the oracle, which lies
// outside the data directory.
//
// The scenario writes a line before an attempt and one after it:
//   try segment 3 10      draws 5 to 9 of posterior 3 are about to be written
//   ok segment 3 10       they are acknowledged
//   failed segment 3 10 INTERNAL: ...
//   wrong ...             it read a number that it had not written
// An attempt without "ok" may have taken effect, or not; nothing between.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bif::faults {

// How far something that grows has got.
struct Progress {
  uint64_t acknowledged = 0;
  std::set<uint64_t> attempted;  // beyond that
  bool Allows(uint64_t value) const { return value == acknowledged || attempted.contains(value); }
};

// Something that is done or not.
enum class Done { kAttempted, kAcknowledged };

// Rows [first, second) of a dataset.
using Range = std::pair<uint64_t, uint64_t>;

struct History {
  std::map<uint64_t, Progress> rows;      // by dataset
  std::map<uint64_t, Progress> segments;  // by posterior: draws of each chain
  std::map<uint64_t, Done> programs, records;
  std::map<uint64_t, Done> dropped_posteriors, dropped_datasets;
  std::map<uint64_t, std::map<Range, Done>> deleted, erased;  // by dataset
  uint64_t counter = 0;                                       // the last number given

  std::map<std::string, int> acknowledged;  // how often, by verb
  std::vector<std::string> failures;        // lines
  std::vector<std::string> wrong;           // lines
  int AllAcknowledged() const;
};

// Of all whole lines; a process that was killed may have left part of one. Throws at a line that it
// does not know.
History ParseHistory(std::string_view text);

}  // namespace bif::faults
