// One run of storage_scenario on a disk that libbif_fault_fs.so watches.
//
//   <scratch>/disk/data           the data directory
//   <scratch>/disk/acknowledged   what the scenario reports
//   <scratch>/journal             what the library has written down
//
// Thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/faults/disk.h"
#include "tests/faults/history.h"
#include "tests/faults/journal.h"
#include "tests/support/temp_dir.h"

namespace bif::faults {

struct ScenarioOptions {
  std::string plan = "small";  // or "table", "random"
  uint64_t seed = 0;
  bool trusting = false;  // the negative control: failures are reported as acknowledged
  std::string fault;      // kFaultVariable of fault_fs_protocol.h; empty: none
};

class ScenarioRun {
 public:
  // Runs the scenario to its end; throws if it cannot be started.
  explicit ScenarioRun(const ScenarioOptions& options);

  // 0, or what waitpid() said of a process that failed or was killed by a signal.
  int wait_status() const { return wait_status_; }
  std::string standard_error() const;
  const std::vector<Event>& events() const { return events_; }
  bool fault_came() const;
  // What it has reported in all.
  History history() const;

  // The disk after the first `count` events.
  Disk DiskAfter(size_t count, Lie lie = Lie::kNone) const;
  // What had been reported by then.
  static History HistoryOn(const Disk& disk, const std::string& directory);
  History HistoryOn(const Disk& disk) const { return HistoryOn(disk, disk_directory()); }

  std::string disk_directory() const { return scratch_ / "disk"; }
  std::string data_directory() const { return scratch_ / "disk/data"; }
  // A path for a copy of the data directory, with nothing there.
  std::string FreshCopy();

 private:
  const testing::TempDir scratch_;
  int wait_status_ = -1;
  int copies_ = 0;
  std::vector<Event> events_;
};

}  // namespace bif::faults
