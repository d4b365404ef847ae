// Names of resources: programs/{digest12}, checkpoints/{digest12}, datasets/{id},
// datasets/{id}/samples/{id}, posteriors/{key12}, operations/{id}; with a tenant in front of the id
// or the digest where it is not the default one's (src/jobs/tenant.h). Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "src/storage/catalog.h"

namespace bif::jobs {

std::string ProgramName(std::string_view digest_hex);
std::string CheckpointName(std::string_view digest_hex);
std::string DatasetName(std::string_view id);
std::string SampleName(std::string_view dataset_id, std::string_view sample_id);
std::string PosteriorName(std::string_view key_hex);
std::string OperationName(std::string_view id);

// What follows "<collection>/" in `name`. `field` is the request's field that held the name, for
// the error.
absl::StatusOr<std::string> IdFromName(std::string_view collection, std::string_view name,
                                       std::string_view field);

// "datasets/a/samples/x/y" -> ("a", "x/y"): a sample's id is the user's, and may hold slashes.
absl::StatusOr<std::pair<std::string, std::string>> ParseSampleName(std::string_view name,
                                                                    std::string_view field);

// The full digest that a name's hexadecimal digits (6 to 64) stand for. NOT_FOUND if there is none;
// INVALID_ARGUMENT, asking for more digits, if there are several.
absl::StatusOr<std::string> ResolveDigest(storage::Catalog& catalog, storage::RecordKind kind,
                                          std::string_view collection, std::string_view name,
                                          std::string_view field);

}  // namespace bif::jobs
