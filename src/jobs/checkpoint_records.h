// Programs and checkpoints between callers, engine and disk, and their digests. Pure functions.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "src/base/digest.h"
#include "src/jobs/checkpoints.h"

namespace bif::jobs {

// Over the file's digest, the loss and the bindings: everything that decides what the program
// computes.
Digest ProgramDigest(const ProgramSpec& spec, const std::string& blob);
Digest CheckpointDigest(const std::string& program_digest, const std::string& weights_digest);

engine::ProgramSource SourceOf(const ProgramSpec& spec, const std::string& path);
engine::ProgramSource SourceOf(const storage::pb::ProgramRecord& record, const std::string& path);
engine::ProgramInfo InfoOf(const storage::pb::ProgramRecord& record);

storage::pb::TensorSpec ToRecord(const TensorSpec& spec);
TensorSpec FromRecord(const storage::pb::TensorSpec& record);

storage::pb::ProgramRecord ToRecord(const ProgramSpec& spec, const engine::ProgramInfo& info,
                                    const std::string& digest, const std::string& blob,
                                    absl::Time now);
Program FromRecord(const storage::pb::ProgramRecord& record);

storage::pb::CheckpointRecord ToRecord(const CheckpointSpec& spec,
                                       const storage::pb::ProgramRecord& program,
                                       const std::string& digest,
                                       const std::vector<std::string>& blobs, absl::Time now);
Checkpoint FromRecord(const storage::pb::CheckpointRecord& record);

}  // namespace bif::jobs
