#include <algorithm>

#include "src/storage/sample_store.h"

namespace bif::storage {

Digest SampleDigest(const SampleBatch& batch, int64_t row) {
  std::vector<const Column*> columns;
  for (const Column& column : batch.columns) columns.push_back(&column);
  std::sort(columns.begin(), columns.end(),
            [](const Column* a, const Column* b) { return a->spec.name < b->spec.name; });
  Sha256 digest;
  digest.UpdateU64(columns.size());
  for (const Column* column : columns) {
    digest.UpdateField(column->spec.name);
    digest.UpdateU64(static_cast<uint64_t>(column->spec.dtype));
    const std::vector<int64_t> shape = column->RowShape(row);
    digest.UpdateU64(shape.size());
    for (const int64_t dimension : shape) digest.UpdateU64(static_cast<uint64_t>(dimension));
    const absl::Span<const std::byte> bytes = column->Row(row);
    digest.UpdateField({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  return digest.Finish();
}

}  // namespace bif::storage
