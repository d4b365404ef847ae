// A backup: a copy of a data directory as it is at one moment, made while a daemon works on it
// (Store::Backup), of which src/storage/restore.h makes a data directory again.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/base/cancel.h"

namespace bif::storage {

struct BackupProgress {
  int64_t files_done = 0;
  int64_t files = 0;
  int64_t bytes_done = 0;
  int64_t bytes = 0;
};

struct BackupOptions {
  std::string directory;  // absolute; missing, or empty. The folder around it must be there
  bool copy = false;      // every byte, where hard links would do
  CancelToken cancel;
  std::function<void(const BackupProgress&)> on_progress;  // on the calling thread; may be empty
};

struct BackupReport {
  int64_t files = 0;
  int64_t bytes = 0;                 // of all files
  int64_t copied_bytes = 0;          // of those that are no hard links
  std::vector<std::string> missing;  // files that the catalog names and that were not there
};

}  // namespace bif::storage
