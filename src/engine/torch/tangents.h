// Tangents of a stretch of a chain: the LibTorch side of engine.h's TangentStretch.
//
// The chain is replayed by the code that sampled it (chains.h), on its own. A run whose chains were
// stepped one by one is repeated bit for bit; one of batched calls to rounding. Beside every step
// the tangents take theirs, in fp32 whatever the plan computes in:
//   v += -eps/2 G (nbeta H_B(w) v + (lambda + gamma) v + grad phi(w)),
// B the batch and w the weights before the step, G = 1 with SGLD. With RMSprop-SGLD G is the
// preconditioner that the step itself uses: of the second moment after it took in this step's
// gradient (sampler_step.h). An element that the step clamps to the box has a tangent of 0.
//
// When a tangent has grown without bound. In a basin whose Hessians are positive semidefinite, and
// with a stable step, v shrinks by eps/2 (lambda + gamma) a step at least, so |v| cannot exceed
//   b_{t+1} = (1 - eps/2 (lambda + gamma)) b_t + eps/2 |grad phi(w_t)|,   b_0 = |v_0|,
// which tends to |grad phi| / (lambda + gamma). (With RMSprop-SGLD the same holds for the norm
// sqrt(sum v^2 / G) and the gradient's sqrt(sum G grad phi^2), with the smallest G in the bracket.)
// Where curvature is negative the bound is exceeded by a factor of gamma / (gamma - curvature), so
// 100 times the bound says that nothing is left of the pull, or less than a hundredth: what grows
// so far either never stops, or needs a hundred times the relaxation time of the basin to settle.
// Such a tangent, and one that is not finite, ends the stretch.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/engine/engine.h"
#include "src/engine/torch/evaluate.h"
#include "src/engine/torch/resident_rows.h"

namespace bif::engine {

// See Model::StartTangents. `model`, `train` and `queries` must outlive the stretch. Slopes of a
// stretch that diverged are FAILED_PRECONDITION.
absl::StatusOr<std::unique_ptr<TangentStretch>> StartTorchTangents(
    const LoadedProgram& model, const SamplerSettings& settings, const MovingSet& moving,
    const ExecutionPlan& plan, const TangentPlan& tangent_plan, const TorchRows& train,
    const ChainSnapshot& from, const TorchRows& queries, const Observable& observable,
    absl::Span<const float> tangents);

}  // namespace bif::engine
