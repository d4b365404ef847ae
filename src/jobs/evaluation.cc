#include "src/jobs/evaluation.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/half.h"
#include "src/base/status.h"
#include "src/jobs/observable_checks.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/samples.h"

namespace bif::jobs {
namespace {

// A slice is what an interactive query or a sampling step has to wait for: tens of milliseconds.
constexpr absl::Duration kQuickSlice = absl::Milliseconds(10);
constexpr absl::Duration kSlowSlice = absl::Milliseconds(40);
constexpr size_t kLargestSlice = 64;              // draws
constexpr size_t kSliceBytes = size_t{64} << 20;  // decoded draws held at once

// Damage that one draw may have, and the others not.
bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsNotFound(status);
}

}  // namespace

EvaluatedRows::EvaluatedRows(const std::vector<uint32_t>& traces, size_t chains, uint32_t draws)
    : chains_(chains), draws_(draws), first_trace_(traces.size() + 1) {
  std::partial_sum(traces.begin(), traces.end(), first_trace_.begin() + 1);
  anchor_.assign(first_trace_.back(), std::numeric_limits<float>::quiet_NaN());
  values_.assign(first_trace_.back() * stride(), std::numeric_limits<float>::quiet_NaN());
}

void EvaluatedRows::Report(const State& state) {
  absl::MutexLock lock(&mutex_);
  if (!state_.finished) state_ = state;
}

EvaluatedRows::State EvaluatedRows::Wait(uint32_t draws, absl::Duration timeout) const {
  absl::MutexLock lock(&mutex_);
  const auto ready = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return state_.finished || state_.draws_done >= draws;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&ready), timeout);
  return state_;
}

Evaluation::Evaluation(EvaluationSpec spec, std::shared_ptr<EvaluatedRows> result,
                       ModelCache& models, DrawReader& draws, Counters& counters)
    : spec_(std::move(spec)),
      result_(std::move(result)),
      models_(models),
      draws_(draws),
      counters_(counters) {
  uint32_t first = spec_.view.draws;
  for (const EvaluationGroup& group : spec_.groups) first = std::min(first, group.first_draw);
  position_ = first * spec_.view.active_chains.size();
}

uint32_t Evaluation::draws_done() const {
  return static_cast<uint32_t>(position_ / std::max<size_t>(1, spec_.view.active_chains.size()));
}

absl::Status Evaluation::Start() {
  draws_.Prefetch(Places(position_, position_ + slice_), spec_.view.moving.elements);
  BIF_ASSIGN_OR_RETURN(model_, models_.GetModel(spec_.view.record.checkpoint()));
  const absl::Span<const float> anchor;  // an empty delta stands for w*
  for (size_t g = 0; g < spec_.groups.size(); ++g) {
    BIF_RETURN_IF_ERROR(Upload(spec_.groups[g]));
    BIF_RETURN_IF_ERROR(Observe(g, {&anchor, 1}));
    auto from = observed_.begin();
    for (const size_t row : spec_.groups[g].rows) {
      const absl::Span<float> to = result_->anchor(row);
      std::copy_n(from, to.size(), to.begin());
      from += static_cast<int64_t>(to.size());
    }
  }
  return absl::OkStatus();
}

absl::Status Evaluation::Upload(EvaluationGroup& group) {
  auto resident = model_->Upload(group.samples);
  if (resident.ok()) {
    BIF_RETURN_IF_ERROR(CheckSequences(group, **resident));
    resident_.push_back(*std::move(resident));
    return absl::OkStatus();
  }
  if (!absl::IsInvalidArgument(resident.status())) return resident.status();
  // Which one was it? One by one, to name the request's own field.
  for (size_t r = 0; r < group.rows.size(); ++r) {
    const auto alone = model_->Upload(SelectRows(group.samples, {&r, 1}));
    if (!alone.ok())
      return FieldError(spec_.field_of_row(group.rows[r]), std::string(alone.status().message()));
  }
  return resident.status();
}

absl::Status Evaluation::CheckSequences(const EvaluationGroup& group,
                                        const engine::ResidentRows& resident) {
  for (size_t r = 0; r < group.rows.size(); ++r) {
    const int64_t losses = resident.token_losses(static_cast<int64_t>(r));
    BIF_RETURN_IF_ERROR(
        CheckPositions(spec_.observable, losses + 1, spec_.field_of_row(group.rows[r])));
    if (spec_.observable.kind == engine::ObservableKind::kTokenLosses &&
        losses != static_cast<int64_t>(result_->traces(group.rows[r]))) {
      return absl::InternalError(absl::StrCat(spec_.field_of_row(group.rows[r]), " has ", losses,
                                              " losses of tokens on the device and ",
                                              result_->traces(group.rows[r]), " in the jobs"));
    }
  }
  return absl::OkStatus();
}

size_t Evaluation::TracesOf(const EvaluationGroup& group) const {
  size_t traces = 0;
  for (const size_t row : group.rows) traces += result_->traces(row);
  return traces;
}

