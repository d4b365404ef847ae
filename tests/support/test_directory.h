// What the storage tests share: a data directory that can be closed, opened again, and copied as a
// crash would leave it. For tests only; confined to one thread.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "src/base/files.h"
#include "src/storage/store.h"
#include "tests/support/must.h"
#include "tests/support/temp_dir.h"

namespace bif::storage {

class TestDirectory {
 public:
  TestDirectory() : root_(scratch_ / "data") { Open(); }

  Store& store() { return *store_; }
  const std::string& root() const { return root_; }

  absl::Status TryOpen() {
    StoreOptions options;
    options.root = root_;
    options.memory_bytes = 16 << 20;
    options.min_free_disk_bytes = 1 << 20;
    options.log = [](std::string_view) {};  // tests damage files on purpose
    absl::StatusOr<std::unique_ptr<Store>> opened = OpenStore(options);
    if (opened.ok()) store_ = *std::move(opened);
    return opened.status();
  }
  void Open() { Must(TryOpen()); }
  void Close() { store_.reset(); }
  void Reopen() {
    Close();
    Open();
  }
  // Leaves what kill -9 would leave now: the files as they are, with nothing closed or flushed.
  void Crash() {
    const std::string copy = scratch_ / "crashed";
    std::filesystem::copy(root_, copy, std::filesystem::copy_options::recursive);
    store_.reset();
    std::filesystem::remove_all(root_);
    std::filesystem::rename(copy, root_);
  }
  void CrashAndReopen() {
    Crash();
    Open();
  }

  // Files below `folder` whose name ends so, absolute.
  std::vector<std::string> Files(const std::string& folder, const std::string& ending) {
    std::vector<std::string> paths;
    for (const std::string& name : Must(ListFilesRecursively(root_ + "/" + folder))) {
      if (name.size() >= ending.size() &&
          name.compare(name.size() - ending.size(), ending.size(), ending) == 0) {
        paths.push_back(root_ + "/" + folder + "/" + name);
      }
    }
    return paths;
  }
  int64_t DiskBytes(const std::string& folder) {
    int64_t total = 0;
    for (const std::string& path : Files(folder, "")) total += Must(FileSize(path));
    return total;
  }

 private:
  const testing::TempDir scratch_;
  const std::string root_;
  std::unique_ptr<Store> store_;
};

inline void FlipBit(const std::string& path, int64_t byte) {
  std::filesystem::permissions(path, std::filesystem::perms::owner_write,
                               std::filesystem::perm_options::add);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(byte);
  const char value = static_cast<char>(file.get() ^ 0x10);
  file.seekp(byte);
  file.put(value);
}

inline void CutFile(const std::string& path, int64_t bytes) {
  std::filesystem::resize_file(path, static_cast<uintmax_t>(bytes));
}

}  // namespace bif::storage
