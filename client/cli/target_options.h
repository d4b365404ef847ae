// A sampling target on the command line: how far to sample, instead of a number of draws.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "bif/v1/posteriors.pb.h"

namespace bif::client {

struct TargetOptions {
  std::optional<double> standard_error, worst_standard_error, stability, distinguishable;
  uint32_t k = 10;
  std::vector<std::string> pilot;  // DATASET/ID
  double max_seconds = 0;
};

void AddTargetOptions(CLI::App* command, TargetOptions& options);

// The target that was given, if one was. `most_draws`: of --draws or a preset; 0: neither. A usage
// error for two targets, or for what belongs to a target without one.
absl::StatusOr<std::optional<v1::SamplingTarget>> MakeTarget(const TargetOptions& options,
                                                             uint32_t most_draws);

}  // namespace bif::client
