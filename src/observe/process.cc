#include "src/observe/process.h"

#include <unistd.h>

#include <fstream>

namespace bif::observe {

int64_t ResidentBytes() {
  // The second number of statm counts resident pages (man 5 proc).
  std::ifstream statm("/proc/self/statm");
  int64_t total_pages = 0;
  int64_t resident_pages = 0;
  if (!(statm >> total_pages >> resident_pages)) return 0;
  return resident_pages * sysconf(_SC_PAGESIZE);
}

}  // namespace bif::observe
