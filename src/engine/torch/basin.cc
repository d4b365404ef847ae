#include "src/engine/torch/basin.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace bif::engine {
namespace {

constexpr int64_t kProbeRows = 1024;
constexpr int64_t kProbeTokens = 8192;
constexpr double kFactor = 10;

int64_t ProbeRows(const TorchRows& train) {
  int64_t rows = 1, tokens = train.token_losses(0);
  while (rows < std::min(train.rows(), kProbeRows)) {
    tokens += train.token_losses(rows);
    if (tokens > kProbeTokens) break;
    ++rows;
  }
  return rows;
}

// ln classes; where the losses of tokens are summed, once for each of a row's tokens.
double LossOfGuessing(const LoadedProgram& model, const TorchRows& train, int64_t probe_rows) {
  const double guess = std::log(static_cast<double>(model.program->info().classes));
  if (model.source.loss != LossKind::kNextToken ||
      model.source.sequence.reduction == TokenReduction::kMean)
    return guess;
  int64_t tokens = 0;
  for (int64_t row = 0; row < probe_rows; ++row) tokens += train.token_losses(row);
  return guess * static_cast<double>(tokens) / static_cast<double>(probe_rows);
}

// The mean of |target|^2 / 2 over the probe.
double LossOfZero(const at::Tensor& target) {
  const at::Tensor squares = target.to(at::kDouble).square();
  return squares.sum().item<double>() / 2 / static_cast<double>(target.size(0));
}

}  // namespace

absl::StatusOr<Basin> Basin::Around(const LoadedProgram& model, const TorchRows& train,
                                    int64_t moving_elements, double nbeta,
                                    const ExecutionPlan& plan) {
  Basin basin(model, train, plan);
  basin.probe_rows_ = ProbeRows(train);
  BIF_ASSIGN_OR_RETURN(const double at_anchor,
                       MeanLoss(model, model.anchor, train, basin.probe_rows_, plan));
  if (!std::isfinite(at_anchor)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the mean loss of the training samples at the checkpoint is ", at_anchor,
                     "; there is no posterior around such weights"));
  }
  const double rise = static_cast<double>(moving_elements) / (2 * nbeta);
  switch (model.source.loss) {
    case LossKind::kCrossEntropy:
    case LossKind::kNextToken:
      basin.bound_ = kFactor * std::max(at_anchor, LossOfGuessing(model, train, basin.probe_rows_));
      break;
    case LossKind::kSquaredError:
      basin.bound_ =
          kFactor *
          (std::max(at_anchor, LossOfZero(train.Slice(0, basin.probe_rows_).target)) + rise);
      break;
    case LossKind::kProgramLosses:
      basin.bound_ = kFactor * (std::abs(at_anchor) + rise);
      break;
  }
  return basin;
}

absl::StatusOr<bool> Basin::ProbeLiesOutside(absl::Span<const at::Tensor> parameters) const {
  BIF_ASSIGN_OR_RETURN(const double loss,
                       MeanLoss(*model_, parameters, *train_, probe_rows_, plan_));
  return !(loss <= bound_);
}

}  // namespace bif::engine
