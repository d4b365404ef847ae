// Posteriors, their diagnostics, and what a run costs.
#pragma once

#include "absl/status/statusor.h"
#include "bif/v1/posteriors.pb.h"
#include "src/jobs/posteriors.h"

namespace bif::server {

absl::StatusOr<jobs::PosteriorSpec> FromProto(const bif::v1::CreatePosteriorRequest& proto,
                                              const std::string& tenant);

absl::StatusOr<jobs::TargetSpec> FromProto(const bif::v1::SamplingTarget& proto);

void ToProto(const jobs::Stopping& stopping, bif::v1::Stopping* proto);
void ToProto(const jobs::CostEstimate& estimate, bif::v1::CostEstimate* proto);
void ToProto(const jobs::Posterior& posterior, bif::v1::Posterior* proto);
void ToProto(const jobs::PosteriorDiagnostics& diagnostics, bif::v1::Diagnostics* proto);
// Without replay batches, which could make a page larger than a message may be; GetPosterior has
// them.
void ToProto(const jobs::Page<jobs::Posterior>& page, bif::v1::ListPosteriorsResponse* proto);

}  // namespace bif::server
