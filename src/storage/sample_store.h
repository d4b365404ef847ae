// The samples' tensors and ids, in blocks of up to 256 consecutive ordinals.
//
// Appending happens in two steps: Write puts blocks that nothing refers to yet, and adds to
// `writes` what makes them visible; the caller commits `writes` together with the dataset's new row
// count. A crash in between leaves blocks that the next append overwrites. One writer a dataset at
// a time (the caller's duty); readers need no lock.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/digest.h"
#include "src/base/tensor.h"
#include "src/storage/catalog.h"

namespace bif::storage {

// What identifies a sample beside its place.
struct SampleHeader {
  std::string id;
  Digest digest;
  bool deleted = false;
};

// SHA-256 of row `row` of a batch: column names, dtypes, the row's own shapes, and bytes; columns
// sorted by name. So it does not depend on whether the column is variable.
Digest SampleDigest(const SampleBatch& batch, int64_t row);

class SampleStore {
 public:
  virtual ~SampleStore() = default;

  // Appends rows at ordinals [first_ordinal, first_ordinal + batch.rows). An id that is taken, in
  // the dataset or twice in `ids`, is ALREADY_EXISTS and names it. `index_digests` adds
  // kSampleDigest records too (hidden datasets).
  virtual absl::Status Write(uint32_t dataset_number, int64_t first_ordinal,
                             const SampleBatch& batch, const std::vector<std::string>& ids,
                             bool index_digests, WriteSet& writes) = 0;

  // Rows at the given ordinals (ascending), in that order. NOT_FOUND names a missing ordinal.
  virtual absl::StatusOr<SampleBatch> Read(uint32_t dataset_number,
                                           const std::vector<uint32_t>& ordinals) = 0;
  // Ids, digests and deletion marks of ordinals [first, first + count), cut at the dataset's end.
  virtual absl::StatusOr<std::vector<SampleHeader>> ReadHeaders(uint32_t dataset_number,
                                                                int64_t first, int64_t count) = 0;
  // Marks rows as deleted, in `writes`, and frees their ids.
  virtual absl::Status MarkDeleted(uint32_t dataset_number, const std::vector<uint32_t>& ordinals,
                                   WriteSet& writes) = 0;

  // Gives the space back. To be called once no record names the dataset; repeating it is harmless.
  virtual absl::Status DeleteDataset(uint32_t dataset_number) = 0;
};

}  // namespace bif::storage
