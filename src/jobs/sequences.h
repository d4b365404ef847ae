// How many losses the tokens of a sample have, and how a sequence's loss comes from them. Pure
// functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "src/base/tensor.h"
#include "src/jobs/checkpoints.h"

namespace bif::jobs {

struct SequenceShape {
  uint32_t losses = 0;   // of the tokens at positions 1, 2, ...
  uint32_t counted = 0;  // those that no mask hides; at least one
};

// Of every row, for a program of sequences. A row that the program cannot take is a field error of
// `name_of(row)`.
absl::StatusOr<std::vector<SequenceShape>> SequenceShapes(
    const Checkpoints::Sources& program, const SampleBatch& batch,
    absl::FunctionRef<std::string(int64_t row)> name_of);

// The mean over the counted tokens, or the sum, in double and rounded once. The losses lie `stride`
// apart; those of hidden tokens are 0.
float ReduceTokenLosses(engine::TokenReduction reduction, const SequenceShape& shape,
                        const float* losses, size_t stride);

}  // namespace bif::jobs
