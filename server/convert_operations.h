// Operations as google.longrunning shows them: metadata and response are PosteriorProgress and
// Posterior, or TraceProgress and TraceSamplesResponse, by the operation's kind.
#pragma once

#include "absl/status/statusor.h"
#include "google/longrunning/operations_proto.pb.h"
#include "src/jobs/operations.h"
#include "src/jobs/posteriors.h"

namespace bif::server {

// Reads the posterior if the operation is done: blocks on storage. A posterior that was deleted
// since makes the operation end with NOT_FOUND.
google::longrunning::Operation OperationToProto(const jobs::Operation& operation,
                                                jobs::Posteriors& posteriors);

// The answer to validate_only: done, without a name, the estimate in its metadata.
google::longrunning::Operation EstimateToProto(const jobs::CostEstimate& estimate,
                                               const jobs::PosteriorSpec& spec);

}  // namespace bif::server
