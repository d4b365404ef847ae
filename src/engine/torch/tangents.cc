#include "src/engine/torch/tangents.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/sampler_step.h"
#include "src/engine/torch/attention_path.h"
#include "src/engine/torch/catch_torch.h"
#include "src/engine/torch/chains.h"
#include "src/engine/torch/evaluate_sequences.h"
#include "src/engine/torch/hessian_products.h"
#include "src/engine/torch/losses.h"
#include "src/engine/torch/query_gradients.h"
#include "src/engine/torch/recorded_values.h"
#include "src/engine/torch/slopes.h"

namespace bif::engine {
namespace {

constexpr double kGrowth = 100;  // times the bound; see tangents.h

// The Euclidean norm of each row, in double.
std::vector<double> Norms(const at::Tensor& rows) {
  const at::Tensor norms = at::linalg_vector_norm(rows, 2, {1}, false, at::kDouble).cpu();
  const double* first = norms.const_data_ptr<double>();
  return {first, first + norms.numel()};
}

absl::Status CheckQueries(const LoadedProgram& model, const TorchRows& queries,
                          const Observable& observable) {
  if (observable.kind == ObservableKind::kTokenLosses)
    return FieldError("observable.kind", "a tangent is of one number, not of every token's loss");
  const int64_t classes = model.program->info().classes;
  return queries.tokens() == nullptr ? CheckObservable(model.source.loss, classes, observable)
                                     : CheckTokenObservable(queries.tokens()->sequences(), 0,
                                                            queries.rows(), classes, observable);
}

class TorchTangents final : public TangentStretch {
 public:
  TorchTangents(const LoadedProgram& model, const SamplerSettings& settings,
                const ExecutionPlan& plan, const TangentPlan& tangent_plan, const TorchRows& train,
                std::unique_ptr<TorchChainGroup> chain, const TorchRows& queries,
                const Observable& observable)
      : model_(model),
        rule_(StepRule::Of(settings)),
        plan_(plan),
        plain_attention_(tangent_plan.plain_attention),
        train_(train),
        chain_(std::move(chain)),
        layout_(chain_->layout()),
        hessian_(model, layout_, tangent_plan.hessian),
        slopes_(model, layout_, tangent_plan.slopes),
        query_gradients_(model, layout_, queries, observable),
        tangents_(at::zeros({queries.rows(), layout_.row_elements}, chain_->AnchorRow().options())),
        bounds_(static_cast<size_t>(queries.rows())) {}

  // [queries, delta_elements], or nothing.
  absl::Status Restore(absl::Span<const float> tangents);

  uint64_t step() const override { return chain_->step(); }
  int64_t queries() const override { return tangents_.size(0); }
  absl::StatusOr<TangentReport> Advance(uint64_t steps) override;
  absl::Status Slopes(const ResidentRows& rows, int64_t first_row, int64_t row_count,
                      absl::Span<float> slopes) override;
  absl::Status ReadDelta(absl::Span<float> delta) override { return chain_->ReadDelta(0, delta); }
  absl::Status ReadTangents(absl::Span<float> tangents) override;

 private:
  absl::Status Step();
  // [queries, row_elements]: nbeta H v + (lambda + gamma) v + grad phi at the chain's weights.
  absl::StatusOr<at::Tensor> Drift(const at::Tensor& gradients);
  // G of the step that the chain has just taken, [row_elements]; undefined if it is 1.
  at::Tensor Preconditioner() const;
  // Takes the step's drift into the bounds and compares.
  void CheckGrowth(const at::Tensor& gradients, const at::Tensor& preconditioner);

