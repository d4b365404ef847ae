// What becomes of deleted samples: their bytes go once nothing needs them any more.
#include <algorithm>
#include <utility>

#include "src/base/status.h"
#include "src/jobs/datasets.h"

namespace bif::jobs {
namespace {

using storage::pb::DatasetRecord;

constexpr size_t kRowsAtOnce = 4096;  // appends wait that long

// Takes out of `rows` (ascending) those that a posterior was sampled with.
absl::Status RemoveNeeded(storage::Catalog& catalog, const DatasetRecord& dataset,
                          std::vector<uint32_t>& rows) {
  BIF_ASSIGN_OR_RETURN(const auto posteriors,
                       catalog.Scan<storage::pb::PosteriorRecord>(
                           storage::KindPrefix(storage::RecordKind::kPosterior)));
  for (const auto& [key, posterior] : posteriors) {
    if (posterior.dataset() != dataset.id()) continue;
    const auto& excluded = posterior.excluded_rows();
    std::erase_if(rows, [&](uint32_t row) {
      return row < posterior.training_rows() &&
             !std::binary_search(excluded.begin(), excluded.end(), row);
    });
  }
  return absl::OkStatus();
}

}  // namespace

void Datasets::OnErasable(std::function<void(const std::string&)> listener) {
  on_erasable_ = std::move(listener);
}

void Datasets::Released(const std::string& id) {
  if (on_erasable_) on_erasable_(id);
}

absl::Status Datasets::EraseDeleted(const std::string& id, const CancelToken& cancel) {
  DatasetRecord dataset;
  std::vector<uint32_t> rows;
  {
    // No posterior comes in between looking and the end of this block, and a later one cannot be
    // sampled with what is deleted already.
    absl::MutexLock lock(&reference_mutex_);
    BIF_ASSIGN_OR_RETURN(dataset, RecordById(id));
    BIF_ASSIGN_OR_RETURN(rows, store_.samples().NotErased(dataset.number()));
    BIF_RETURN_IF_ERROR(RemoveNeeded(store_.catalog(), dataset, rows));
  }
  if (rows.empty()) return absl::OkStatus();
  // The dataset may be deleted, too, while its lock is not held; its number is never used again.
  const auto is_there = [&]() -> absl::Status {
    BIF_ASSIGN_OR_RETURN(const DatasetRecord now, RecordById(id));
    return now.number() == dataset.number() ? absl::OkStatus()
                                            : absl::NotFoundError("the dataset is gone");
  };
  storage::WriteSet writes;
  for (size_t begin = 0; begin < rows.size() && !cancel.cancelled(); begin += kRowsAtOnce) {
    const size_t end = std::min(rows.size(), begin + kRowsAtOnce);
    absl::MutexLock lock(&LockOf(dataset.number()));
    BIF_RETURN_IF_ERROR(is_there());
    BIF_RETURN_IF_ERROR(store_.samples().Erase(
        dataset.number(),
        {rows.begin() + static_cast<int64_t>(begin), rows.begin() + static_cast<int64_t>(end)},
        writes));
  }
  if (cancel.cancelled()) return absl::CancelledError("stopped; the next start goes on");
  BIF_RETURN_IF_ERROR(
      store_.samples().Compact(dataset.number(), rows.front(), rows.back(), cancel));
  // Only now: after a crash before it, all of this is done once more.
  absl::MutexLock lock(&LockOf(dataset.number()));
  BIF_RETURN_IF_ERROR(is_there());
  return store_.catalog().Commit(writes);
}

}  // namespace bif::jobs
