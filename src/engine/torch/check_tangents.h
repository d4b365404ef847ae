// Whether a program's second derivatives and forward-mode derivatives can be had, and are right:
// the LibTorch side of Model::CheckTangents.
#pragma once

#include "absl/status/statusor.h"
#include "src/engine/engine.h"
#include "src/engine/torch/evaluate.h"
#include "src/engine/torch/resident_rows.h"

namespace bif::engine {

// At w*, on a few rows and along two directions drawn by lot, the exact derivatives are computed
// and compared with central differences in double. They may differ by 1 %: rounding in fp32 makes
// less, a wrong derivative more. An operator without one throws, and is named. Attention is tried
// as the plan has it first, then as plain products.
//
// A program that cannot be computed in double is checked with less: the Hessian must be symmetric,
// slopes must agree with differences of fp32 losses to 5 %. `reason` says so then, though the
// methods are exact.
absl::StatusOr<TangentPlan> CheckTorchTangents(const LoadedProgram& model, const MovingSet& moving,
                                               const ExecutionPlan& plan, const TorchRows& train);

}  // namespace bif::engine
