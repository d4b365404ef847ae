#include "src/jobs/target_check.h"

#include <algorithm>
#include <numeric>

#include "src/attribution/convergence.h"
#include "src/base/status.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/stopping.h"
#include "src/jobs/trace_arrays.h"
#include "src/jobs/trace_cache.h"

namespace bif::jobs {
namespace {

constexpr size_t kRowsAtOnce = storage::kTileSlots;

std::vector<SlotRun> RunsOf(absl::Span<const uint32_t> slots) {
  std::vector<SlotRun> runs;
  for (const uint32_t slot : slots) {
    if (!runs.empty() && runs.back().first_slot + runs.back().slots == slot) {
      ++runs.back().slots;
    } else {
      runs.push_back({slot, 1});
    }
  }
  return runs;
}

}  // namespace

absl::StatusOr<TargetCheck> TargetCheck::Open(storage::Store& store,
                                              const storage::pb::PosteriorRecord& record,
                                              const PosteriorTraces& traces) {
  TargetCheck check(store, record);
  check.target_ = FromRecord(record.stop()).target.target;
  check.chains_ = ActiveChains(record);
  const auto chains = static_cast<int64_t>(check.chains_.size());
  const uint32_t draws = record.draws_committed();
  if (chains == 0) return absl::FailedPreconditionError("every chain diverged");
  BIF_ASSIGN_OR_RETURN(const auto dataset, store.catalog().Get<storage::pb::DatasetRecord>(
                                               storage::DatasetKey(record.dataset())));
  check.training_ = dataset.number();
  check.layout_ = attribution::MakeLayout(
      chains, draws, attribution::AutocorrelationTime(chains, draws, SamplingLosses(record)));
  BIF_RETURN_IF_ERROR(check.FindPilot(traces, dataset.number()));

  // A top k is one of all training rows; a standard error is as well seen in some of them.
  const int64_t rows = TrainingRowCount(record);
  if (check.target_.kind == attribution::TargetKind::kStability) {
    check.slots_.resize(rows);
    std::iota(check.slots_.begin(), check.slots_.end(), 0u);
  } else {
    check.slots_ = RandomSlots(rows, kPilotRows);
  }
  BIF_ASSIGN_OR_RETURN(const std::vector<float> queries, check.ReadPilot());
  absl::StatusOr<attribution::Scorer> scorer =
      attribution::Scorer::Create(check.layout_, attribution::Estimator::kNormalizedBif,
                                  attribution::Centring::kPooled, queries);
  if (!scorer.ok()) return absl::FailedPreconditionError(scorer.status().message());
  check.scorer_ = *std::move(scorer);
  check.scores_.resize(check.slots_.size() * check.pilot_.size());
  return check;
}

absl::Status TargetCheck::FindPilot(const PosteriorTraces& traces, uint32_t training_dataset) {
  const storage::pb::SamplingTarget& target = record_.stop().target();
  if (target.pilot_ordinals().empty()) {
    for (const uint32_t slot : RandomSlots(TrainingRowCount(record_), kDefaultPilotQueries))
      pilot_.push_back({training_dataset, slot});
    return absl::OkStatus();
  }
  BIF_ASSIGN_OR_RETURN(const auto dataset, store_.catalog().Get<storage::pb::DatasetRecord>(
                                               storage::DatasetKey(target.pilot_dataset())));
  const std::vector<uint32_t> ordinals(target.pilot_ordinals().begin(),
                                       target.pilot_ordinals().end());
  // A sample that was deleted since has no trace at the newest draws, and no say.
  for (const TracedRow& row : traces.index().Find(kLossArray, dataset.number(), ordinals)) {
    if (row.draws >= record_.draws_committed()) pilot_.push_back({dataset.number(), row.slot});
  }
  if (pilot_.empty()) return absl::FailedPreconditionError("no pilot query is left");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> TargetCheck::ReadPilot() const {
  const int64_t stride = layout_.values();
  std::vector<float> traces(pilot_.size() * stride);
  for (size_t q = 0; q < pilot_.size(); ++q) {
    const std::vector<SlotRun> run{{pilot_[q].slot, 1}};
    BIF_RETURN_IF_ERROR(ReadRows(store_.traces(), {record_.number(), kLossArray, pilot_[q].dataset},
                                 chains_, record_.draws_committed(), run,
                                 absl::MakeSpan(traces).subspan(q * stride, stride)));
  }
  return traces;
}

absl::StatusOr<bool> TargetCheck::Step() {
  const size_t count = std::min(kRowsAtOnce, slots_.size() - done_);
  const absl::Span<const uint32_t> slots = absl::MakeConstSpan(slots_).subspan(done_, count);
  values_.resize(count * layout_.values());
  BIF_RETURN_IF_ERROR(ReadRows(store_.traces(), {record_.number(), kLossArray, training_}, chains_,
                               record_.draws_committed(), RunsOf(slots), absl::MakeSpan(values_)));
  const size_t queries = pilot_.size();
  scorer_->Score(values_, absl::MakeSpan(scores_).subspan(done_ * queries, count * queries));
  for (size_t i = 0; i < count; ++i) {
    for (size_t q = 0; q < queries; ++q) {
      if (pilot_[q].dataset == training_ && pilot_[q].slot == slots[i])
        scores_[(done_ + i) * queries + q] = {.constant = true};
    }
  }
  done_ += count;
  return done_ == slots_.size();
}

absl::StatusOr<attribution::PilotReport> TargetCheck::Report() const {
  return attribution::MeasurePilotScores(layout_, scorer_->blocks(), scorer_->t_quantile(), scores_,
                                         static_cast<int64_t>(pilot_.size()), target_);
}

}  // namespace bif::jobs
