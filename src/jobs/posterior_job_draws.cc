// PosteriorJob's stages of a draw: steps, quantised weights, losses of all training rows at these;
// and of a segment's end.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/draw_codec.h"
#include "src/jobs/mean.h"
#include "src/jobs/posterior_job.h"
#include "src/jobs/posterior_record.h"

namespace bif::jobs {
namespace {

double Norm(absl::Span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return std::sqrt(sum);
}

}  // namespace

absl::Status PosteriorJob::Advance() {
  BIF_RETURN_IF_ERROR(CheckTimeForADraw());
  const uint64_t target = StepOfDraw(record_.draws_committed() + segment_->draws());
  if (chains_->step() < target) BIF_RETURN_IF_ERROR(AdvanceChains(target - chains_->step()));
  return chains_->step() < target ? absl::OkStatus() : EncodeDraw();
}

// The weights are quantised first, and all that follows sees them as they are stored.
absl::Status PosteriorJob::EncodeDraw() {
  tracing_.clear();
  const std::vector<uint32_t> active = ActiveChains(record_);
  deltas_.resize(active.size());
  std::vector<float> exact(moving_.elements);
  for (const uint32_t c : active) {
    BIF_RETURN_IF_ERROR(chains_->ReadDelta(c, absl::MakeSpan(exact)));
    absl::StatusOr<std::string> payload = engine::EncodeDraw(settings_.draw_codec, exact);
    if (!payload.ok()) {
      MarkDiverged(c, std::string(payload.status().message()));
      continue;
    }
    std::vector<float>& stored = deltas_[tracing_.size()];
    stored.resize(exact.size());
    BIF_RETURN_IF_ERROR(engine::DecodeDraw(settings_.draw_codec, *payload, absl::MakeSpan(stored)));
    segment_->chain(c).draws.push_back(
        {static_cast<uint8_t>(settings_.draw_codec), exact.size(), *std::move(payload)});
    tracing_.push_back(c);
  }
  deltas_.resize(tracing_.size());
  traced_rows_ = 0;
  stage_ = Stage::kTrace;
  return tracing_.empty() ? FinishDraw() : absl::OkStatus();
}

absl::Status PosteriorJob::Trace() {
  const absl::Time start = context_.clock.Now();
  const int64_t rows = train_.rows->rows();
  const std::vector<absl::Span<const float>> deltas(deltas_.begin(), deltas_.end());
  BIF_ASSIGN_OR_RETURN(const int64_t count, ObserveRows(deltas, 0));
  for (size_t i = 0; i < tracing_.size(); ++i) {
    const absl::Span<float> row = segment_->Traces(tracing_[i], segment_->draws());
    std::copy_n(values_.begin() + i * count, count, row.begin() + traced_rows_);
  }
  traced_rows_ += count;
  const absl::Duration time = context_.clock.Now() - start;
  sampling_time_ += time;
  const int64_t observed = count * static_cast<int64_t>(tracing_.size());
  context_.speeds.AddForwards(record_.checkpoint(), observed, time);
  context_.counters.training_rows_observed += observed;
  return traced_rows_ < rows ? absl::OkStatus() : FinishDraw();
}

// Beyond it, a chain has left the basin that it was to describe, though its numbers are finite
// still. For classifiers and language models ten times the loss of guessing; elsewhere there is no
// such scale, so only what is off by orders of magnitude counts.
double PosteriorJob::DivergenceLimit() const {
  const double anchor = record_.anchor_loss();
  const engine::ProgramSource& program = sources_.program_source;
  const bool mean_of_tokens = program.loss == engine::LossKind::kNextToken &&
                              program.sequence.reduction == engine::TokenReduction::kMean;
  if ((program.loss == engine::LossKind::kCrossEntropy || mean_of_tokens) &&
      sources_.info.classes > 1) {
    return 10 * std::max(anchor, std::log(static_cast<double>(sources_.info.classes)));
  }
  return anchor + 1000 * (1 + std::abs(anchor));
}

absl::Status PosteriorJob::FinishDraw() {
  for (size_t i = 0; i < tracing_.size(); ++i) {
    const uint32_t c = tracing_[i];
    Segment::Chain& chain = segment_->chain(c);
    const double mean = Mean(segment_->Traces(c, segment_->draws()));
    if (!std::isfinite(mean) || mean > DivergenceLimit()) {
      MarkDiverged(
          c, absl::StrCat("the mean training loss was ", mean, " after step ", chains_->step(),
                          ", from ", record_.anchor_loss(), " at the checkpoint"));
      chain.draws.pop_back();
      continue;
    }
    chain.sampling_loss.push_back(
        static_cast<float>(loss_sums_[c] / static_cast<double>(loss_steps_)));
    chain.distance.push_back(static_cast<float>(Norm(deltas_[i])));
    chain.mean_trace_loss.push_back(static_cast<float>(mean));
  }
  std::fill(loss_sums_.begin(), loss_sums_.end(), 0);
  loss_steps_ = 0;
  stage_ = Stage::kAdvance;
  const bool all_diverged = ActiveChains(record_).empty();
  if (!all_diverged) segment_->FinishDraw();
  Report("sampling");

  const bool reached = record_.draws_committed() + segment_->draws() >= record_.draws_target();
  const bool full = segment_->draws() == segment_->max_draws() ||
                    context_.clock.Now() - segment_start_ >= context_.options.segment_time ||
                    IsLookDueAt(record_.draws_committed() + segment_->draws());
  if (reached || full || all_diverged) CloseSegment();
  return absl::OkStatus();
}

absl::Status PosteriorJob::Carry() {
  if (carried_ == nullptr) {
    carried_ = std::make_unique<CarriedRows>(context_, *traces_, record_, *segment_, *train_.model,
                                             moving_, plan_);
  }
  const absl::Time start = context_.clock.Now();
  BIF_ASSIGN_OR_RETURN(const bool done, carried_->Step());
  sampling_time_ += context_.clock.Now() - start;
  if (!done) {
    Report("tracing");
    return absl::OkStatus();
  }
  BIF_RETURN_IF_ERROR(CommitSegmentNow());
  Report("sampling");  // with the effective draws of what has been committed
  if (ActiveChains(record_).empty()) return AllDiverged();
  stage_ = AfterCommit();
  return absl::OkStatus();
}

absl::Status PosteriorJob::TraceTokens() {
  if (tokens_ == nullptr) {
    chains_.reset();  // their memory is for the tokens now
    BIF_ASSIGN_OR_RETURN(const auto dataset,
                         context_.store.catalog().Get<storage::pb::DatasetRecord>(
                             storage::DatasetKey(record_.dataset())));
    BIF_ASSIGN_OR_RETURN(traces_, context_.traces.Get(record_.number(), record_.draws_committed()));
    tokens_ = std::make_unique<RowTracer>(
        RowTracer::Parts{context_.store, context_.models, stored_draws_, context_.counters},
        StoredView(), traces_, dataset.number(), Posteriors::TrainingOrdinals(record_),
        /*tokens=*/true);
  }
  BIF_ASSIGN_OR_RETURN(const bool done, tokens_->Step(*operation_));
  Report("tokens");
  if (done) stage_ = Stage::kDone;
  return absl::OkStatus();
}

}  // namespace bif::jobs
