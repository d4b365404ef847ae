// What a process holds, as the operating system counts it, and what a directory takes; and whether
// these grow.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace bif::testing {

struct Usage {
  int64_t resident_bytes = 0;
  int64_t descriptors = 0;
  int64_t threads = 0;      // that bear the program's name: its own, and those of LibTorch
  int64_t all_threads = 0;  // with the pools of gRPC, RocksDB and the metrics' endpoint
  int64_t disk_bytes = 0;   // of all files below the directory
  int64_t files = 0;        // of those outside the database, which has as many as it likes
};
Usage UsageOf(pid_t process, const std::string& data_directory);

// A sentence for each number that grew from the first third of the samples to the last. The
// smallest of each third counts: the database gathers writes in memory and in its log until it has
// a table's worth, so memory and disk are saws, and what leaks lifts their lowest points. To be
// called with samples after a warm-up; at least 9.
//
//   resident memory   by more than 6 MiB
//   disk              by more than 6 MiB
//   all threads       by more than 8: gRPC's pools get threads as they meet load, up to a few a
//   core all others        by more than 2
std::vector<std::string> Growth(const std::vector<Usage>& samples);

}  // namespace bif::testing
