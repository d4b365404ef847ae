#include "src/jobs/tangent_replay.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "src/base/status.h"
#include "src/jobs/samples.h"

namespace bif::jobs {

TangentReplay::TangentReplay(const ReplayContext& context, const Stretch& stretch)
    : context_(context),
      stretch_(stretch),
      lost_(static_cast<size_t>(context.queries.rows)),
      riding_(lost_.size()) {
  std::iota(riding_.begin(), riding_.end(), 0);
}

uint64_t TangentReplay::at() const {
  return tangents_ != nullptr ? tangents_->step() : stretch_.from_step;
}

void TangentReplay::LoseAll(const std::string& reason) {
  for (const size_t q : riding_) lost_[q] = reason;
  riding_.clear();
  tangents_.reset();
  queries_.reset();
}

absl::StatusOr<engine::ChainSnapshot> TangentReplay::ReadSnapshot() {
  const PosteriorView& view = context_.view;
  if (stretch_.from_step == 0) {
    BIF_ASSIGN_OR_RETURN(const auto chains, context_.train.model->StartChains(
                                                view.settings, view.moving, view.plan,
                                                *context_.train.rows, stretch_.chain, 1, {}));
    return chains->Snapshot(0);
  }
  for (const auto& chain : view.record.chains()) {
    if (chain.index() != stretch_.chain) continue;
    for (const auto& record : chain.states()) {
      if (record.step() != stretch_.from_step) continue;
      BIF_ASSIGN_OR_RETURN(storage::DrawStore::State state,
                           context_.store.draws().ReadState(view.record.number(), record));
      return engine::ChainSnapshot{stretch_.chain, state.step, std::move(state.weights),
                                   std::move(state.second_moments)};
    }
  }
  return absl::NotFoundError(
      absl::StrCat("chain ", stretch_.chain, " has no state at step ", stretch_.from_step));
}

absl::Status TangentReplay::Begin() {
  absl::StatusOr<engine::ChainSnapshot> from = ReadSnapshot();
  if (absl::IsNotFound(from.status()) || absl::IsDataLoss(from.status())) {
    LoseAll(absl::StrCat("its chain state cannot be read: ", from.status().message()));
    return absl::OkStatus();
  }
  BIF_RETURN_IF_ERROR(from.status());
  tangents_.reset();
  BIF_ASSIGN_OR_RETURN(queries_,
                       context_.train.model->Upload(SelectRows(context_.queries, riding_)));
  BIF_ASSIGN_OR_RETURN(tangents_, context_.train.model->StartTangents(
                                      context_.view.settings, context_.view.moving,
                                      context_.view.plan, context_.plan, *context_.train.rows,
                                      *from, *queries_, context_.observable, {}));
  return absl::OkStatus();
}

absl::StatusOr<bool> TangentReplay::Advance(uint64_t step) {
  if (over()) return true;
  if (tangents_ == nullptr) {
    BIF_RETURN_IF_ERROR(Begin());
    if (over()) return true;
  }
  const uint64_t before = tangents_->step();
  if (before >= step) return true;
  const uint64_t steps = std::min(step - before, static_cast<uint64_t>(steps_at_once_.amount()));
  const absl::Time start = absl::Now();
  BIF_ASSIGN_OR_RETURN(const engine::TangentReport report, tangents_->Advance(steps));
  steps_at_once_.Took(absl::Now() - start);
  passes_ +=
      static_cast<double>(tangents_->step() - before) *
      CostOfReplay(context_.view.settings.batch_size, static_cast<int64_t>(riding_.size())).step;
  if (!report.diverged) return tangents_->step() >= step;
  if (report.query < 0 || report.query >= static_cast<int64_t>(riding_.size())) {
    LoseAll(report.reason);
    return true;
  }
  const auto lost = riding_.begin() + report.query;
  lost_[*lost] = report.reason;
  riding_.erase(lost);
  if (riding_.empty()) {
    LoseAll(report.reason);
    return true;
  }
  BIF_RETURN_IF_ERROR(Begin());
  return over();
}

absl::StatusOr<absl::Span<const float>> TangentReplay::Slopes(const engine::ResidentRows& rows,
                                                              int64_t first_row,
                                                              int64_t row_count) {
  taken_.resize(riding_.size() * static_cast<size_t>(row_count));
  BIF_RETURN_IF_ERROR(tangents_->Slopes(rows, first_row, row_count, absl::MakeSpan(taken_)));
  passes_ +=
      static_cast<double>(row_count) *
      CostOfReplay(context_.view.settings.batch_size, static_cast<int64_t>(riding_.size())).row;
  return absl::MakeConstSpan(taken_);
}

}  // namespace bif::jobs
