#include "src/engine/torch/losses.h"

#include <ATen/ATen.h>
#include <ATen/functorch/BatchedTensorImpl.h>

#include <algorithm>
#include <limits>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/cross_entropy.h"
#include "src/engine/torch/parallel.h"

namespace bif::engine {
namespace {

constexpr int64_t kGrain = 4096;  // logits of one task: about 4 microseconds

std::string Shape(const at::Tensor& tensor) {
  std::ostringstream out;
  out << tensor.sizes();
  return out.str();
}

at::Tensor MeanOfRest(const at::Tensor& values) {
  return values.dim() > 1 ? values.flatten(1).mean(1) : values;
}

}  // namespace

at::Tensor AtLabel(const at::Tensor& values, const at::Tensor& labels) {
  return values.gather(-1, labels.unsqueeze(-1)).squeeze(-1);
}

at::Tensor Margin(const at::Tensor& logits, const at::Tensor& labels) {
  const at::Tensor classes = at::arange(logits.size(-1), labels.options());
  const at::Tensor others =
      logits.masked_fill(labels.unsqueeze(-1).eq(classes), -std::numeric_limits<float>::infinity());
  return AtLabel(logits, labels) - others.amax(-1);
}

absl::Status CheckOutput(LossKind loss, const at::Tensor& output, const at::Tensor& target,
                         int64_t rows) {
  const int64_t least = loss == LossKind::kCrossEntropy ? 2 : 1;
  if (output.dim() < least || output.size(0) != rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("the program's output has shape ", Shape(output), " for a batch of ", rows,
                     " samples; its first dimension must be the batch",
                     least == 2 ? ", its last the classes" : ""));
  }
  const bool fits = loss == LossKind::kProgramLosses ||
                    (loss == LossKind::kSquaredError && target.numel() == output.numel()) ||
                    (loss == LossKind::kCrossEntropy && target.dim() + 1 == output.dim() &&
                     target.sizes() == output.sizes().slice(0, static_cast<size_t>(target.dim())));
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("targets of shape ", Shape(target),
                                                 " do not fit the program's output of shape ",
                                                 Shape(output)));
}

at::Tensor SampleLosses(LossKind loss, const at::Tensor& output, const at::Tensor& target) {
  switch (loss) {
    case LossKind::kCrossEntropy:
      return MeanOfRest(AtLabel(output.log_softmax(-1), target).neg());
    case LossKind::kSquaredError: {
      const at::Tensor residual = output - target.reshape(output.sizes());
      const at::Tensor squares = residual * residual * 0.5;
      return squares.dim() > 1 ? squares.flatten(1).sum(1) : squares;
    }
    case LossKind::kProgramLosses:
      return MeanOfRest(output);
    case LossKind::kNextToken:
      break;  // token_losses.h
  }
  TORCH_CHECK(false, "unknown loss");
}

at::Tensor BatchLoss(LossKind loss, const at::Tensor& output, const at::Tensor& target,
                     bool batched) {
  if (loss == LossKind::kCrossEntropy && !batched && output.dim() == 2) {
    return at::cross_entropy_loss(output, target);
  }
  return SampleLosses(loss, output, target).mean();
}

bool HasKernel(LossKind loss, const at::Tensor& output) {
  return loss == LossKind::kCrossEntropy && !at::functorch::isBatchedTensor(output) &&
         output.is_cpu() && output.scalar_type() == at::kFloat && output.dim() == 2 &&
         output.is_contiguous() && output.size(1) <= kMostClasses;
}

LossesAndGradient CrossEntropyOf(const at::Tensor& output, const at::Tensor& labels,
                                 bool with_gradient) {
  const at::NoGradGuard no_grad;
  const int64_t rows = output.size(0), classes = output.size(1);
  LossesAndGradient found;
  found.losses = at::empty({rows}, at::kFloat);
  if (with_gradient) found.gradient = at::empty({rows, classes}, at::kFloat);
  const float* logits = output.const_data_ptr<float>();
  const int64_t* label = labels.const_data_ptr<int64_t>();
  float* loss = found.losses.mutable_data_ptr<float>();
  float* gradient = with_gradient ? found.gradient.mutable_data_ptr<float>() : nullptr;
  const bool in_range = std::all_of(label, label + rows,
                                    [&](int64_t index) { return index >= 0 && index < classes; });
  TORCH_CHECK_INDEX(in_range, "a label is not below ", classes, ", the classes of the output");
  ParallelFor(0, rows, 1 + kGrain / classes, [&](int64_t begin, int64_t end) {
    const auto count = static_cast<size_t>(end - begin);
    const auto elements = with_gradient ? count * static_cast<size_t>(classes) : 0;
    CrossEntropy(logits + begin * classes, classes, absl::MakeSpan(label + begin, count),
                 1.0f / static_cast<float>(rows), absl::MakeSpan(loss + begin, count),
                 absl::MakeSpan(gradient + (with_gradient ? begin * classes : 0), elements));
  });
  return found;
}

absl::Status CheckLogits(const Observable& observable, int64_t classes) {
  const auto refuse = [&](const char* field, uint32_t index) {
    return FieldError(
        field, absl::StrCat("must be below the number of logits, ", classes, ", is ", index));
  };
  if (int64_t{observable.logit_index} >= classes)
    return refuse("observable.logit_index", observable.logit_index);
  if (observable.kind != ObservableKind::kLogitDifference) return absl::OkStatus();
  if (int64_t{observable.other_logit_index} >= classes)
    return refuse("observable.other_logit_index", observable.other_logit_index);
  if (observable.other_logit_index != observable.logit_index) return absl::OkStatus();
  return FieldError("observable.other_logit_index",
                    "must differ from logit_index: a logit minus itself is always 0");
}

absl::Status CheckObservable(LossKind loss, int64_t classes, const Observable& observable) {
  switch (observable.kind) {
    case ObservableKind::kLoss:
      return absl::OkStatus();
    case ObservableKind::kCorrectProbability:
    case ObservableKind::kMargin:
      if (loss == LossKind::kCrossEntropy) return absl::OkStatus();
      return FieldError("observable.kind",
                        "wants a program with logits and the cross-entropy loss");
    case ObservableKind::kLogit:
    case ObservableKind::kLogitDifference:
      if (loss != LossKind::kProgramLosses) return CheckLogits(observable, classes);
      return FieldError("observable.kind", "the program returns losses and has no logits");
    default:
      break;
  }
  return FieldError("observable.kind",
                    "must be LOSS, CORRECT_PROBABILITY, MARGIN, LOGIT or LOGIT_DIFFERENCE: the "
                    "program's samples are no token sequences");
}

at::Tensor ObservableValues(LossKind loss, const Observable& observable, const at::Tensor& output,
                            const at::Tensor& target) {
  switch (observable.kind) {
    case ObservableKind::kLoss:
      return HasKernel(loss, output) ? CrossEntropyOf(output, target, false).losses
                                     : SampleLosses(loss, output, target);
    case ObservableKind::kCorrectProbability:
      return MeanOfRest(AtLabel(output.log_softmax(-1), target).exp());
    case ObservableKind::kMargin:
      return MeanOfRest(Margin(output, target));
    case ObservableKind::kLogit:
      return MeanOfRest(output.select(-1, observable.logit_index));
    case ObservableKind::kLogitDifference:
      return MeanOfRest(output.select(-1, observable.logit_index) -
                        output.select(-1, observable.other_logit_index));
    default:
      break;
  }
  TORCH_CHECK(false, "unknown observable");
}

}  // namespace bif::engine
