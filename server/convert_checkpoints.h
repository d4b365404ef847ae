// Programs, checkpoints and their parameters.
#pragma once

#include "absl/status/statusor.h"
#include "bif/v1/checkpoints.pb.h"
#include "src/jobs/checkpoints.h"

namespace bif::server {

absl::StatusOr<jobs::ProgramSpec> FromProto(const bif::v1::ProgramSpec& proto,
                                            const std::string& tenant);
jobs::CheckpointSpec FromProto(const bif::v1::CheckpointSpec& proto, const std::string& tenant);

void ToProto(const jobs::Program& program, bif::v1::Program* proto);
void ToProto(const jobs::Checkpoint& checkpoint, bif::v1::Checkpoint* proto);
void ToProto(const jobs::ParameterSelection& selection, bif::v1::ListParametersResponse* proto);
void ToProto(const jobs::Page<jobs::Program>& page, bif::v1::ListProgramsResponse* proto);
void ToProto(const jobs::Page<jobs::Checkpoint>& page, bif::v1::ListCheckpointsResponse* proto);

}  // namespace bif::server
