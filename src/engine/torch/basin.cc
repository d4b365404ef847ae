#include "src/engine/torch/basin.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace bif::engine {
namespace {

constexpr int64_t kProbeRows = 1024;
constexpr double kFactor = 10;

// The mean of |target|^2 / 2 over the probe.
double LossOfZero(const at::Tensor& target) {
  const at::Tensor squares = target.to(at::kDouble).square();
  return squares.sum().item<double>() / 2 / static_cast<double>(target.size(0));
}

}  // namespace

absl::StatusOr<Basin> Basin::Around(const LoadedProgram& model, const TorchRows& train,
                                    int64_t moving_elements, double nbeta, int64_t batch_rows) {
  Basin basin(model, train);
  basin.probe_rows_ = std::min(train.rows(), kProbeRows);
  basin.batch_rows_ = batch_rows;
  BIF_ASSIGN_OR_RETURN(const double at_anchor,
                       MeanLoss(model, model.anchor, train, basin.probe_rows_, batch_rows));
  if (!std::isfinite(at_anchor)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the mean loss of the training samples at the checkpoint is ", at_anchor,
                     "; there is no posterior around such weights"));
  }
  const double rise = static_cast<double>(moving_elements) / (2 * nbeta);
  switch (model.source.loss) {
    case LossKind::kCrossEntropy:
    case LossKind::kNextToken:
      basin.bound_ =
          kFactor *
          std::max(at_anchor, std::log(static_cast<double>(model.program->info().classes)));
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
                       MeanLoss(*model_, parameters, *train_, probe_rows_, batch_rows_));
  return !(loss <= bound_);
}

}  // namespace bif::engine
