// Files that hold samples, as a stream of batches: what ImportSamples reads.
//
// A source is opened with the dataset's columns and gives batches of exactly these, in their order.
// Integers of any width are converted to the integer dtype that the dataset declares (labels come
// as bytes and are wanted as int64); a value that does not fit, and any other difference of dtype,
// is refused. Shapes may differ by dimensions of 1 ([28,28] and [1,28,28]).
//
// The files are a stranger's: a cut file, a wrong magic number, columns with differing row counts
// and bytes after the last row are INVALID_ARGUMENT with the path and the byte at fault. Memory is
// bounded by one batch. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/tensor.h"

namespace bif::storage {

class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual const std::vector<TensorSpec>& columns() const = 0;
  virtual int64_t rows() const = 0;  // in all
  // At least one and at most `max_rows` of the next rows, fewer if they are large; none at the end.
  // Files are checked for trailing bytes when the last row is read. After an error the source is of
  // no use.
  virtual absl::StatusOr<SampleBatch> Next(int64_t max_rows) = 0;
};

// Drops rows from the front; dropping more than there are is OK.
absl::Status SkipRows(RowSource& source, int64_t rows);

struct IdxColumnFile {
  std::string column;
  std::string path;
};
// IDX files (http://yann.lecun.com/exdb/mnist/, "the IDX file format"), gzipped or not. Each fills
// one column. With empty `columns`, columns are as the files have them.
absl::StatusOr<std::unique_ptr<RowSource>> OpenIdxFiles(const std::vector<IdxColumnFile>& files,
                                                        const std::vector<TensorSpec>& columns);

// CIFAR-10's binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records of a label byte
// and 3 x 32 x 32 pixels, files one after the other. With empty `columns`: uint8 [3,32,32] and
// int64 [].
absl::StatusOr<std::unique_ptr<RowSource>> OpenCifarRecords(const std::vector<std::string>& paths,
                                                            const std::string& image_column,
                                                            const std::string& label_column,
                                                            const std::vector<TensorSpec>& columns);

// A safetensors file whose tensors are [rows, ...] and named like the columns. A variable column's
// tensor is [elements of all rows, ...], and "<column>.lengths", integers [rows], says how many
// each row has; without lengths it is [rows, length, ...]. With empty `columns`, columns are as the
// file has them, sorted by name.
absl::StatusOr<std::unique_ptr<RowSource>> OpenSafetensorsColumns(
    const std::string& path, const std::vector<TensorSpec>& columns);

}  // namespace bif::storage
