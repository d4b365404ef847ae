// Files that hold samples, of a stranger: IDX (gzipped or not), CIFAR records and safetensors
// columns. Every batch is one that a dataset may store, and together they have the rows that were
// promised; an IDX file of bytes, written down again, is the same.
//
// The first byte is the format, the second whether the dataset's columns are declared.
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "src/storage/import/row_source.h"
#include "tests/fuzz/fuzz.h"

using namespace bif;

namespace {

// Nobody imports more from the few bytes of a fuzz input. Bounds the time of what promises more.
constexpr int64_t kMostRows = 4096;

const std::vector<TensorSpec>& Declared(uint32_t choice) {
  static const std::vector<TensorSpec> kColumns[] = {
      {},
      {{"image", DType::kUint8, {2, 2}}},
      {{"image", DType::kInt64, {4}}},
      {{"tokens", DType::kInt32, {-1}}, {"label", DType::kInt64, {}}},
      {{"image", DType::kFloat32, {}}},
      {{"image", DType::kUint8, {3, 32, 32}}, {"label", DType::kInt32, {}}},
  };
  return kColumns[choice];
}

absl::StatusOr<std::unique_ptr<storage::RowSource>> Open(uint32_t format,
                                                         const std::vector<TensorSpec>& columns,
                                                         const std::string& path) {
  if (format == 0) return storage::OpenIdxFiles({{"image", path}}, columns);
  if (format == 1) return storage::OpenCifarRecords({path}, "image", "label", columns);
  return storage::OpenSafetensorsColumns(path, columns);
}

std::string Idx(const SampleBatch& samples) {
  const Column& column = samples.columns[0];
  std::string bytes = {0, 0, 8, static_cast<char>(column.spec.shape.size() + 1)};
  std::vector<int64_t> sizes = {samples.rows};
  sizes.insert(sizes.end(), column.spec.shape.begin(), column.spec.shape.end());
  for (const int64_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
  }
  return bytes.append(reinterpret_cast<const char*>(column.data.data()), column.data.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const uint32_t format = input.TakeBelow(3);
  const uint32_t choice = input.TakeBelow(6);
  const std::string_view bytes = input.rest();
  const fuzz::MemoryFile file(bytes);
  const auto source = Open(format, Declared(choice), file.path());
  if (!source.ok()) {
    fuzz::RequireRefusal(source.status(), absl::StatusCode::kInvalidArgument);
    return 0;
  }
  const std::vector<TensorSpec>& columns = (*source)->columns();
  fuzz::Require(choice == 0 || columns == Declared(choice), "columns are those declared");
  fuzz::Require((*source)->rows() >= 0, "rows are counted");

  SampleBatch samples;
  while (samples.rows < kMostRows) {
    const auto batch = (*source)->Next(64);
    if (!batch.ok()) {
      fuzz::RequireRefusal(batch.status(), absl::StatusCode::kInvalidArgument);
      return 0;
    }
    if (batch->rows == 0) break;
    // A NaN or infinity in a file is for ValidateBatch to refuse; all else is the reader's.
    const absl::Status valid = ValidateBatch(*batch, columns);
    const bool not_finite = absl::StrContains(valid.message(), " holds a NaN ") ||
                            absl::StrContains(valid.message(), " holds an infinity ");
    fuzz::Require(valid.ok() || not_finite, "a batch is one of these columns: " + valid.ToString());
    if (samples.rows == 0) {
      samples = *batch;
      continue;
    }
    samples.rows += batch->rows;
    for (size_t c = 0; c < columns.size(); ++c)
      samples.columns[c].AppendRows(batch->columns[c], 0, batch->rows);
  }
  if (samples.rows >= kMostRows) return 0;
  fuzz::Require(samples.rows == (*source)->rows(), "all rows come that were promised");
  const bool plain = format == 0 && choice == 0 && bytes.substr(0, 3) == std::string("\0\0\x08", 3);
  if (plain && samples.rows > 0)
    fuzz::Require(Idx(samples) == bytes, "an IDX file of bytes, written again, is the same");
  return 0;
}
