// Datasets as they are stored. Pure function.
#pragma once

#include <vector>

#include "src/base/tensor.h"
#include "src/jobs/checkpoint_records.h"
#include "src/storage/catalog.h"

namespace bif::jobs {

inline std::vector<TensorSpec> ColumnsOf(const storage::pb::DatasetRecord& record) {
  std::vector<TensorSpec> columns;
  for (const auto& column : record.columns()) columns.push_back(FromRecord(column));
  return columns;
}

}  // namespace bif::jobs
