#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "src/base/write_all.h"

namespace bif::fuzz {

void Require(bool holds, std::string_view sentence) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %.*s\n", static_cast<int>(sentence.size()), sentence.data());
  std::abort();
}

void RequireRefusal(const absl::Status& status, absl::StatusCode code) {
  Require(status.code() == code, "the refusal's code is the promised one: " + status.ToString());
  Require(!status.message().empty(), "a refusal says why");
}

MemoryFile::MemoryFile(std::string_view bytes) : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
  Require(descriptor_ >= 0 && WriteAll(descriptor_, bytes, "memory").ok(), "there is memory");
  path_ = "/proc/self/fd/" + std::to_string(descriptor_);
}

MemoryFile::~MemoryFile() { ::close(descriptor_); }

}  // namespace bif::fuzz
