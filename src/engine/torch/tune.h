// Chooses how a program runs on this machine by timing it.
#pragma once

#include "absl/status/statusor.h"
#include "src/engine/engine.h"
#include "src/engine/torch/evaluate.h"
#include "src/engine/torch/resident_rows.h"

namespace bif::engine {

// See Model::Tune. A batched call that fails (an operator without a batching rule) loses against
// the loop.
absl::StatusOr<ExecutionPlan> TunePlan(const LoadedProgram& model, const SamplerSettings& settings,
                                       const MovingSet& moving, const TorchRows& train);

}  // namespace bif::engine
