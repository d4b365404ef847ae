#include "src/jobs/trace_cache.h"

#include <cmath>

#include "src/attribution/row_kernel.h"
#include "src/base/status.h"

namespace bif::jobs {
absl::StatusOr<std::shared_ptr<const TraceBlock>> TraceCache::Get(
    const storage::TraceArray& array, const std::vector<uint32_t>& chains, uint32_t draws,
    uint32_t number, const std::vector<SlotRun>& runs) {
  uint32_t rows = 0;
  for (const SlotRun& run : runs) rows += run.slots;
  const Key key{array.posterior, array.array, array.dataset, draws, number, rows, chains};
  if (auto block = blocks_.Find(key)) return *block;

  auto block = std::make_shared<TraceBlock>();
  block->first_slot = number * storage::kTileSlots;
  const size_t stride = chains.size() * draws;
  const uint32_t end =
      runs.empty() ? block->first_slot : runs.back().first_slot + runs.back().slots;
  block->values.resize((end - block->first_slot) * stride);
  for (const SlotRun& run : runs) {
    BIF_RETURN_IF_ERROR(
        ReadRows(traces_, array, chains, draws, {&run, 1},
                 absl::MakeSpan(block->values)
                     .subspan((run.first_slot - block->first_slot) * stride, run.slots * stride)));
  }
  block->missing_columns = MissingColumns(block->values, chains.size(), draws, {0, draws});
  const auto bytes =
      static_cast<int64_t>(block->values.size() * sizeof(float) + sizeof(TraceBlock));
  blocks_.Insert(key, block, bytes);
  return block;
}

std::vector<uint32_t> MissingColumns(absl::Span<const float> values, size_t chains, size_t draws,
                                     DrawWindow window) {
  // The window is one or two runs of every chain's draws; if it is all of them, all values are one.
  struct Run {
    size_t begin = 0;
    size_t size = 0;
  };
  std::vector<Run> runs;
  size_t step = draws;
  if (window.count == draws) {
    step = values.size();
    runs.push_back({0, values.size()});
  } else {
    const size_t behind = std::min<size_t>(window.count, draws - window.first);
    runs.push_back({window.first, behind});
    runs.push_back({0, window.count - behind});
  }
  std::vector<bool> without(chains * draws);
  for (size_t begin = 0; begin < values.size(); begin += step) {
    for (const Run& run : runs) {
      // A sum is NaN if one number is: one cheap pass tells that there is nothing to look for, as
      // is nearly always so. (Infinities of both signs make a NaN too; the second pass then finds
      // nothing.)
      const float* const from = values.data() + begin + run.begin;
      if (!std::isnan(attribution::SumInDouble(from, static_cast<int64_t>(run.size)))) continue;
      for (size_t i = 0; i < run.size; ++i) {
        if (std::isnan(from[i])) without[(begin + run.begin + i) % without.size()] = true;
      }
    }
  }
  std::vector<uint32_t> missing;
  for (size_t column = 0; column < without.size(); ++column) {
    if (without[column]) missing.push_back(static_cast<uint32_t>(column));
  }
  return missing;
}

absl::Status ReadRows(storage::TraceStore& traces, const storage::TraceArray& array,
                      const std::vector<uint32_t>& chains, uint32_t draws,
                      absl::Span<const SlotRun> runs, absl::Span<float> values) {
  const size_t stride = chains.size() * draws;
  for (const SlotRun& run : runs) {
    for (size_t c = 0; c < chains.size(); ++c) {
      BIF_RETURN_IF_ERROR(traces.Read(array, chains[c], run.first_slot, run.slots, draws,
                                      static_cast<int64_t>(stride), static_cast<int64_t>(c * draws),
                                      values.first(run.slots * stride)));
    }
    values.remove_prefix(run.slots * stride);
  }
  return absl::OkStatus();
}

}  // namespace bif::jobs
