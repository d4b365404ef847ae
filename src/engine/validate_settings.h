// What can be said of sampler settings before anything runs.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "src/engine/sampler_settings.h"

namespace bif::engine {

inline constexpr uint32_t kMaxChains = 1024;
inline constexpr uint32_t kMaxDrawsPerChain = 1'000'000;

// Checks every field against its range, and those that speak of training rows against `train_rows`.
// The first fault is a field error whose path starts with "settings.", e.g. "settings.nbeta". The
// parameter filter is checked where the program is known, by SelectParameters.
absl::Status ValidateSettings(const SamplerSettings& settings, int64_t train_rows);

// Refuses, likewise, what cannot be had on a device such as "cpu" or "cuda:0".
absl::Status ValidateForDevice(const SamplerSettings& settings, std::string_view device);

}  // namespace bif::engine
