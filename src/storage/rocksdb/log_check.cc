#include "src/storage/rocksdb/log_check.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "src/base/status.h"

namespace bif::storage {
namespace {

// A log is a row of blocks; a record never crosses a block's end and is a header and a payload
// (https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format).
constexpr size_t kBlockBytes = 32 << 10;
constexpr size_t kHeaderBytes = 7;  // masked CRC-32C of type and payload u32 | length u16 | type u8
constexpr uint8_t kLastType = 4;    // 1 to 4: full, first, middle, last. Above: recycled logs

constexpr std::array<uint32_t, 256> MakeCrcTable() {
  std::array<uint32_t, 256> table = {};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78 : 0);
    table[byte] = value;
  }
  return table;
}

// CRC-32C (RFC 3720), and RocksDB's mask over it.
uint32_t MaskedCrc(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = MakeCrcTable();
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(c)) & 0xff];
  crc ^= 0xffffffff;
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8;
}

struct Header {
  uint32_t crc = 0;
  uint16_t length = 0;
  uint8_t type = 0;
};

Header HeaderAt(std::string_view bytes, size_t at) {
  Header header;
  std::memcpy(&header.crc, bytes.data() + at, sizeof(header.crc));
  std::memcpy(&header.length, bytes.data() + at + 4, sizeof(header.length));
  header.type = static_cast<uint8_t>(bytes[at + 6]);
  return header;
}

// Whether `length` bytes of payload at `at` have the header's checksum.
bool Fits(std::string_view bytes, size_t at, const Header& header, size_t length) {
  return header.crc == MaskedCrc(bytes.substr(at + 6, 1 + length));
}

// Whether a whole record begins somewhere in [begin, end of the file).
bool HoldsARecord(std::string_view bytes, size_t begin) {
  for (size_t at = begin; at + kHeaderBytes <= bytes.size(); ++at) {
    const Header header = HeaderAt(bytes, at);
    if (header.type >= 1 && header.type <= kLastType &&
        at + kHeaderBytes + header.length <= bytes.size() &&
        Fits(bytes, at, header, header.length)) {
      return true;
    }
  }
  return false;
}

absl::Status Damaged(const std::string& name, size_t at) {
  return absl::DataLossError(
      absl::StrCat(name, " is damaged at byte ", at, ": restore the data directory from a backup"));
}

}  // namespace

absl::Status CheckLog(std::string_view bytes, const std::string& name) {
  for (size_t at = 0; at < bytes.size();) {
    const size_t block_end = (at / kBlockBytes + 1) * kBlockBytes;
    if (block_end - at < kHeaderBytes) {  // filled with zeros
      at = block_end;
      continue;
    }
    if (bytes.size() - at < kHeaderBytes) return absl::OkStatus();  // torn
    const Header header = HeaderAt(bytes, at);
    // Zeros where a record would be: allocated, never written.
    if (bytes.find_first_not_of('\0', at) == bytes.npos) return absl::OkStatus();
    const size_t end = at + kHeaderBytes + header.length;
    if (header.type < 1 || header.type > kLastType || end > block_end) return Damaged(name, at);
    if (end > bytes.size()) {
      // Torn, unless the payload is whole and only its length is wrong.
      const size_t there = bytes.size() - at - kHeaderBytes;
      if (Fits(bytes, at, header, there) || HoldsARecord(bytes, at + kHeaderBytes))
        return Damaged(name, at);
      return absl::OkStatus();
    }
    if (!Fits(bytes, at, header, header.length)) return Damaged(name, at);
    at = end;
  }
  return absl::OkStatus();
}

absl::Status CheckLogs(const std::string& database_path) {
  const absl::StatusOr<std::string> current = ReadFile(absl::StrCat(database_path, "/CURRENT"));
  if (absl::IsNotFound(current.status())) return absl::OkStatus();
  BIF_RETURN_IF_ERROR(current.status());
  BIF_ASSIGN_OR_RETURN(std::vector<std::string> names, ListFilesRecursively(database_path));
  const std::string manifest(absl::StripAsciiWhitespace(*current));
  for (const std::string& name : names) {
    if (name != manifest && !absl::EndsWith(name, ".log")) continue;
    const std::string path = absl::StrCat(database_path, "/", name);
    BIF_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
    BIF_RETURN_IF_ERROR(CheckLog(bytes, path));
  }
  return absl::OkStatus();
}

}  // namespace bif::storage