absl::Status Evaluation::Observe(size_t g, absl::Span<const absl::Span<const float>> deltas) {
  const EvaluationGroup& group = spec_.groups[g];
  observed_.resize(deltas.size() * TracesOf(group));
  BIF_RETURN_IF_ERROR(model_->Observe(spec_.view.moving, deltas, *resident_[g], 0,
                                      static_cast<int64_t>(group.rows.size()), spec_.observable,
                                      spec_.view.plan, absl::MakeSpan(observed_)));
  if (spec_.observable.kind == engine::ObservableKind::kTokenLosses &&
      TokenTraceTypeOf(spec_.view.record) == storage::TraceType::kFloat16) {
    for (float& value : observed_) value = RoundToHalf(value);
  }
  return absl::OkStatus();
}

std::vector<DrawPlace> Evaluation::Places(size_t begin, size_t end) const {
  const std::vector<uint32_t>& chains = spec_.view.active_chains;
  std::vector<DrawPlace> places;
  for (size_t k = begin; k < std::min(end, chains.size() * spec_.view.draws); ++k) {
    places.push_back({spec_.view.record.number(), chains[k % chains.size()],
                      static_cast<uint32_t>(k / chains.size())});
  }
  return places;
}

absl::StatusOr<bool> Evaluation::Slice() {
  const absl::Time start = absl::Now();
  const size_t total = spec_.view.active_chains.size() * spec_.view.draws;
  const size_t delta_bytes =
      std::max<size_t>(1, static_cast<size_t>(spec_.view.moving.elements) * sizeof(float));
  slice_ = std::max<size_t>(1, std::min(slice_, kSliceBytes / delta_bytes));

  const std::vector<DrawPlace> places = Places(position_, position_ + slice_);
  std::vector<DrawReader::Delta> deltas;
  for (const DrawPlace& place : places) {
    absl::StatusOr<DrawReader::Delta> delta = draws_.Read(place, spec_.view.moving.elements);
    if (!delta.ok() && !IsDamage(delta.status())) return delta.status();
    deltas.push_back(delta.ok() ? *delta : nullptr);
  }
  draws_.Prefetch(Places(position_ + places.size(), position_ + 2 * places.size()),
                  spec_.view.moving.elements);
  for (size_t g = 0; g < spec_.groups.size(); ++g)
    BIF_RETURN_IF_ERROR(EvaluateGroup(g, position_, deltas));
  position_ += places.size();

  const absl::Duration took = absl::Now() - start;
  if (took < kQuickSlice) slice_ = std::min(2 * slice_, kLargestSlice);
  if (took > kSlowSlice) slice_ = std::max<size_t>(1, slice_ / 2);
  return position_ >= total;
}

absl::Status Evaluation::EvaluateGroup(size_t g, size_t begin,
                                       const std::vector<DrawReader::Delta>& deltas) {
  const EvaluationGroup& group = spec_.groups[g];
  const size_t chains = spec_.view.active_chains.size();
  std::vector<absl::Span<const float>> wanted;
  std::vector<size_t> columns;  // of the result
  for (size_t i = 0; i < deltas.size(); ++i) {
    const size_t t = (begin + i) / chains;
    if (deltas[i] == nullptr || t < group.first_draw) continue;
    wanted.push_back(*deltas[i]);
    columns.push_back((begin + i) % chains * spec_.view.draws + t);
  }
  if (wanted.empty()) return absl::OkStatus();
  const size_t traces = TracesOf(group);
  BIF_RETURN_IF_ERROR(Observe(g, wanted));
  const float* from = observed_.data();  // of the first draw
  for (const size_t row : group.rows) {
    const absl::Span<float> to = result_->row(row);
    for (size_t t = 0; t < result_->traces(row); ++t, ++from) {
      for (size_t d = 0; d < columns.size(); ++d)
        to[t * result_->stride() + columns[d]] = from[d * traces];
    }
  }
  counters_.query_rows_observed += wanted.size() * group.rows.size();
  return absl::OkStatus();
}

namespace {

class EvaluationTask : public DeviceTask {
 public:
  EvaluationTask(EvaluationSpec spec, std::shared_ptr<EvaluatedRows> result,
                 const CancelToken& cancel, ModelCache& models, DrawReader& draws,
                 Counters& counters)
      : result_(result),
        cancel_(cancel),
        evaluation_(std::move(spec), std::move(result), models, draws, counters) {}

  Outcome Step() override {
    if (cancel_.cancelled()) return End(absl::CancelledError("the query was cancelled"));
    if (!started_) {
      started_ = true;
      const absl::Status status = evaluation_.Start();
      return status.ok() ? Outcome::kMore : End(status);
    }
    const absl::StatusOr<bool> done = evaluation_.Slice();
    if (!done.ok()) return End(done.status());
    if (*done) return End(absl::OkStatus());
    result_->Report({evaluation_.draws_done(), false, absl::OkStatus()});
    return Outcome::kMore;
  }

  void Abandon(const absl::Status& why) override { End(why); }

 private:
  Outcome End(const absl::Status& status) {
    result_->Report({evaluation_.draws_done(), true, status});
    return Outcome::kDone;
  }

  std::shared_ptr<EvaluatedRows> result_;
  CancelToken cancel_;
  Evaluation evaluation_;
  bool started_ = false;
};

}  // namespace

std::unique_ptr<DeviceTask> MakeEvaluationTask(EvaluationSpec spec,
                                               std::shared_ptr<EvaluatedRows> result,
                                               const CancelToken& cancel, ModelCache& models,
                                               DrawReader& draws, Counters& counters) {
  return std::make_unique<EvaluationTask>(std::move(spec), std::move(result), cancel, models, draws,
                                          counters);
}

}  // namespace bif::jobs
