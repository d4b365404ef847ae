// Operations between memory and disk. Pure functions.
#pragma once

#include "src/jobs/operations.h"
#include "src/storage/catalog.h"

namespace bif::jobs {

storage::pb::CostEstimate ToRecord(const CostEstimate& estimate);
CostEstimate FromRecord(const storage::pb::CostEstimate& record);

storage::pb::OperationProgress ToRecord(const OperationProgress& progress);
storage::pb::OperationResult ToRecord(const OperationResult& result);

// The code and message; reasons and field paths do not outlive the process.
void SetError(const absl::Status& error, storage::pb::OperationRecord& record);
Operation FromRecord(const storage::pb::OperationRecord& record);

}  // namespace bif::jobs
