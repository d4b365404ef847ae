// Slopes on the command line: how many, and a top k that is refined with them.
#pragma once

#include <cstdint>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "bif/v1/attribution.pb.h"

namespace bif::client {

struct RefineArguments {
  std::string estimator;  // empty: not asked for
  double seconds = 0;
  uint64_t passes = 0;
  bool simultaneous = false;
};

// --pathwise-draws
void AddPathwiseOptions(CLI::App* command, v1::PathwiseOptions& options);
// --refine and its budget
void AddRefineOptions(CLI::App* command, RefineArguments& arguments);

// Fills `request` with what was asked for. A usage error for a budget without --refine, or two.
absl::Status FillRefine(const RefineArguments& arguments, v1::AttributeRequest& request);

}  // namespace bif::client
