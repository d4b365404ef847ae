// The operation of TraceSamples: RowTracer as a task of the device thread. It works at trace
// priority, so queries go first and sampling last. Where the posterior grows meanwhile, the rows
// get the new draws too.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/jobs/counters.h"
#include "src/jobs/device_executor.h"
#include "src/jobs/draw_reader.h"
#include "src/jobs/model_cache.h"
#include "src/jobs/operations.h"
#include "src/jobs/posterior_traces.h"
#include "src/jobs/posteriors.h"
#include "src/storage/store.h"

namespace bif::jobs {

struct TraceJobParts {
  storage::Store& store;
  Posteriors& posteriors;
  ModelCache& models;
  DrawReader& draws;
  Counters& counters;
};

// `ordinals`: of `dataset`, to be traced where they are not yet. `tokens`: the losses of tokens.
// The task ends the operation.
std::unique_ptr<DeviceTask> MakeTraceTask(const TraceJobParts& parts,
                                          std::shared_ptr<RunningOperation> operation,
                                          PosteriorView view,
                                          std::shared_ptr<PosteriorTraces> traces,
                                          uint32_t dataset_number, std::vector<uint32_t> ordinals,
                                          bool tokens);

}  // namespace bif::jobs
