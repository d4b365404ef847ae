// What the parts of the posterior jobs share. References only; all outlive them.
#pragma once

#include "src/base/clock.h"
#include "src/engine/engine.h"
#include "src/jobs/checkpoints.h"
#include "src/jobs/counters.h"
#include "src/jobs/datasets.h"
#include "src/jobs/model_cache.h"
#include "src/jobs/operations.h"
#include "src/jobs/posterior_traces.h"
#include "src/jobs/posteriors.h"
#include "src/jobs/speeds.h"
#include "src/storage/store.h"

namespace bif::jobs {

struct PosteriorContext {
  storage::Store& store;
  engine::Engine& engine;
  Checkpoints& checkpoints;
  Datasets& datasets;
  OperationManager& operations;
  OpenPosteriors& traces;
  ModelCache& models;  // device thread only
  Counters& counters;
  Clock& clock;
  Speeds& speeds;
  Posteriors::Options options;
};

}  // namespace bif::jobs
