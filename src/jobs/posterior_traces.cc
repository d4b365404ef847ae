#include "src/jobs/posterior_traces.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/resource_names.h"
#include "src/jobs/trace_arrays.h"

namespace bif::jobs {

void PosteriorTraces::MarkDeleted() {
  absl::MutexLock lock(&writer_);
  deleted_ = true;
}

absl::Status PosteriorTraces::Refresh(storage::Catalog& catalog, uint32_t draws) {
  if (index_.loaded_draws() >= draws) return absl::OkStatus();
  absl::MutexLock lock(&writer_);  // a reload must not fall between a writer's commit and its Apply
  if (index_.loaded_draws() >= draws) return absl::OkStatus();
  BIF_RETURN_IF_ERROR(observables_.Reload(catalog));
  return index_.Reload(catalog, draws);
}

std::vector<PosteriorTraces::Placed> PosteriorTraces::Place(uint32_t array, uint32_t dataset,
                                                            const std::vector<NewTrace>& traces,
                                                            const EvaluatedRows& rows) const {
  const uint32_t draws = rows.draws();
  std::vector<uint32_t> ordinals;
  for (const NewTrace& trace : traces) ordinals.push_back(trace.ordinal);
  const std::vector<TracedRow> known = index_.Find(array, dataset, ordinals);
  uint32_t next_slot = index_.next_slot(array, dataset);
  absl::flat_hash_set<uint32_t> seen;
  std::vector<Placed> placed;
  for (size_t i = 0; i < traces.size(); ++i) {
    if (known[i].draws >= draws || !seen.insert(traces[i].ordinal).second) continue;
    const bool is_new = known[i].draws == 0;
    if (!is_new && known[i].draws < traces[i].first_draw)
      continue;  // a gap: cannot be, and must not be stored
    const auto slots = static_cast<uint32_t>(rows.traces(traces[i].row));
    const uint32_t slot = is_new ? next_slot : known[i].slot;
    if (is_new) next_slot += slots;
    placed.push_back({{slot, traces[i].ordinal, draws, slots}, traces[i].row, known[i].draws});
  }
  std::sort(placed.begin(), placed.end(),
            [](const Placed& a, const Placed& b) { return a.row.slot < b.row.slot; });
  return placed;
}

absl::Status PosteriorTraces::Keep(storage::Store& store, const PosteriorView& view,
                                   const engine::Observable& observable, uint32_t dataset,
                                   const std::vector<NewTrace>& traces, EvaluatedRows& rows,
                                   bool keep_anchor, storage::WriteSet writes) {
  const uint32_t draws = rows.draws();
  absl::MutexLock lock(&writer_);
  // A deleted posterior must not leave traces behind.
  if (deleted_) return absl::NotFoundError("the posterior was deleted meanwhile");
  BIF_RETURN_IF_ERROR(store.catalog().GetBytes(storage::PosteriorKey(view.record.key())).status());
  const uint32_t array = observables_.Prepare(observable, writes);
  const storage::TraceType type =
      array == kTokenLossArray ? TokenTraceTypeOf(view.record) : storage::TraceType::kFloat32;
  const std::vector<Placed> placed = Place(array, dataset, traces, rows);
  int64_t bytes = 0;
  for (const Placed& p : placed)
    bytes += static_cast<int64_t>(p.row.slots * rows.stride() * sizeof(float));
  BIF_RETURN_IF_ERROR(store.HasSpaceFor(bytes));

  std::vector<float> columns;  // as the store takes them: [draw][slot]
  for (size_t begin = 0; begin < placed.size();) {
    // Consecutive slots that lack the same draws make one rectangle.
    const Placed& first = placed[begin];
    size_t end = begin + 1;
    uint32_t slots = first.row.slots;
    while (end < placed.size() && placed[end].row.slot == first.row.slot + slots &&
           placed[end].first_draw == first.first_draw) {
      slots += placed[end++].row.slots;
    }
    for (size_t c = 0; c < view.active_chains.size(); ++c) {
      columns.resize(size_t{slots} * (draws - first.first_draw));
      float* column = columns.data();  // of one slot, `slots` apart
      for (size_t i = begin; i < end; ++i) {
        const float* trace = rows.row(placed[i].source).data() + c * draws;
        for (uint32_t s = 0; s < placed[i].row.slots; ++s, ++column, trace += rows.stride()) {
          for (uint32_t t = first.first_draw; t < draws; ++t)
            column[size_t{t - first.first_draw} * slots] = trace[t];
        }
      }
      BIF_RETURN_IF_ERROR(store.traces().Write({number_, array, dataset}, view.active_chains[c],
                                               first.row.slot, slots, first.first_draw,
                                               draws - first.first_draw, columns, type));
    }
    if (keep_anchor && array == kLossArray && first.first_draw == 0) {
      columns.clear();
      for (size_t i = begin; i < end; ++i) columns.push_back(rows.anchor(placed[i].source)[0]);
      BIF_RETURN_IF_ERROR(store.traces().Write({number_, kAnchorLossArray, dataset}, 0,
                                               first.row.slot, slots, 0, 1, columns));
    }
    begin = end;
  }

  std::vector<TracedRow> changed;
  for (const Placed& p : placed) changed.push_back(p.row);
  index_.Prepare(array, dataset, changed, writes);
  if (writes.changes().empty()) return absl::OkStatus();
  BIF_RETURN_IF_ERROR(store.catalog().Commit(writes));
  observables_.Apply(observable, array);
  if (!changed.empty()) index_.Apply(array, dataset, changed);
  return absl::OkStatus();
}

absl::Status PosteriorTraces::CommitGrowth(storage::Catalog& catalog, const RowsByDataset& grown,
                                           storage::WriteSet writes) {
  const uint32_t array = ArrayCode(engine::Observable{});
  absl::MutexLock lock(&writer_);
  if (deleted_) return absl::NotFoundError("the posterior was deleted meanwhile");
  for (const auto& [dataset, rows] : grown) index_.Prepare(array, dataset, rows, writes);
  BIF_RETURN_IF_ERROR(catalog.Commit(writes));
  for (const auto& [dataset, rows] : grown) index_.Apply(array, dataset, rows);
  return absl::OkStatus();
}

void OpenPosteriors::Forget(uint64_t number) {
  std::shared_ptr<PosteriorTraces> traces;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = open_.find(number);
    if (found == open_.end()) return;
    traces = found->second.traces;
    open_.erase(found);
  }
  traces->MarkDeleted();
}

absl::StatusOr<std::shared_ptr<PosteriorTraces>> OpenPosteriors::Get(uint64_t number,
                                                                     uint32_t draws) {
  std::shared_ptr<PosteriorTraces> traces;
  {
    absl::MutexLock lock(&mutex_);
    Entry& entry = open_[number];
    if (entry.traces == nullptr) entry.traces = std::make_shared<PosteriorTraces>(number);
    entry.used = ++clock_;
    traces = entry.traces;
    // The one used longest ago goes, but never one that somebody holds: there must not be two
    // writers.
    while (open_.size() > max_open_) {
      auto oldest = open_.end();
      for (auto it = open_.begin(); it != open_.end(); ++it) {
        if (it->second.traces.use_count() == 1 &&
            (oldest == open_.end() || it->second.used < oldest->second.used)) {
          oldest = it;
        }
      }
      if (oldest == open_.end()) break;
      open_.erase(oldest);
    }
  }
  BIF_RETURN_IF_ERROR(traces->Refresh(catalog_, draws));
  return traces;
}

}  // namespace bif::jobs
