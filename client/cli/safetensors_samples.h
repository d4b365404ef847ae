// Samples from a safetensors file; see sample_files.h. The format: 8 bytes little endian header
// length, a JSON header of {name: {dtype, shape, data_offsets}}, then the data. A column whose rows
// have lengths of their own is two tensors: `tokens`, all rows one after the other, and
// `tokens.lengths`, int64 [rows].
#pragma once

#include "client/cli/sample_files.h"

namespace bif::client {

absl::StatusOr<std::unique_ptr<SampleSource>> OpenSafetensorsSamples(const std::string& path,
                                                                     SampleFileOptions options);

}  // namespace bif::client
