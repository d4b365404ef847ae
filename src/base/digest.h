// SHA-256, the name of everything that is named by its content; and XXH3-64, the checksum of what
// is on disk.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace bif {

using Digest = std::array<uint8_t, 32>;

// Collects bytes and gives their SHA-256. Thread-compatible.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(std::string_view bytes);
  // Appends the length, then the bytes: fields written this way cannot run into each other.
  void UpdateField(std::string_view bytes);
  void UpdateU64(uint64_t value);
  Digest Finish();  // the object must not be used afterwards

 private:
  void* context_;
};

Digest Sha256Of(std::string_view bytes);
std::string ToHex(const Digest& digest);  // 64 lower-case characters
absl::StatusOr<Digest> DigestFromHex(std::string_view hex);

// The SHA-256 of a file's bytes.
absl::StatusOr<Digest> DigestFile(const std::string& path);

// XXH3-64 of the bytes.
uint64_t Checksum(std::string_view bytes);

}  // namespace bif
