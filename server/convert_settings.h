// Sampler settings, with the API's defaults filled in. Ranges (nbeta above 0, ...) are src/jobs' to
// check.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "bif/v1/types.pb.h"
#include "src/engine/sampler_settings.h"

namespace bif::server {

engine::ParameterFilter FromProto(const bif::v1::ParameterFilter& proto);
absl::StatusOr<engine::SamplerSettings> FromProto(const bif::v1::SamplerSettings& proto,
                                                  const std::string& path);

void ToProto(const engine::ParameterFilter& filter, bif::v1::ParameterFilter* proto);
// Every field is set, so that a reader needs to know no default.
void ToProto(const engine::SamplerSettings& settings, bif::v1::SamplerSettings* proto);

}  // namespace bif::server
