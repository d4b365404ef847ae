// What every fuzz target has: the entry that libFuzzer calls, and how a target says that something
// does not hold which has to.
//
// A target takes any bytes at all. It may refuse them; it must not crash, leak, or take memory out
// of proportion, and what it accepts has to keep the promises of the header that it tests. Targets
// are functions of their input alone: the same bytes, the same steps.
//
// Without clang the same targets are linked with replay_test.cc, which gives them the corpus.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/status/status.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace bif::fuzz {

// Wide enough for products of what a stranger claims.
__extension__ typedef __int128 Wide;

// Ends the process, with the sentence on stderr, if `holds` is false: libFuzzer keeps the input.
void Require(bool holds, std::string_view sentence);

// Ends the process if a refusal has another code than the header promises, or says nothing.
void RequireRefusal(const absl::Status& status, absl::StatusCode code);

// The bytes, from the front to the end. What is asked for beyond the end is zero.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  template <typename Number>
  Number Take() {
    Number value = 0;
    const std::string_view bytes = TakeBytes(sizeof(value));
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  uint32_t TakeBelow(uint32_t bound) { return Take<uint8_t>() % bound; }  // at most 256
  std::string_view TakeBytes(size_t count) {
    const std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(bytes.size());
    return bytes;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

// A file that is nowhere on a disk, for readers that want a path. Ends the process if there can be
// none.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  int descriptor_ = -1;
  std::string path_;
};

}  // namespace bif::fuzz
