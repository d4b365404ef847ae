// Posteriors between memory and disk. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "src/jobs/posteriors.h"
#include "src/storage/catalog.h"
#include "src/storage/trace_store.h"

namespace bif::jobs {

Posterior FromRecord(const storage::pb::PosteriorRecord& record);

inline PosteriorState StateOf(const storage::pb::PosteriorRecord& record) {
  return static_cast<PosteriorState>(record.state());
}

// How the posterior keeps losses of tokens.
inline storage::TraceType TokenTraceTypeOf(const storage::pb::PosteriorRecord& record) {
  return record.token_trace_type() == static_cast<uint32_t>(storage::TraceType::kFloat16)
             ? storage::TraceType::kFloat16
             : storage::TraceType::kFloat32;
}

int64_t TrainingRowCount(const storage::pb::PosteriorRecord& record);

// Indices of the chains that have not diverged.
std::vector<uint32_t> ActiveChains(const storage::pb::PosteriorRecord& record);

// Mean batch losses since the draw before, one a draw, of the chains that have not diverged, chain
// after chain.
std::vector<float> SamplingLosses(const storage::pb::PosteriorRecord& record);

// Tells the draws of one view from those of any other: for keys in memory.
std::string DrawsKey(const PosteriorView& view);

// "chain 2: the loss was not finite at step 7; chain 3: ..."; empty if none diverged.
std::string DivergenceSummary(const storage::pb::PosteriorRecord& record);

// `count` distinct training slots, ascending, the same ones for every posterior with as many rows;
// all if there are fewer.
std::vector<uint32_t> RandomSlots(int64_t rows, size_t count);

}  // namespace bif::jobs
