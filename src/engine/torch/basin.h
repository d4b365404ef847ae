// When a chain has left the basin of its checkpoint.
//
// The rule is a function of the chain's weights and of its batch alone, so that a resumed run
// decides the same, and it is meant to miss rather than to accuse:
//   1. The mean loss of the step's batch is above `bound`. One odd batch may do that, so
//   2. the mean loss of a probe, the first 1024 training rows (of sequences only those whose tokens
//   are at most 8192 together, but one at least), is computed at the same weights and is above it
//   too.
//
//   cross-entropy      10 * max(L*, ln classes), ten times worse than guessing; of sequences whose
//                      losses are sums, ln classes times the probe's mean length
//   squared error      10 * (max(L*, the loss of answering 0) + d / (2 nbeta))
//   program's losses   10 * (L* + d / (2 nbeta))
// L* is the probe's loss at w*, d the number of moving parameters: d / (2 nbeta) is the rise of the
// mean loss that a quadratic basin has at equilibrium, so no chain that samples such a basin is
// ever accused.
#pragma once

#include "absl/status/statusor.h"
#include "src/engine/torch/evaluate.h"

namespace bif::engine {

class Basin {
 public:
  // Evaluates the probe at w*. FAILED_PRECONDITION if the loss there is not finite.
  static absl::StatusOr<Basin> Around(const LoadedProgram& model, const TorchRows& train,
                                      int64_t moving_elements, double nbeta,
                                      const ExecutionPlan& plan);

  double bound() const { return bound_; }
  // Step 2 of the rule, at `parameters`. A loss that is not finite lies outside.
  absl::StatusOr<bool> ProbeLiesOutside(absl::Span<const at::Tensor> parameters) const;

 private:
  Basin(const LoadedProgram& model, const TorchRows& train, const ExecutionPlan& plan)
      : model_(&model), train_(&train), plan_(plan) {}

  const LoadedProgram* model_;
  const TorchRows* train_;
  ExecutionPlan plan_;
  int64_t probe_rows_ = 0;
  double bound_ = 0;
};

}  // namespace bif::engine
