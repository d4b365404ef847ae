// Short names on the command line and in tables, full resource names in the API. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bif/v1/attribution.pb.h"
#include "bif/v1/types.pb.h"

namespace bif::client {

// Qualified("posteriors", "ab12") is "posteriors/ab12"; a name that is qualified already, or empty,
// stays as it is.
std::string Qualified(const std::string& collection, const std::string& name);

// The last part of a resource name: what a person types.
std::string ShortName(const std::string& name);

// "fashion/17" is sample 17 of dataset fashion; "datasets/fashion/samples/17" is the same one.
struct SampleReference {
  std::string dataset;  // qualified
  std::string sample_id;
  std::string name() const { return dataset + "/samples/" + sample_id; }
};
absl::StatusOr<SampleReference> ParseSampleReference(const std::string& text);

// Samples of one dataset: "fashion/17" "fashion/18", or "fashion/*" for all of it. Those of two
// datasets do not fit into one request and are refused.
absl::StatusOr<v1::SampleSet> ParseSampleSet(const std::vector<std::string>& references);

// "image:uint8:28,28" and, for a scalar, "label:int64".
absl::StatusOr<v1::TensorSpec> ParseColumn(const std::string& text);

// "image=some/file" into its two sides.
absl::StatusOr<std::pair<std::string, std::string>> ParseAssignment(const std::string& text);

}  // namespace bif::client
