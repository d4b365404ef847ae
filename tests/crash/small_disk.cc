#include "tests/crash/small_disk.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace bif::testing {
namespace {

[[noreturn]] void Fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

// From now on this process sees mounts of its own, which end with it.
void EnterOwnNamespace() {
  static bool entered = false;
  if (entered) return;
  if (::unshare(CLONE_NEWNS) != 0) {
    // Not root: in a user namespace of its own it is.
    const std::string user = std::to_string(::geteuid());
    const std::string group = std::to_string(::getegid());
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
      Fail(
          "a test of a full disk mounts a small one, for which it needs CAP_SYS_ADMIN or user "
          "namespaces; run it as root, or leave it out (ctest -E full_disk_test)");
    }
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
    std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
  }
  // So that the others do not see them either. In a chroot "/" may be no mount, and cannot be told;
  // then the destructor alone takes the disk away.
  ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  entered = true;
}

std::string Size(int64_t bytes) { return "size=" + std::to_string(bytes); }

struct statvfs Space(const std::string& folder) {
  struct statvfs space;
  if (::statvfs(folder.c_str(), &space) != 0) Fail("statvfs " + folder);
  return space;
}

}  // namespace

SmallDisk::SmallDisk(std::string folder, int64_t bytes)
    : folder_(std::move(folder)), bytes_(bytes) {
  EnterOwnNamespace();
  std::filesystem::create_directories(folder_);
  if (::mount("tmpfs", folder_.c_str(), "tmpfs", 0, (Size(bytes) + ",mode=0700").c_str()) != 0)
    Fail("a test of a full disk mounts a small one on " + folder_);
}

SmallDisk::~SmallDisk() { ::umount2(folder_.c_str(), MNT_DETACH); }

int64_t SmallDisk::free_bytes() const {
  const struct statvfs space = Space(folder_);
  return static_cast<int64_t>(space.f_bavail) * static_cast<int64_t>(space.f_frsize);
}

int64_t SmallDisk::used_bytes() const {
  const struct statvfs space = Space(folder_);
  return static_cast<int64_t>(space.f_blocks - space.f_bfree) *
         static_cast<int64_t>(space.f_frsize);
}

// Somebody else may take or give space at the same time; a disk cannot be smaller than what is on
// it.
void SmallDisk::Fill() {
  while (free_bytes() > 0) {
    if (!Resize(used_bytes()) && errno != EINVAL) Fail("fill " + folder_);
  }
}

void SmallDisk::GiveBack() {
  if (!Resize(bytes_)) Fail("give back the space of " + folder_);
}

bool SmallDisk::Resize(int64_t bytes) {
  return ::mount(nullptr, folder_.c_str(), "tmpfs", MS_REMOUNT, Size(bytes).c_str()) == 0;
}

}  // namespace bif::testing
