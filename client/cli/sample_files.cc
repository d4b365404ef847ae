#include "client/cli/sample_files.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/json_samples.h"
#include "client/cli/safetensors_samples.h"

namespace bif::client {

size_t ElementBytes(v1::DType dtype) {
  switch (dtype) {
    case v1::UINT8:
    case v1::BOOL:
      return 1;
    case v1::INT32:
    case v1::FLOAT32:
      return 4;
    case v1::INT64:
      return 8;
    default:
      return 0;
  }
}

absl::StatusOr<std::unique_ptr<SampleSource>> OpenSampleFile(const std::string& path,
                                                             SampleFileOptions options) {
  if (absl::EndsWith(path, ".safetensors")) return OpenSafetensorsSamples(path, std::move(options));
  return OpenJsonSamples(path, std::move(options));
}

}  // namespace bif::client
