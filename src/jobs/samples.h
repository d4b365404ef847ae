// Samples as callers give them, one by one, and how they become batches. Pure functions and plain
// values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/base/tensor.h"

namespace bif::jobs {

struct Sample {
  std::string id;               // the user's; empty in inline queries
  std::vector<Column> tensors;  // one row each, of the shape that its spec has
};

// All samples as one batch with exactly `columns`. Errors are field errors below `path`:
// "samples[3].tensors[0]" for a wrong name, dtype, shape, byte count, no elements, or a value that
// is not finite; "samples[3]" for a column that is missing, or above 64 MiB together.
absl::StatusOr<SampleBatch> BatchOf(absl::Span<const Sample> samples,
                                    const std::vector<TensorSpec>& columns, std::string_view path);

// Row `row` of a batch.
Sample SampleAt(const SampleBatch& batch, int64_t row, std::string id);

// The rows at these numbers, in this order.
SampleBatch SelectRows(const SampleBatch& batch, absl::Span<const size_t> rows);

// Appends `from`'s rows to `to`; both have the same columns (an empty `to` takes those of `from`).
void AppendRows(const SampleBatch& from, SampleBatch& to);

// Whether a dataset's columns serve a program: each of `needed` is there, with its dtype unless
// kUnspecified, and its shape where a dimension is not -1. So a program that takes any length fits
// variable columns and those of one length alike. Otherwise INVALID_ARGUMENT, naming the column.
absl::Status CheckColumnsFit(const std::vector<TensorSpec>& columns,
                             const std::vector<TensorSpec>& needed);

}  // namespace bif::jobs
