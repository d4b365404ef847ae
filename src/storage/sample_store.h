// The samples' tensors and ids, in blocks of 256 consecutive ordinals.
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
#include "src/base/cancel.h"
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

// SHA-256 of row `row` of a batch: column names, dtypes, shapes and bytes, columns sorted by name.
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

  // Rows at the given ordinals (ascending), in that order. NOT_FOUND names a missing ordinal, or
  // one that was erased.
  virtual absl::StatusOr<SampleBatch> Read(uint32_t dataset_number,
                                           const std::vector<uint32_t>& ordinals) = 0;
  // Ids, digests and deletion marks of ordinals [first, first + count), cut at the dataset's end.
  // Those of erased rows are empty.
  virtual absl::StatusOr<std::vector<SampleHeader>> ReadHeaders(uint32_t dataset_number,
                                                                int64_t first, int64_t count) = 0;

  // Deleting a row has three steps: it is marked, and so in no answer any more; erased, when nobody
  // needs it to go on; and compaction gives its disk space back.
  //
  // Marks rows as deleted, in `writes`, and frees their ids.
  virtual absl::Status MarkDeleted(uint32_t dataset_number, const std::vector<uint32_t>& ordinals,
                                   WriteSet& writes) = 0;
  // Those of `ordinals` that are not marked as deleted.
  virtual absl::StatusOr<std::vector<uint32_t>> Living(uint32_t dataset_number,
                                                       std::vector<uint32_t> ordinals) = 0;
  // Rows that are marked and not known to be erased, ascending.
  virtual absl::StatusOr<std::vector<uint32_t>> NotErased(uint32_t dataset_number) = 0;
  // Takes tensors, ids and digests of marked rows (ascending) out of their blocks, and adds to
  // `writes` that they are erased. From then on Read is NOT_FOUND for them. A crash in between
  // leaves some of them erased and none damaged, and repeating it is harmless. One caller at a
  // time.
  virtual absl::Status Erase(uint32_t dataset_number, const std::vector<uint32_t>& ordinals,
                             WriteSet& writes) = 0;
  // Rewrites the files that held ordinals [first, last] before they were erased. May take as long
  // as that; UNAVAILABLE if it was cancelled.
  virtual absl::Status Compact(uint32_t dataset_number, uint32_t first, uint32_t last,
                               const CancelToken& cancel) = 0;

  // Gives the space back. To be called once no record names the dataset; repeating it is harmless.
  virtual absl::Status DeleteDataset(uint32_t dataset_number) = 0;
};

}  // namespace bif::storage
