#include "src/jobs/carried_rows.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "src/base/status.h"
#include "src/engine/draw_codec.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/trace_arrays.h"

namespace bif::jobs {
namespace {

constexpr size_t kChunkBytes = size_t{16} << 20;  // traces held until their tiles are written
constexpr size_t kLargestChunk = 4096;            // rows; their samples are held too

const engine::Observable kLosses;

absl::Status KeepLiving(storage::SampleStore& samples, uint32_t dataset,
                        std::vector<TracedRow>& rows) {
  std::vector<uint32_t> ordinals;
  for (const TracedRow& row : rows) ordinals.push_back(row.ordinal);
  BIF_ASSIGN_OR_RETURN(const std::vector<uint32_t> living, samples.Living(dataset, ordinals));
  if (living.size() == rows.size()) return absl::OkStatus();
  const absl::flat_hash_set<uint32_t> alive(living.begin(), living.end());
  std::erase_if(rows, [&](const TracedRow& row) { return !alive.contains(row.ordinal); });
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RowsByDataset> FindRowsToCarry(const PosteriorContext& context,
                                              const storage::pb::PosteriorRecord& record,
                                              const PosteriorTraces& traces) {
  RowsByDataset found;
  if (record.draws_committed() == 0) return found;
  BIF_ASSIGN_OR_RETURN(const auto datasets,
                       context.store.catalog().Scan<storage::pb::DatasetRecord>(
                           storage::KindPrefix(storage::RecordKind::kDataset)));
  for (const auto& [key, dataset] : datasets) {
    if (dataset.hidden()) continue;
    std::vector<TracedRow> rows =
        traces.index().RowsCovering(ArrayCode(kLosses), dataset.number(), record.draws_committed());
    const int64_t own_rows = dataset.id() == record.dataset() ? TrainingRowCount(record) : 0;
    std::erase_if(rows, [&](const TracedRow& row) {
      return row.slot < own_rows || row.draws != record.draws_committed();
    });
    BIF_RETURN_IF_ERROR(KeepLiving(context.store.samples(), dataset.number(), rows));
    if (!rows.empty()) found[dataset.number()] = std::move(rows);
  }
  return found;
}

CarriedRows::CarriedRows(const PosteriorContext& context, const PosteriorTraces& traces,
                         const storage::pb::PosteriorRecord& record, const Segment& segment,
                         engine::Model& model, const engine::MovingSet& moving,
                         const engine::ExecutionPlan& plan)
    : context_(context),
      traces_(traces),
      record_(record),
      segment_(segment),
      model_(model),
      moving_(moving),
      plan_(plan),
      chains_(ActiveChains(record)) {}

absl::StatusOr<bool> CarriedRows::Step() {
  if (chunk_ == nullptr) {
    BIF_ASSIGN_OR_RETURN(const bool any, OpenChunk());
    return !any;
  }
  Chunk& chunk = *chunk_;
  if (chunk.deltas.empty()) BIF_RETURN_IF_ERROR(Decode(chunk));
  BIF_RETURN_IF_ERROR(Evaluate(chunk));
  if (chunk.done < chunk.resident->rows()) return false;
  chunk.done = 0;
  chunk.deltas.clear();
  if (++chunk.draw < segment_.draws()) return false;
  BIF_RETURN_IF_ERROR(Write(chunk));
  chunk_.reset();
  return false;
}

absl::StatusOr<bool> CarriedRows::OpenChunk() {
  if (left_.empty()) {
    // At the beginning, and again at the end: somebody may have traced rows in between.
    BIF_ASSIGN_OR_RETURN(left_, FindRowsToCarry(context_, record_, traces_));
    for (const auto& [dataset, grown] : grown_) {
      const auto known = left_.find(dataset);
      if (known == left_.end()) continue;
      absl::flat_hash_set<uint32_t> done;
      for (const TracedRow& row : grown) done.insert(row.slot);
      std::erase_if(known->second,
                    [&done](const TracedRow& row) { return done.contains(row.slot); });
      if (known->second.empty()) left_.erase(known);
    }
    if (left_.empty() || chains_.empty()) return false;
  }
  auto& [dataset, rows] = *left_.begin();
  const size_t row_bytes = std::max<size_t>(1, chains_.size() * segment_.draws() * sizeof(float));
  const size_t count =
      std::min(rows.size(), std::clamp<size_t>(kChunkBytes / row_bytes, 1, kLargestChunk));
  auto chunk = std::make_unique<Chunk>();
  chunk->dataset = dataset;
  chunk->rows.assign(rows.begin(), rows.begin() + static_cast<int64_t>(count));
  rows.erase(rows.begin(), rows.begin() + static_cast<int64_t>(count));
  if (rows.empty()) left_.erase(left_.begin());
  // Some may have been deleted since they were found.
  BIF_RETURN_IF_ERROR(KeepLiving(context_.store.samples(), chunk->dataset, chunk->rows));
  if (chunk->rows.empty()) return true;
  BIF_RETURN_IF_ERROR(Upload(*chunk));
  chunk_ = std::move(chunk);
  return true;
}

absl::Status CarriedRows::Upload(Chunk& chunk) {
  // The store wants ordinals ascending, which need not be the order of slots.
  std::vector<size_t> order(chunk.rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return chunk.rows[a].ordinal < chunk.rows[b].ordinal; });
  std::vector<uint32_t> ordinals;
  chunk.place.resize(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    chunk.place[order[i]] = i;
    ordinals.push_back(chunk.rows[order[i]].ordinal);
  }
  BIF_ASSIGN_OR_RETURN(const SampleBatch samples,
                       context_.store.samples().Read(chunk.dataset, ordinals));
  BIF_ASSIGN_OR_RETURN(chunk.resident, model_.Upload(samples));
  chunk.values.resize(chains_.size() * segment_.draws() * chunk.rows.size());
  return absl::OkStatus();
}

absl::Status CarriedRows::Decode(Chunk& chunk) {
  for (const uint32_t c : chains_) {
    const storage::EncodedDraw& draw = segment_.chain(c).draws[chunk.draw];
    std::vector<float>& delta = chunk.deltas.emplace_back(draw.elements);
    BIF_RETURN_IF_ERROR(engine::DecodeDraw(static_cast<engine::DrawCodec>(draw.codec), draw.payload,
                                           absl::MakeSpan(delta)));
  }
  return absl::OkStatus();
}

absl::Status CarriedRows::Evaluate(Chunk& chunk) {
  const auto rows = static_cast<int64_t>(chunk.rows.size());
  // A multiple of the plan's batch, so that batches, and with them rounding, do not depend on the
  // cut.
  const int64_t batch = std::max<int64_t>(1, plan_.trace_batch_rows);
  const int64_t wanted = std::max<int64_t>(1, rows_at_once_.amount() / batch) * batch;
  const int64_t count = std::min(rows - chunk.done, wanted);
  const std::vector<absl::Span<const float>> deltas(chunk.deltas.begin(), chunk.deltas.end());
  observed_.resize(deltas.size() * static_cast<size_t>(count));
  const absl::Time start = context_.clock.Now();
  BIF_RETURN_IF_ERROR(model_.Observe(moving_, deltas, *chunk.resident, chunk.done, count, kLosses,
                                     plan_, absl::MakeSpan(observed_)));
  if (count == wanted) rows_at_once_.Took(context_.clock.Now() - start);
  for (size_t c = 0; c < chains_.size(); ++c) {
    float* column = chunk.values.data() + (c * segment_.draws() + chunk.draw) * chunk.rows.size();
    for (size_t s = 0; s < chunk.rows.size(); ++s) {
      const int64_t place = static_cast<int64_t>(chunk.place[s]) - chunk.done;
      if (place >= 0 && place < count) column[s] = observed_[c * count + place];
    }
  }
  chunk.done += count;
  return absl::OkStatus();
}

absl::Status CarriedRows::Write(const Chunk& chunk) {
  const storage::TraceArray array{record_.number(), ArrayCode(kLosses), chunk.dataset};
  const uint32_t draws = segment_.draws();
  std::vector<float> columns;
  for (size_t begin = 0; begin < chunk.rows.size();) {
    // Consecutive slots make one rectangle.
    size_t end = begin + 1;
    while (end < chunk.rows.size() && chunk.rows[end].slot == chunk.rows[end - 1].slot + 1) ++end;
    for (size_t c = 0; c < chains_.size(); ++c) {
      columns.clear();
      for (uint32_t d = 0; d < draws; ++d) {
        const auto column =
            chunk.values.begin() + static_cast<int64_t>((c * draws + d) * chunk.rows.size());
        columns.insert(columns.end(), column + static_cast<int64_t>(begin),
                       column + static_cast<int64_t>(end));
      }
      BIF_RETURN_IF_ERROR(context_.store.traces().Write(array, chains_[c], chunk.rows[begin].slot,
                                                        static_cast<uint32_t>(end - begin),
                                                        record_.draws_committed(), draws, columns));
    }
    begin = end;
  }
  std::vector<TracedRow>& grown = grown_[chunk.dataset];
  for (TracedRow row : chunk.rows) {
    row.draws += draws;
    grown.push_back(row);
  }
  rows_ += static_cast<int64_t>(chunk.rows.size());
  return absl::OkStatus();
}

}  // namespace bif::jobs
