// Samples from JSON lines; see sample_files.h.
#pragma once

#include "client/cli/sample_files.h"

namespace bif::client {

absl::StatusOr<std::unique_ptr<SampleSource>> OpenJsonSamples(const std::string& path,
                                                              SampleFileOptions options);

}  // namespace bif::client
