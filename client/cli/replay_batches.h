// Batches for `--batch-order replay`, from a file.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "bif/v1/types.pb.h"

namespace bif::client {

// Adds the batches of a local file to `settings`: a two-dimensional NumPy array of integers (*.npy,
// a batch a row), or a JSON list of lists. Numbers are positions in the training rows. What is
// wrong with the file is INVALID_ARGUMENT with the batch or byte.
absl::Status AddReplayBatches(const std::string& path, v1::SamplerSettings& settings);

}  // namespace bif::client
