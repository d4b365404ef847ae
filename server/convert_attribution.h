// Questions to a posterior, and the answers.
#pragma once

#include "absl/status/statusor.h"
#include "bif/v1/attribution.pb.h"
#include "src/jobs/queries.h"

namespace bif::server {

absl::StatusOr<jobs::AttributeRequest> FromProto(const bif::v1::AttributeRequest& proto,
                                                 const std::string& tenant);
absl::StatusOr<jobs::ScoreMatrixRequest> FromProto(const bif::v1::ScoreMatrixRequest& proto,
                                                   const std::string& tenant);
absl::StatusOr<jobs::SelfInfluenceRequest> FromProto(const bif::v1::SelfInfluenceRequest& proto,
                                                     const std::string& tenant);
absl::StatusOr<jobs::TokenInfluenceRequest> FromProto(const bif::v1::TokenInfluenceRequest& proto,
                                                      const std::string& tenant);
absl::StatusOr<jobs::GroupInfluenceRequest> FromProto(const bif::v1::GroupInfluenceRequest& proto,
                                                      const std::string& tenant);
absl::StatusOr<jobs::ExportTracesRequest> FromProto(const bif::v1::ExportTracesRequest& proto,
                                                    const std::string& tenant);
absl::StatusOr<jobs::TraceSamplesRequest> FromProto(const bif::v1::TraceSamplesRequest& proto,
                                                    const std::string& tenant);

void ToProto(const jobs::AttributeUpdate& update, bif::v1::AttributeResponse* proto);
// A block's provenance, or summary, is for its stream's first message only.
void ToProto(const jobs::ScoreBlock& block, bool first, bif::v1::ScoreMatrixResponse* proto);
void ToProto(const jobs::SelfInfluenceBlock& block, bool first,
             bif::v1::SelfInfluenceResponse* proto);
void ToProto(const jobs::TokenInfluenceBlock& block, bool first,
             bif::v1::TokenInfluenceResponse* proto);
void ToProto(const jobs::GroupInfluenceAnswer& answer, bif::v1::GroupInfluenceResponse* proto);
void ToProto(const jobs::TraceExportBlock& block, bif::v1::ExportTracesResponse* proto);

}  // namespace bif::server
