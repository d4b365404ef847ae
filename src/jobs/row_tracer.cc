#include "src/jobs/row_tracer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/trace_arrays.h"

namespace bif::jobs {
namespace {

constexpr size_t kChunkBytes = size_t{32} << 20;  // traces held until their commit
constexpr size_t kLargestChunk = 4096;            // rows; the samples are held too
constexpr size_t kLargestTokenChunk = 64;         // rows: each has many traces

std::string NameOf(uint32_t ordinal) {
  return absl::StrCat("sample_ids (row ", ordinal, " of the dataset)");
}

}  // namespace

RowTracer::RowTracer(const Parts& parts, PosteriorView view,
                     std::shared_ptr<PosteriorTraces> traces, uint32_t dataset_number,
                     std::vector<uint32_t> ordinals, bool tokens)
    : parts_(parts),
      view_(std::move(view)),
      traces_(std::move(traces)),
      dataset_(dataset_number),
      ordinals_(std::move(ordinals)),
      tokens_(tokens) {
  std::sort(ordinals_.begin(), ordinals_.end());
  ordinals_.erase(std::unique(ordinals_.begin(), ordinals_.end()), ordinals_.end());
  for (const TracedRow& row : traces_->index().Find(array(), dataset_, ordinals_)) {
    if (row.draws >= view_.draws) ++already_there_;
  }
}

uint32_t RowTracer::array() const { return tokens_ ? kTokenLossArray : kLossArray; }

engine::Observable RowTracer::observable() const {
  return {tokens_ ? engine::ObservableKind::kTokenLosses : engine::ObservableKind::kLoss};
}

void RowTracer::Grow(PosteriorView view) {
  view_ = std::move(view);
  next_ = 0;
}

absl::StatusOr<bool> RowTracer::Step(const RunningOperation& operation) {
  if (!scan_) {
    BIF_ASSIGN_OR_RETURN(const bool any, NextChunk());
    return !any;
  }
  if (!scan_->empty()) scan_->Slice();
  if (!scan_->empty()) return false;
  BIF_RETURN_IF_ERROR(values_->Wait(0, absl::ZeroDuration()).status);
  // Losses first: after a crash in between, the tokens are evaluated again, and that is all.
  if (tokens_) BIF_RETURN_IF_ERROR(KeepSequenceLosses());
  storage::WriteSet writes;
  operation.AddTo(writes);
  BIF_RETURN_IF_ERROR(traces_->Keep(parts_.store, view_, observable(), dataset_, chunk_, *values_,
                                    true, std::move(writes)));
  parts_.counters.query_rows_traced += chunk_.size();
  traced_ += static_cast<int64_t>(chunk_.size());
  scan_.reset();
  return false;
}

// Chunks done count in proportion to their rows.
double RowTracer::share_done() const {
  const double rows = static_cast<double>(std::max<size_t>(1, ordinals_.size()));
  const double done = static_cast<double>(next_) / rows;
  if (!scan_) return std::min(1.0, done);
  const double draws_share =
      static_cast<double>(values_->Wait(0, absl::ZeroDuration()).done.count) /
      std::max<uint32_t>(1, view_.draws);
  return std::min(1.0, done - static_cast<double>(chunk_.size()) / rows * (1 - draws_share));
}

// The next rows without traces, all lacking the same draws. False if there are none left.
absl::StatusOr<bool> RowTracer::NextChunk() {
  const size_t row_bytes = std::max<size_t>(1, size_t{total_draws()} * sizeof(float));
  const size_t limit =
      std::clamp<size_t>(kChunkBytes / row_bytes, 1, tokens_ ? kLargestTokenChunk : kLargestChunk);
  const auto known =
      traces_->index().Find(array(), dataset_, absl::MakeSpan(ordinals_).subspan(next_));
  std::vector<uint32_t> lacking;
  uint32_t first_draw = 0;
  for (const TracedRow& row : known) {
    if (row.draws < view_.draws) {
      if (lacking.empty()) first_draw = row.draws;
      if (lacking.size() == limit || row.draws != first_draw) break;
      lacking.push_back(row.ordinal);
    }
    ++next_;
  }
  if (lacking.empty()) return false;
  // Some may have been deleted since the operation began.
  BIF_ASSIGN_OR_RETURN(std::vector<uint32_t> ordinals,
                       parts_.store.samples().Living(dataset_, lacking));
  if (ordinals.empty()) return NextChunk();
  chunk_.clear();
  for (size_t r = 0; r < ordinals.size(); ++r) chunk_.push_back({ordinals[r], r, first_draw});
  std::vector<uint32_t> traces(ordinals.size(), 1);
  if (tokens_) {
    BIF_RETURN_IF_ERROR(MeasureSequences(row_bytes, ordinals));
    traces.clear();
    for (const SequenceShape& shape : shapes_) traces.push_back(shape.losses);
  }

  EvaluationSpec spec;
  spec.view = view_;
  spec.observable = observable();
  EvaluationGroup& group = spec.groups.emplace_back();
  group.first_draw = first_draw;
  BIF_ASSIGN_OR_RETURN(group.samples, parts_.store.samples().Read(dataset_, ordinals));
  for (size_t r = 0; r < ordinals.size(); ++r) group.rows.push_back(r);
  spec.field_of_row = [ordinals](size_t row) { return NameOf(ordinals[row]); };
  values_ = std::make_shared<EvaluatedRows>(traces, view_.active_chains.size(), view_.draws);
  scan_.emplace(view_, CacheUse::kBulk, parts_.models, parts_.draws, parts_.counters);
  std::vector<ScanRider> riders;
  riders.push_back({std::move(spec), values_, {}});
  scan_->Join(std::move(riders));
  return true;
}

// Cuts the chunk to what may be held at once, at least a row, and takes down how long each is.
absl::Status RowTracer::MeasureSequences(size_t trace_bytes, std::vector<uint32_t>& ordinals) {
  BIF_ASSIGN_OR_RETURN(const SampleBatch samples, parts_.store.samples().Read(dataset_, ordinals));
  BIF_ASSIGN_OR_RETURN(shapes_, SequenceShapes(view_.sources, samples,
                                               [&](int64_t row) { return NameOf(ordinals[row]); }));
  size_t rows = 1;
  size_t bytes = shapes_[0].losses * trace_bytes;
  while (rows < shapes_.size() && bytes + shapes_[rows].losses * trace_bytes <= kChunkBytes)
    bytes += shapes_[rows++].losses * trace_bytes;
  if (rows < ordinals.size()) {
    next_ = static_cast<size_t>(
        std::lower_bound(ordinals_.begin(), ordinals_.end(), ordinals[rows]) - ordinals_.begin());
  }
  ordinals.resize(rows);
  chunk_.resize(rows);
  shapes_.resize(rows);
  return absl::OkStatus();
}

// Of the rows that lack them, from the losses of their tokens as these are kept: so that the two
// fit together.
absl::Status RowTracer::KeepSequenceLosses() {
  std::vector<uint32_t> ordinals;
  for (const NewTrace& trace : chunk_) ordinals.push_back(trace.ordinal);
  const auto known = traces_->index().Find(kLossArray, dataset_, ordinals);
  EvaluatedRows losses(chunk_.size(), view_.active_chains.size(), view_.draws);
  std::vector<NewTrace> lacking;
  const engine::TokenReduction reduction = view_.sources.program_source.sequence.reduction;
  for (size_t r = 0; r < chunk_.size(); ++r) {
    if (known[r].draws >= view_.draws || known[r].draws < chunk_[r].first_draw) continue;
    lacking.push_back(chunk_[r]);
    losses.anchor(r)[0] = ReduceTokenLosses(reduction, shapes_[r], values_->anchor(r).data(), 1);
    for (size_t i = 0; i < losses.stride(); ++i) {
      losses.row(r)[i] =
          ReduceTokenLosses(reduction, shapes_[r], values_->row(r).data() + i, values_->stride());
    }
  }
  return traces_->Keep(parts_.store, view_, {}, dataset_, lacking, losses, true);
}

}  // namespace bif::jobs
