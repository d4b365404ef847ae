#include "src/jobs/segment.h"

#include "src/base/status.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/trace_arrays.h"

namespace bif::jobs {
namespace {

absl::StatusOr<uint32_t> DatasetNumber(const PosteriorContext& context, const std::string& id) {
  BIF_ASSIGN_OR_RETURN(const auto dataset, context.store.catalog().Get<storage::pb::DatasetRecord>(
                                               storage::DatasetKey(id)));
  return dataset.number();
}

absl::Status WriteState(const PosteriorContext& context, uint64_t posterior,
                        engine::ChainGroup& chains, storage::pb::ChainRecord& record) {
  BIF_ASSIGN_OR_RETURN(engine::ChainSnapshot snapshot, chains.Snapshot(record.index()));
  const storage::DrawStore::State state{snapshot.step, std::move(snapshot.weights),
                                        std::move(snapshot.second_moments)};
  BIF_ASSIGN_OR_RETURN(*record.add_states(),
                       context.store.draws().WriteState(posterior, record.index(), state));
  return absl::OkStatus();
}

}  // namespace

Segment::Segment(uint32_t chains, int64_t rows, uint32_t max_draws)
    : rows_(rows),
      max_draws_(max_draws),
      chains_(chains),
      traces_(size_t{chains} * max_draws * rows) {}

absl::Span<float> Segment::Traces(uint32_t chain, uint32_t draw) {
  return absl::MakeSpan(traces_).subspan((size_t{chain} * max_draws_ + draw) * rows_, rows_);
}

absl::Span<const float> Segment::Traces(uint32_t chain, uint32_t first_draw, uint32_t draws) const {
  return absl::MakeConstSpan(traces_).subspan((size_t{chain} * max_draws_ + first_draw) * rows_,
                                              draws * rows_);
}

void Segment::Clear() {
  draws_ = 0;
  for (Chain& chain : chains_) chain = Chain{};
}

int64_t Segment::bytes() const {
  int64_t bytes = 0;
  for (const Chain& chain : chains_) {
    for (const storage::EncodedDraw& draw : chain.draws) {
      bytes +=
          static_cast<int64_t>(draw.payload.size()) + rows_ * static_cast<int64_t>(sizeof(float));
    }
  }
  return bytes;
}

absl::Status CommitSegment(const PosteriorContext& context, const RunningOperation& operation,
                           Segment& segment, engine::ChainGroup& chains, PosteriorTraces& traces,
                           const RowsByDataset& carried, storage::pb::PosteriorRecord& record) {
  const auto rows = static_cast<uint32_t>(TrainingRowCount(record));
  const uint64_t number = record.number();
  BIF_ASSIGN_OR_RETURN(const uint32_t dataset, DatasetNumber(context, record.dataset()));
  BIF_RETURN_IF_ERROR(context.store.HasSpaceFor(segment.bytes()));

  storage::WriteSet writes;
  const storage::TraceArray losses{number, kLossArray, dataset};
  uint64_t committed_draws = 0;
  for (auto& chain : *record.mutable_chains()) {
    Segment::Chain& added = segment.chain(chain.index());
    const auto draws = static_cast<uint32_t>(added.draws.size());
    if (draws > 0) {
      BIF_ASSIGN_OR_RETURN(
          const auto draw_records,
          context.store.draws().WriteDraws(number, chain.index(), chain.draws(), added.draws));
      for (uint32_t d = 0; d < draws; ++d) {
        writes.Put(storage::DrawKey(number, chain.index(), chain.draws() + d), draw_records[d]);
      }
      BIF_RETURN_IF_ERROR(context.store.traces().Write(losses, chain.index(), 0, rows,
                                                       chain.draws(), draws,
                                                       segment.Traces(chain.index(), 0, draws)));
    }
    chain.set_draws(chain.draws() + draws);
    chain.mutable_sampling_loss()->Add(added.sampling_loss.begin(), added.sampling_loss.end());
    chain.mutable_distance()->Add(added.distance.begin(), added.distance.end());
    chain.mutable_mean_trace_loss()->Add(added.mean_trace_loss.begin(),
                                         added.mean_trace_loss.end());
    if (!chain.diverged()) BIF_RETURN_IF_ERROR(WriteState(context, number, chains, chain));
    committed_draws += draws;
  }
  record.set_draws_committed(record.draws_committed() + segment.draws());
  BIF_ASSIGN_OR_RETURN(const int64_t file_bytes, context.store.draws().DiskBytes(number));
  int64_t losses_stored = rows;
  for (const auto& chain : record.chains()) losses_stored += int64_t{rows} * chain.draws();
  record.set_disk_bytes(file_bytes + losses_stored * static_cast<int64_t>(sizeof(float)));

  writes.Put(storage::PosteriorKey(record.key()), record);
  PutTrainingExtents(record, dataset, writes);
  operation.AddTo(writes);
  BIF_RETURN_IF_ERROR(traces.CommitGrowth(context.store.catalog(), carried, std::move(writes)));
  context.counters.draws_committed += committed_draws;
  ++context.counters.segments_committed;
  return absl::OkStatus();
}

void PutTrainingExtents(const storage::pb::PosteriorRecord& record, uint32_t dataset_number,
                        storage::WriteSet& writes) {
  storage::pb::TraceExtent extent;
  extent.set_first_slot(0);
  extent.set_slots(static_cast<uint32_t>(TrainingRowCount(record)));
  if (record.excluded_rows_size() > 0) {
    const std::vector<uint32_t> ordinals = Posteriors::TrainingOrdinals(record);
    extent.mutable_ordinals()->Assign(ordinals.begin(), ordinals.end());
  }
  extent.set_draws(record.draws_committed());
  writes.Put(storage::TraceExtentKey(record.number(), kLossArray, dataset_number, 0), extent);
  extent.set_draws(1);
  writes.Put(storage::TraceExtentKey(record.number(), kAnchorLossArray, dataset_number, 0), extent);
}

}  // namespace bif::jobs
