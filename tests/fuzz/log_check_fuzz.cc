// Write-ahead logs: a log of whole records is no damage, wherever it is cut; bytes are. But for a
// cut in a payload that holds bytes of a record itself: then a length that was changed is as
// likely, and the log counts as damaged.
//
// The first byte chooses: 0 any bytes as a log; 1 a log of records with these bytes, cut.
#include <algorithm>

#include "src/storage/rocksdb/log_check.h"
#include "tests/fuzz/fuzz.h"

using namespace bif;

namespace {

// CRC-32C, RFC 3720, appendix B.4, bit by bit.
uint32_t Crc32c(std::string_view bytes) {
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
  }
  return crc ^ 0xffffffff;
}

uint32_t Masked(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8; }

constexpr size_t kHeaderBytes = 7;

std::string Record(std::string_view payload) {
  const std::string covered = std::string(1, '\1') + std::string(payload);  // a full record
  const uint32_t masked = Masked(Crc32c(covered));
  const auto length = static_cast<uint16_t>(payload.size());
  return std::string(reinterpret_cast<const char*>(&masked), 4) +
         std::string(reinterpret_cast<const char*>(&length), 2) + covered;
}

// Whether the bytes of a whole record stand somewhere in `bytes`.
bool HoldsARecord(std::string_view bytes) {
  for (; bytes.size() >= kHeaderBytes; bytes.remove_prefix(1)) {
    uint32_t masked;
    uint16_t length;
    std::memcpy(&masked, bytes.data(), sizeof(masked));
    std::memcpy(&length, bytes.data() + sizeof(masked), sizeof(length));
    const std::string_view covered = bytes.substr(kHeaderBytes - 1, size_t{1} + length);
    if (covered.size() == size_t{1} + length && masked == Masked(Crc32c(covered))) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  if (input.TakeBelow(2) == 0) {
    const absl::Status checked = storage::CheckLog(input.rest(), "log");
    if (!checked.ok()) fuzz::RequireRefusal(checked, absl::StatusCode::kDataLoss);
    return 0;
  }
  const size_t cut = input.Take<uint16_t>();
  std::string log;
  size_t torn = 0;  // where the record that the cut tears begins
  while (!input.rest().empty() && log.size() < 16 << 10) {  // one block has no fragments
    if (log.size() <= cut) torn = log.size();
    log += Record(input.TakeBytes(input.Take<uint8_t>()));
  }
  fuzz::Require(storage::CheckLog(log, "log").ok(), "a whole log is no damage");
  log.resize(std::min(log.size(), cut));
  if (log.size() >= torn + kHeaderBytes &&
      HoldsARecord(std::string_view(log).substr(torn + kHeaderBytes))) {
    return 0;
  }
  fuzz::Require(storage::CheckLog(log, "log").ok(), "nor is a torn one");
  return 0;
}