  const LoadedProgram& model_;
  const StepRule rule_;
  const ExecutionPlan plan_;
  const bool plain_attention_;
  const TorchRows& train_;
  const std::unique_ptr<TorchChainGroup> chain_;
  const WeightLayout& layout_;  // of chain_
  HessianProducts hessian_;
  SlopesAlong slopes_;
  QueryGradients query_gradients_;
  at::Tensor tangents_;          // [queries, row_elements]; padding is zero
  std::vector<double> bounds_;   // one a query: b_t
  bool zero_ = true;             // all tangents are
  std::string reason_;           // why the stretch diverged; empty while it moves
  int64_t diverged_query_ = -1;  // whose tangent it was; -1: the chain's doing
};

absl::Status TorchTangents::Restore(absl::Span<const float> tangents) {
  if (tangents.empty()) return absl::OkStatus();
  const auto elements = static_cast<size_t>(layout_.delta_elements);
  if (tangents.size() != bounds_.size() * elements) {
    return absl::InvalidArgumentError(absl::StrCat(tangents.size(), " numbers do not fit ",
                                                   bounds_.size(), " tangents of ", elements,
                                                   " moving parameters"));
  }
  for (int64_t q = 0; q < queries(); ++q)
    layout_.Scatter(tangents.subspan(static_cast<size_t>(q) * elements, elements), tangents_[q]);
  if (!tangents_.isfinite().all().item<bool>())
    return absl::InvalidArgumentError("the given tangents are not finite");
  bounds_ = Norms(tangents_);
  zero_ = false;
  return absl::OkStatus();
}

absl::StatusOr<TangentReport> TorchTangents::Advance(uint64_t steps) {
  return CatchTorch("a step of tangents", [&]() -> absl::StatusOr<TangentReport> {
    const at::NoGradGuard no_grad;
    for (uint64_t i = 0; i < steps && reason_.empty(); ++i) BIF_RETURN_IF_ERROR(Step());
    return TangentReport{!reason_.empty(), reason_, diverged_query_, Norms(tangents_)};
  });
}

absl::StatusOr<at::Tensor> TorchTangents::Drift(const at::Tensor& gradients) {
  if (zero_) return gradients.clone();
  const std::vector<RecordedCall> batch =
      RecordedBatch(model_, train_, chain_->NextBatch(0), plan_);
  BIF_ASSIGN_OR_RETURN(const at::Tensor products,
                       hessian_.At(chain_->Weights(0), tangents_, batch));
  return products.mul_(rule_.nbeta)
      .add_(tangents_, rule_.weight_decay + rule_.gamma)
      .add_(gradients);
}

at::Tensor TorchTangents::Preconditioner() const {
  const at::Tensor second_moments = chain_->SecondMoments(0);
  if (!second_moments.defined()) return {};
  return second_moments.sqrt().add_(rule_.rms_delta).reciprocal_();
}

absl::Status TorchTangents::Step() {
  // Everything at the weights before the step; nothing has changed yet if it fails.
  at::Tensor gradients, drift;
  {
    const AttentionPath attention(plain_attention_);
    BIF_ASSIGN_OR_RETURN(gradients, query_gradients_.At(chain_->Weights(0)));
    BIF_ASSIGN_OR_RETURN(drift, Drift(gradients));
  }
  BIF_ASSIGN_OR_RETURN(const std::vector<ChainReport> reports, chain_->Advance(1));
  if (reports[0].diverged) {
    reason_ = absl::StrCat("the chain diverged: ", reports[0].reason);
    return absl::OkStatus();
  }
  const at::Tensor preconditioner = Preconditioner();
  if (preconditioner.defined()) drift.mul_(preconditioner);
  tangents_.sub_(drift, rule_.step_size / 2);
  if (rule_.box) {
    // The bounds as the step computes them, in fp32: an element that is at one was clamped.
    const at::Tensor weights = chain_->Weights(0), anchor = chain_->AnchorRow();
    const auto box = static_cast<double>(static_cast<float>(*rule_.box));
    tangents_.masked_fill_(weights.le(anchor - box).logical_or_(weights.ge(anchor + box)), 0);
  }
  zero_ = false;
  CheckGrowth(gradients, preconditioner);
  return absl::OkStatus();
}

void TorchTangents::CheckGrowth(const at::Tensor& gradients, const at::Tensor& preconditioner) {
  double least = 1;
  std::vector<double> drives, sizes;
  if (preconditioner.defined()) {
    const at::Tensor root = preconditioner.sqrt();
    // Padding has second moments of 0, so its G is the largest there is.
    least = preconditioner.min().item<double>();
    drives = Norms(gradients * root);
    sizes = Norms(tangents_ / root);
  } else {
    drives = Norms(gradients);
    sizes = Norms(tangents_);
  }
  const double half_step = rule_.step_size / 2;
  const double kept = std::abs(1 - half_step * least * (rule_.weight_decay + rule_.gamma));
  for (size_t q = 0; q < bounds_.size(); ++q) {
    bounds_[q] = kept * bounds_[q] + half_step * drives[q];
    if (sizes[q] <= kGrowth * bounds_[q] && std::isfinite(bounds_[q])) continue;
    diverged_query_ = static_cast<int64_t>(q);
    reason_ =
        std::isfinite(sizes[q])
            ? absl::StrCat("the tangent of query ", q, " grew without bound: at step ",
                           chain_->step(), " it is ", sizes[q] / bounds_[q],
                           " times as long as any positive curvature allows")
            : absl::StrCat("the tangent of query ", q, " is not finite at step ", chain_->step());
    absl::StrAppend(&reason_,
                    "; the loss has negative curvature that gamma does not outweigh, or "
                    "the step is too large: take a larger gamma or a smaller step_size");
    return;
  }
}

absl::Status TorchTangents::Slopes(const ResidentRows& rows, int64_t first_row, int64_t row_count,
                                   absl::Span<float> slopes) {
  return CatchTorch("slopes along tangents", [&]() -> absl::Status {
    if (!reason_.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("slopes of this stretch mean nothing: ", reason_));
    }
    if (first_row < 0 || row_count < 1 || first_row > rows.rows() - row_count) {
      return absl::InvalidArgumentError(absl::StrCat("rows ", first_row, " to ",
                                                     first_row + row_count, " are not within the ",
                                                     rows.rows(), " rows on the device"));
    }
    if (slopes.size() != bounds_.size() * static_cast<size_t>(row_count)) {
      return absl::InvalidArgumentError(absl::StrCat("room for ", slopes.size(),
                                                     " slopes is given for ", bounds_.size(),
                                                     " queries of ", row_count, " rows"));
    }
    const AttentionPath attention(plain_attention_);
    return slopes_.Rows(chain_->Weights(0), tangents_, static_cast<const TorchRows&>(rows),
                        first_row, row_count, plan_, slopes);
  });
}

absl::Status TorchTangents::ReadTangents(absl::Span<float> tangents) {
  return CatchTorch("reading tangents", [&]() -> absl::Status {
    const auto elements = static_cast<size_t>(layout_.delta_elements);
    if (tangents.size() != bounds_.size() * elements) {
      return absl::InvalidArgumentError(
          absl::StrCat("room for ", tangents.size(), " numbers is given for ", bounds_.size(),
                       " tangents of ", elements, " moving parameters"));
    }
    for (int64_t q = 0; q < queries(); ++q)
      layout_.Gather(tangents_[q], tangents.subspan(static_cast<size_t>(q) * elements, elements));
    return absl::OkStatus();
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<TangentStretch>> StartTorchTangents(
    const LoadedProgram& model, const SamplerSettings& settings, const MovingSet& moving,
    const ExecutionPlan& plan, const TangentPlan& tangent_plan, const TorchRows& train,
    const ChainSnapshot& from, const TorchRows& queries, const Observable& observable,
    absl::Span<const float> tangents) {
  return CatchTorch("starting tangents", [&]() -> absl::StatusOr<std::unique_ptr<TangentStretch>> {
    const at::NoGradGuard no_grad;
    BIF_RETURN_IF_ERROR(CheckQueries(model, queries, observable));
    BIF_ASSIGN_OR_RETURN(std::unique_ptr<TorchChainGroup> chain,
                         StartTorchChains(model, settings, moving, plan, train, from.chain,
                                          /*count=*/1, {from}));
    auto stretch = std::make_unique<TorchTangents>(model, settings, plan, tangent_plan, train,
                                                   std::move(chain), queries, observable);
    BIF_RETURN_IF_ERROR(stretch->Restore(tangents));
    return stretch;
  });
}

}  // namespace bif::engine
