#include "src/jobs/tangent_session.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "src/base/status.h"
#include "src/jobs/posterior_record.h"

namespace bif::jobs {
namespace {

constexpr size_t kMostRowsAChunk = 4096;
constexpr size_t kChunkBytes = size_t{64} << 20;  // of samples, read and uploaded at once

size_t BytesOf(const SampleBatch& samples) {
  size_t bytes = 0;
  for (const Column& column : samples.columns) bytes += column.data.size();
  return bytes;
}

// Laps over groups of stretches that are open together.
std::vector<uint32_t> OrderOf(const StretchPlan& plan, size_t most_open,
                              std::vector<uint32_t>& last_group) {
  std::vector<uint32_t> order;
  const size_t all = plan.stretches.size();
  for (size_t begin = 0; begin < all; begin += most_open) {
    const size_t end = std::min(all, begin + most_open);
    bool more = true;
    for (int64_t lap = 0; more; ++lap) {
      more = false;
      for (size_t s = begin; s < end; ++s) {
        if (lap >= plan.stretches[s].draws) continue;
        order.push_back(static_cast<uint32_t>(s));
        more = true;
      }
    }
    last_group.clear();
    for (size_t s = begin; s < end; ++s) last_group.push_back(static_cast<uint32_t>(s));
  }
  return order;
}

bool AreAllTrainingRows(const Candidates& candidates, const PosteriorView& view) {
  return candidates.by_training_job &&
         static_cast<int64_t>(candidates.rows.size()) == TrainingRowCount(view.record);
}

}  // namespace

TangentSession::TangentSession(const Parts& parts, TangentQuestion question)
    : parts_(parts),
      question_(std::move(question)),
      all_training_(AreAllTrainingRows(question_.candidates, question_.view)),
      lost_(static_cast<size_t>(question_.queries.rows),
            std::vector<bool>(question_.plan.stretches.size())),
      order_(OrderOf(question_.plan, std::max<size_t>(1, question_.most_open), group_)),
      taken_(question_.plan.stretches.size()),
      replays_(question_.plan.stretches.size()) {}

TangentSession::~TangentSession() = default;

absl::Status TangentSession::Load() {
  BIF_ASSIGN_OR_RETURN(ModelCache::TrainingRows train,
                       parts_.models.GetTrainingRows(question_.view.record));
  BIF_ASSIGN_OR_RETURN(derivatives_, parts_.plans.Get(question_.view, *train.model, *train.rows));
  context_ = std::make_unique<ReplayContext>(ReplayContext{parts_.store, question_.view,
                                                           question_.observable, question_.queries,
                                                           std::move(train), derivatives_});
  return absl::OkStatus();
}

absl::StatusOr<bool> TangentSession::UploadRows(const SlopeRound& round) {
  const std::vector<TracedRow>& candidates = question_.candidates.rows;
  if (uploaded_ != round.rows) {
    chunks_.clear();
    uploaded_ = round.rows;
    uploaded_rows_ = 0;
    upload_order_.clear();
    if (all_training_ && round.rows.size() == candidates.size()) {
      chunks_.push_back({context_->train.rows, {}, static_cast<int64_t>(candidates.size())});
      uploaded_rows_ = candidates.size();
    } else {
      for (size_t i = 0; i < round.rows.size(); ++i)
        upload_order_.emplace_back(candidates[round.rows[i]].ordinal, i);
      std::sort(upload_order_.begin(), upload_order_.end());  // as the store wants them
    }
  }
  if (uploaded_rows_ == round.rows.size()) return true;
  const size_t end = std::min(uploaded_rows_ + rows_a_chunk_, upload_order_.size());
  Chunk chunk;
  std::vector<uint32_t> ordinals;
  for (size_t i = uploaded_rows_; i < end; ++i) {
    ordinals.push_back(upload_order_[i].first);
    chunk.positions.push_back(upload_order_[i].second);
  }
  chunk.count = static_cast<int64_t>(ordinals.size());
  BIF_ASSIGN_OR_RETURN(const SampleBatch samples,
                       parts_.store.samples().Read(question_.candidates.dataset, ordinals));
  BIF_ASSIGN_OR_RETURN(std::unique_ptr<engine::ResidentRows> rows,
                       context_->train.model->Upload(samples));
  chunk.rows = std::move(rows);
  const size_t row_bytes = std::max<size_t>(1, BytesOf(samples) / ordinals.size());
  rows_a_chunk_ = std::clamp<size_t>(kChunkBytes / row_bytes, 1, kMostRowsAChunk);
  chunks_.push_back(std::move(chunk));
  uploaded_rows_ = end;
  return uploaded_rows_ == round.rows.size();
}

int64_t TangentSession::NextStretch(size_t most_stretches) {
  const auto is_over = [&](size_t s) { return replays_[s] != nullptr && replays_[s]->over(); };
  const auto gives_draws = [&](uint32_t s) {
    if (is_over(s)) return false;
    size_t ahead = 0;
    for (size_t other = 0; other < s; ++other) ahead += is_over(other) ? 0 : 1;
    return ahead < most_stretches;
  };
  for (; next_ < order_.size(); ++next_) {
    if (gives_draws(order_[next_])) return order_[next_];
  }
  for (size_t tried = 0; tried < group_.size(); ++tried, ++next_) {
    const uint32_t s = group_[(next_ - order_.size()) % group_.size()];
    if (gives_draws(s)) return s;
  }
  return -1;
}

TangentReplay& TangentSession::OpenReplay(size_t stretch) {
  if (replays_[stretch] != nullptr) return *replays_[stretch];
  // Those of another group are done, and make room.
  const size_t most_open = std::max<size_t>(1, question_.most_open);
  for (size_t other = 0; other < replays_.size(); ++other) {
    if (other / most_open != stretch / most_open) replays_[other].reset();
  }
  replays_[stretch] = std::make_unique<TangentReplay>(*context_, question_.plan.stretches[stretch]);
  return *replays_[stretch];
}

void TangentSession::NoteLost(size_t stretch) {
  const std::vector<std::string>& reasons = replays_[stretch]->lost();
  const Stretch& what = question_.plan.stretches[stretch];
  const bool all = replays_[stretch]->over() && reasons.size() > 1 &&
                   std::all_of(reasons.begin(), reasons.end(),
                               [&](const std::string& reason) { return reason == reasons[0]; });
  for (size_t q = 0; q < reasons.size(); ++q) {
    if (reasons[q].empty() || lost_[q][stretch]) continue;
    lost_[q][stretch] = true;
    if (all && q > 0) continue;
    StretchLeftOut left{what.chain, what.from_step, static_cast<uint32_t>(q), reasons[q]};
    if (all) left.query.reset();
    left_out_.push_back(std::move(left));
  }
}

double TangentSession::CostOfDraw(const TangentReplay& replay, uint64_t at, size_t rows) const {
  const ReplayCost cost = CostOfReplay(question_.view.settings.batch_size,
                                       static_cast<int64_t>(replay.riding().size()));
  return static_cast<double>(at - std::min(at, replay.at())) * cost.step +
         static_cast<double>(rows) * cost.row;
}

absl::Status TangentSession::TakeSlopes(SlopeRound& round, TangentReplay& replay) {
  const Chunk& chunk = chunks_[chunk_];
  const int64_t count = std::min(rows_at_once_.amount(), chunk.count - chunk_row_);
  const absl::Time start = absl::Now();
  BIF_ASSIGN_OR_RETURN(const absl::Span<const float> slopes,
                       replay.Slopes(*chunk.rows, chunk_row_, count));
  rows_at_once_.Took(absl::Now() - start);
  const float* from = slopes.data();
  const auto draw = static_cast<int64_t>(round.stretches.size());
  for (const size_t q : replay.riding()) {
    for (int64_t r = chunk_row_; r < chunk_row_ + count; ++r) {
      const auto row = chunk.positions.empty() ? static_cast<size_t>(r) : chunk.positions[r];
      round.slopes[(q * round.rows.size() + row) * static_cast<size_t>(round.most_draws) +
                   static_cast<size_t>(draw)] = *from++;
    }
  }
  chunk_row_ += count;
  if (chunk_row_ < chunk.count) return absl::OkStatus();
  chunk_row_ = 0;
  ++chunk_;
  return absl::OkStatus();
}

absl::StatusOr<bool> TangentSession::Step(const RoundWish& wish) {
  SlopeRound& round = *wish.round;
  if (context_ == nullptr) {
    BIF_RETURN_IF_ERROR(Load());
    return false;
  }
  if (round_ != &round) {
    // A draw that the last round dropped is this one's, from its first row on.
    round_ = &round;
    round_passes_ = 0;
    chunk_ = 0;
    chunk_row_ = 0;
  }
  if (parts_.clock.Now() >= wish.deadline) return true;
  BIF_ASSIGN_OR_RETURN(const bool uploaded, UploadRows(round));
  if (!uploaded) return false;
  if (current_ < 0) current_ = NextStretch(wish.most_stretches);
  if (current_ < 0) return true;
  const auto s = static_cast<size_t>(current_);
  TangentReplay& replay = OpenReplay(s);
  const uint64_t at =
      question_.plan.stretches[s].first_slope + taken_[s] * question_.plan.steps_between_slopes;
  const bool begins_rows = chunk_ == 0 && chunk_row_ == 0;
  if (wish.most_passes > 0 && begins_rows &&
      round_passes_ + CostOfDraw(replay, at, round.rows.size()) > wish.most_passes) {
    return true;
  }
  const double before = replay.passes();
  BIF_ASSIGN_OR_RETURN(const bool there, replay.Advance(at));
  NoteLost(s);
  if (there && !replay.over()) BIF_RETURN_IF_ERROR(TakeSlopes(round, replay));
  passes_ += replay.passes() - before;
  round_passes_ += replay.passes() - before;
  if (replay.over()) {
    current_ = -1;
    return false;
  }
  if (!there || chunk_ < chunks_.size()) return false;
  round.stretches.push_back(static_cast<uint32_t>(s));
  ++taken_[s];
  ++next_;
  current_ = -1;
  chunk_ = 0;
  chunk_row_ = 0;
  return static_cast<int64_t>(round.stretches.size()) == round.most_draws;
}

}  // namespace bif::jobs
