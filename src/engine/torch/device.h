// Opens the device of an engine, and fixes what bit-identity depends on.
#pragma once

#include <c10/core/Device.h>

#include "absl/status/statusor.h"
#include "src/engine/engine.h"

namespace bif::engine {

struct OpenedDevice {
  c10::Device device = c10::Device(c10::kCPU);
  EngineInfo info;
};

// "cpu", "cuda" or "cuda:N". The number of threads belongs to the process: the first call fixes it,
// and a later call that asks for another number is INVALID_ARGUMENT, as is a device that this
// LibTorch does not have. Thread-safe.
absl::StatusOr<OpenedDevice> OpenDevice(const EngineOptions& options);

}  // namespace bif::engine
