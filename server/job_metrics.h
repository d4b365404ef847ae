// Shows what the jobs do, in metrics: rows, draws, queues, device time, memory.
#pragma once

#include "src/jobs/jobs.h"
#include "src/observe/metrics.h"

namespace bif::server {

// Refreshed at every scrape, until metrics.RemoveRefreshers(); `jobs` must live as long.
void ExportJobMetrics(jobs::Jobs& jobs, observe::Metrics& metrics);

}  // namespace bif::server
