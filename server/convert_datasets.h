// Datasets, their samples, and the files to import them from.
#pragma once

#include "absl/status/statusor.h"
#include "bif/v1/datasets.pb.h"
#include "src/jobs/datasets.h"

namespace bif::server {

absl::StatusOr<jobs::DatasetSpec> FromProto(const bif::v1::CreateDatasetRequest& proto,
                                            const std::string& tenant);
absl::StatusOr<jobs::ImportSpec> FromProto(const bif::v1::ImportSamplesRequest& proto,
                                           const std::string& tenant);

void ToProto(const jobs::Dataset& dataset, bif::v1::Dataset* proto);
void ToProto(const jobs::StoredSample& sample, bif::v1::Sample* proto);
void ToProto(const jobs::AppendResult& result, bif::v1::ImportSamplesResponse* proto);
void ToProto(const jobs::AppendResult& result, bif::v1::AppendSamplesResponse* proto);
void ToProto(const jobs::Page<jobs::Dataset>& page, bif::v1::ListDatasetsResponse* proto);
void ToProto(const jobs::Page<jobs::StoredSample>& page, bif::v1::ListSamplesResponse* proto);

}  // namespace bif::server
