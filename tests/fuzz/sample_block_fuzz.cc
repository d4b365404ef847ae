// Blocks of samples, with their checksum put right first. What is read, written down again, is read
// as the same.
//
// The first byte is 0 for identities, 1 for tensors.
#include <vector>

#include "src/base/digest.h"
#include "src/storage/big_endian.h"
#include "src/storage/sample_block.h"
#include "tests/fuzz/fuzz.h"

using namespace bif;
using storage::BlockKey;
using storage::BlockKind;

namespace {

constexpr size_t kChecksumAt = 12;
constexpr size_t kHeaderBytes = 20;

// docs/storage_format.md: key, the 12 bytes before it, the checksum of what follows (big endian).
std::string Sealed(const BlockKey& key, std::string_view value) {
  std::string block(value);
  if (block.size() < kHeaderBytes) return block;
  std::string covered = key.Encode() + block.substr(0, kChecksumAt);
  storage::AppendBigEndian(covered, Checksum(std::string_view(block).substr(kHeaderBytes)));
  const uint64_t checksum = Checksum(covered);
  std::memcpy(block.data() + kChecksumAt, &checksum, sizeof(checksum));
  return block;
}

void CheckIdentities(const BlockKey& key, std::string_view block) {
  const auto identities = storage::DecodeIdentities(key, block);
  if (!identities.ok()) {
    fuzz::RequireRefusal(identities.status(), absl::StatusCode::kDataLoss);
    return;
  }
  fuzz::Require(static_cast<int64_t>(identities->size()) <= storage::kBlockRows,
                "a block holds at most 256 rows");
  fuzz::Require(storage::EncodeIdentities(key, *identities) == block,
                "identities, written down again, are the same bytes");
}

void CheckTensors(const BlockKey& key, std::string_view block) {
  const auto batch = storage::DecodeTensors(key, block);
  if (!batch.ok()) {
    fuzz::RequireRefusal(batch.status(), absl::StatusCode::kDataLoss);
    return;
  }
  for (const Column& column : batch->columns)
    fuzz::Require(ValidateRows(column, batch->rows).ok(), "columns hold the block's rows");
  const auto again =
      storage::DecodeTensors(key, storage::EncodeTensors(key, *batch, 0, batch->rows));
  fuzz::Require(
      again.ok() && again->rows == batch->rows && again->columns.size() == batch->columns.size(),
      "a block, written down again, is read");
  for (size_t c = 0; c < batch->columns.size(); ++c) {
    const Column& one = batch->columns[c];
    const Column& other = again->columns[c];
    fuzz::Require(
        one.spec == other.spec && one.data == other.data && one.row_ends == other.row_ends,
        "and each column is the same");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const BlockKey key = {
      .dataset = 2, .kind = static_cast<BlockKind>(input.TakeBelow(2)), .first_ordinal = 256};
  for (const std::string& block : {std::string(input.rest()), Sealed(key, input.rest())}) {
    if (key.kind == BlockKind::kIdentities) {
      CheckIdentities(key, block);
    } else {
      CheckTensors(key, block);
    }
  }
  return 0;
}
