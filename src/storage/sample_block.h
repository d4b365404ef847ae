// Blocks of samples as bytes: values of the column family `samples`. Pure functions, thread-safe.
//
// A block holds consecutive ordinals and never crosses a multiple of 256.
// docs/storage_format.md has the layout. Damage is DATA_LOSS and names the block.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "src/base/tensor.h"
#include "src/storage/sample_store.h"

namespace bif::storage {

// Part of the key and of a file that may be years old: never reuse a number.
enum class BlockKind : uint8_t { kIdentities = 0, kTensors = 1 };

inline constexpr int64_t kBlockRows = 256;

// How many rows of the batch, from row `first` on, which gets `ordinal`, make one tensor block: as
// many as stay within 1 MiB, so that reading one large sample does not read many others, at least
// one, and none beyond the next multiple of 256.
int64_t TensorBlockRows(const SampleBatch& batch, int64_t first, uint32_t ordinal);

// dataset u32 | kind u8 | first ordinal u32, big endian.
struct BlockKey {
  uint32_t dataset = 0;
  BlockKind kind = BlockKind::kIdentities;
  uint32_t first_ordinal = 0;

  std::string Encode() const;
  static BlockKey Decode(std::string_view bytes);
  std::string ToString() const;  // "tensor block of dataset 3 at row 512"
};
inline constexpr size_t kBlockKeyBytes = 9;

struct SampleIdentity {
  std::string_view id;
  Digest digest;
};

std::string EncodeIdentities(const BlockKey& key, const std::vector<SampleIdentity>& identities);
// Rows [first, first + rows) of the batch.
std::string EncodeTensors(const BlockKey& key, const SampleBatch& batch, int64_t first,
                          int64_t rows);

// Identities refer to `value`.
absl::StatusOr<std::vector<SampleIdentity>> DecodeIdentities(const BlockKey& key,
                                                             std::string_view value);
absl::StatusOr<SampleBatch> DecodeTensors(const BlockKey& key, std::string_view value);

}  // namespace bif::storage
