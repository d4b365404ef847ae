// A disk of its own, a few hundred MiB large, that can be filled to the last byte and emptied
// again: a tmpfs that this process mounts, and that goes with it.
//
// Mounting needs a right. Where the process has it (root), or may make a user namespace in which it
// has it (most machines), there is such a disk; else the constructor throws and says so: a test of
// a full disk cannot do without one. Confined to the test's thread, which must not have started
// others before the first disk is made; child processes see the disk.
#pragma once

#include <cstdint>
#include <string>

namespace bif::testing {

class SmallDisk {
 public:
  // Mounts it on `folder`, which is made.
  SmallDisk(std::string folder, int64_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  const std::string& path() const { return folder_; }
  int64_t free_bytes() const;
  int64_t used_bytes() const;
  // Makes it as small as what is on it: at once, so that a test can choose the moment.
  void Fill();
  void GiveBack();  // what Fill took

 private:
  bool Resize(int64_t bytes);  // errno if not

  const std::string folder_;
  const int64_t bytes_;
};

}  // namespace bif::testing
