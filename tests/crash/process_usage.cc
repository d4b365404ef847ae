#include "tests/crash/process_usage.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

namespace bif::testing {
namespace {

constexpr int64_t kMib = int64_t{1} << 20;

int64_t CountEntries(const std::string& folder) {
  int64_t entries = 0;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(folder, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    ++entries;
  }
  return entries;
}

std::string NameIn(const std::string& folder) {
  std::string name;
  std::getline(std::ifstream(folder + "/comm") >> std::ws, name);
  return name;
}

void CountThreads(const std::string& proc, Usage& usage) {
  const std::string program = NameIn(proc);
  std::error_code error;
  for (auto task = std::filesystem::directory_iterator(proc + "/task", error);
       !error && task != std::filesystem::directory_iterator(); task.increment(error)) {
    ++usage.all_threads;
    if (NameIn(task->path().string()) == program) ++usage.threads;
  }
}

int64_t LeastOf(absl::Span<const Usage> samples, int64_t Usage::*number) {
  int64_t least = samples[0].*number;
  for (const Usage& sample : samples) least = std::min(least, sample.*number);
  return least;
}

}  // namespace

Usage UsageOf(pid_t process, const std::string& data_directory) {
  Usage usage;
  const std::string proc = absl::StrCat("/proc/", process);
  int64_t all_pages = 0;
  int64_t resident_pages = 0;
  std::ifstream(proc + "/statm") >> all_pages >> resident_pages;
  usage.resident_bytes = resident_pages * sysconf(_SC_PAGESIZE);
  usage.descriptors = CountEntries(proc + "/fd");
  CountThreads(proc, usage);
  // The daemon makes and removes files meanwhile: one that is gone counts nothing.
  std::error_code error;
  const std::string database = data_directory + "/db/";
  for (auto entry = std::filesystem::recursive_directory_iterator(data_directory, error);
       !error && entry != std::filesystem::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code gone;
    if (!entry->is_regular_file(gone)) continue;
    const auto bytes = entry->file_size(gone);
    if (gone) continue;
    usage.disk_bytes += static_cast<int64_t>(bytes);
    if (!entry->path().string().starts_with(database)) ++usage.files;
  }
  return usage;
}

std::vector<std::string> Growth(const std::vector<Usage>& samples) {
  const size_t third = samples.size() / 3;
  const absl::Span<const Usage> all(samples);
  std::vector<std::string> grown;
  const auto compare = [&](const char* what, int64_t Usage::*number, int64_t most) {
    const int64_t first = LeastOf(all.first(third), number);
    const int64_t last = LeastOf(all.last(third), number);
    if (last - first > most)
      grown.push_back(absl::StrCat(what, " grew from ", first, " to ", last));
  };
  compare("resident memory", &Usage::resident_bytes, 6 * kMib);
  compare("descriptors", &Usage::descriptors, 2);
  compare("threads", &Usage::threads, 2);
  compare("all threads", &Usage::all_threads, 8);
  compare("disk", &Usage::disk_bytes, 6 * kMib);
  compare("files", &Usage::files, 2);
  return grown;
}

}  // namespace bif::testing
