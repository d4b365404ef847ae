// Chooses how a language model runs on this machine by timing it, for a second or two.
#pragma once

#include "absl/status/statusor.h"
#include "src/engine/engine.h"
#include "src/engine/torch/evaluate.h"
#include "src/engine/torch/resident_rows.h"

namespace bif::engine {

// Fills what the plan says of sequences: the kernel of attention, the tokens of a trace call, the
// rows of a step's calls, and how many rows are sorted together. `plan.compute` is obeyed. May
// throw c10::Error.
absl::Status TuneSequences(const LoadedProgram& model, const SamplerSettings& settings,
                           const MovingSet& moving, const TorchRows& train, ExecutionPlan& plan);

}  // namespace bif::engine
