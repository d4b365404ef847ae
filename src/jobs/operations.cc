#include "src/jobs/operations.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/list_records.h"
#include "src/jobs/operation_records.h"
#include "src/jobs/resource_names.h"

namespace bif::jobs {
namespace {

absl::StatusOr<std::string> IdOf(const std::string& name) {
  return IdFromName("operations", name, "name");
}

}  // namespace

void RunningOperation::Report(const OperationProgress& progress) {
  OperationManager::Calls calls;
  {
    absl::MutexLock lock(&manager_->mutex_);
    const auto found = manager_->live_.find(id_);
    if (found == manager_->live_.end()) return;
    OperationManager::Live& live = found->second;
    live.progress = progress;
    live.record.set_sequence(live.record.sequence() + 1);
    manager_->CollectCalls(id_, manager_->ViewOf(live), calls);
  }
  for (auto& [callback, view] : calls) callback(view);
}

OperationProgress RunningOperation::progress() const {
  absl::MutexLock lock(&manager_->mutex_);
  const auto found = manager_->live_.find(id_);
  return found == manager_->live_.end() ? OperationProgress{} : found->second.progress;
}

void RunningOperation::AddTo(storage::WriteSet& writes) const {
  absl::MutexLock lock(&manager_->mutex_);
  const auto found = manager_->live_.find(id_);
  if (found == manager_->live_.end()) return;
  storage::pb::OperationRecord record = found->second.record;
  record.set_progress(ToRecord(found->second.progress).SerializeAsString());
  writes.Put(storage::OperationKey(id_), record);
}

void RunningOperation::Finish(const absl::Status& error, const OperationResult& result,
                              storage::WriteSet writes) {
  storage::pb::OperationRecord record;
  OperationProgress progress;
  {
    absl::MutexLock lock(&manager_->mutex_);
    const auto found = manager_->live_.find(id_);
    if (found == manager_->live_.end() || found->second.finishing) return;
    found->second.finishing = true;
    record = found->second.record;
    progress = found->second.progress;
  }
  if (error.ok()) progress.stage = "done";
  progress.remaining.reset();
  record.set_done(true);
  SetError(error, record);
  record.set_response(ToRecord(result).SerializeAsString());
  record.set_progress(ToRecord(progress).SerializeAsString());
  record.set_sequence(record.sequence() + 1);
  record.set_end_time_unix_micros(absl::ToUnixMicros(manager_->clock_.Now()));
  writes.Put(storage::OperationKey(id_), record);
  const absl::Status committed = manager_->catalog_.Commit(writes);
  if (!committed.ok())
    SetError(Annotate(committed, "the operation's end could not be stored"), record);

  OperationManager::Calls calls;
  {
    absl::MutexLock lock(&manager_->mutex_);
    const auto found = manager_->live_.find(id_);
    // Reports that came in between count too: a sequence never goes back.
    record.set_sequence(std::max(record.sequence(), found->second.record.sequence() + 1));
    if (!committed.ok()) manager_->unstored_[id_] = record;
    manager_->live_.erase(found);
    manager_->CollectCalls(id_, FromRecord(record), calls);
  }
  for (auto& [callback, view] : calls) callback(view);
}

OperationManager::OperationManager(storage::Catalog& catalog, Clock& clock, const Options& options)
    : catalog_(catalog), clock_(clock), options_(options) {}

OperationManager::~OperationManager() {
  Calls calls;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [number, watcher] : watchers_) {
      const auto found = live_.find(watcher.id);
      if (found != live_.end())
        calls.emplace_back(std::move(watcher.callback), ViewOf(found->second));
    }
    watchers_.clear();
  }
  for (auto& [callback, view] : calls) callback(view);
}

absl::StatusOr<std::string> OperationManager::NewId(const std::string& tenant) {
  BIF_ASSIGN_OR_RETURN(const uint64_t number, catalog_.NextNumber(ScopedId(tenant, "operation")));
  // Fixed width: the order of a tenant's keys is the order of creation.
  return ScopedId(tenant, absl::StrCat(absl::Dec(number, absl::kZeroPad10)));
}

absl::StatusOr<std::shared_ptr<RunningOperation>> OperationManager::Create(
    const std::string& id, const std::string& kind, const std::string& target_key,
    const std::string& request, storage::WriteSet writes, const CostEstimate& estimate) {
  BIF_RETURN_IF_ERROR(StoreEnds());
  std::unique_ptr<Admission::Reservation> reservation;
  if (options_.admission != nullptr) {
    BIF_ASSIGN_OR_RETURN(reservation, options_.admission->AdmitOperation(TenantOf(id), estimate));
  }
  storage::pb::OperationRecord record;
  record.set_id(id);
  record.set_kind(kind);
  record.set_target(target_key);
  record.set_request(request);
  record.set_sequence(1);
  record.set_create_time_unix_micros(absl::ToUnixMicros(clock_.Now()));
  OperationProgress progress;
  progress.stage = "queued";
  record.set_progress(ToRecord(progress).SerializeAsString());
  {
    absl::MutexLock lock(&mutex_);
    if (live_.size() >= options_.max_running) {
      return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                            live_.size(), " operations are running already; try again later")),
                        "TOO_MANY_OPERATIONS");
    }
  }
  writes.Put(storage::OperationKey(id), record);
  BIF_RETURN_IF_ERROR(catalog_.Commit(writes));
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<RunningOperation> running = MakeLive(record);
  live_[id].reservation = std::move(reservation);
  return running;
}

std::shared_ptr<RunningOperation> OperationManager::MakeLive(
    const storage::pb::OperationRecord& record) {
  auto running = std::make_shared<RunningOperation>();
  running->manager_ = this;
  running->id_ = record.id();
  running->kind_ = record.kind();
  running->target_key_ = record.target();
  running->request_ = record.request();
  if (record.cancel_requested()) running->cancel_.Cancel();
  Live& live = live_[record.id()];
  live.running = running;
  live.record = record;
  live.progress = FromRecord(record).progress;
  return running;
}

absl::Status OperationManager::StoreEnds() {
  absl::MutexLock storing(&storing_);
  while (true) {
    storage::pb::OperationRecord record;
    {
      absl::MutexLock lock(&mutex_);
      if (unstored_.empty()) return absl::OkStatus();
      record = unstored_.begin()->second;
    }
    storage::WriteSet writes;
    writes.Put(storage::OperationKey(record.id()), record);
    BIF_RETURN_IF_ERROR(catalog_.Commit(writes));
    absl::MutexLock lock(&mutex_);
    unstored_.erase(record.id());
  }
}

absl::Status OperationManager::Recover() {
  BIF_ASSIGN_OR_RETURN(const auto records,
                       catalog_.Scan<storage::pb::OperationRecord>(
                           storage::KindPrefix(storage::RecordKind::kOperation)));
  absl::MutexLock lock(&mutex_);
  for (const auto& [key, record] : records) {
    if (record.done()) continue;
    unfinished_.push_back(MakeLive(record));
    if (options_.admission != nullptr)
      live_[record.id()].reservation = options_.admission->Resume(TenantOf(record.id()));
  }
  recovered_ = unfinished_.size();
  return absl::OkStatus();
}

size_t OperationManager::recovered() const {
  absl::MutexLock lock(&mutex_);
  return recovered_;
}

std::vector<std::shared_ptr<RunningOperation>> OperationManager::TakeUnfinished(
    const std::string& kind) {
  absl::MutexLock lock(&mutex_);
  std::vector<std::shared_ptr<RunningOperation>> taken;
  std::vector<std::shared_ptr<RunningOperation>> rest;
  for (auto& running : unfinished_) {
    (running->kind_ == kind ? taken : rest).push_back(std::move(running));
  }
  unfinished_ = std::move(rest);
  return taken;
}

std::shared_ptr<RunningOperation> OperationManager::FindRunning(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  const auto found = live_.find(id);
  return found == live_.end() || found->second.finishing ? nullptr : found->second.running;
}

Operation OperationManager::ViewOf(const Live& live) {
  Operation view = FromRecord(live.record);
  view.progress = live.progress;
  return view;
}

absl::StatusOr<Operation> OperationManager::Lookup(const std::string& id) {
  {
    absl::MutexLock lock(&mutex_);
    const auto live = live_.find(id);
    if (live != live_.end()) return ViewOf(live->second);
    const auto remembered = unstored_.find(id);
    if (remembered != unstored_.end()) return FromRecord(remembered->second);
  }
  auto record = catalog_.Get<storage::pb::OperationRecord>(storage::OperationKey(id));
  if (absl::IsNotFound(record.status())) {
    return absl::NotFoundError(absl::StrCat(OperationName(id), " does not exist"));
  }
  if (!record.ok()) return record.status();
  return FromRecord(*record);
}

absl::StatusOr<Operation> OperationManager::Get(const std::string& name) {
  BIF_ASSIGN_OR_RETURN(const std::string id, IdOf(name));
  return Lookup(id);
}

absl::StatusOr<Page<Operation>> OperationManager::List(const PageRequest& request) {
  const std::string arguments = ScopedId(request.tenant, "operations");
  BIF_ASSIGN_OR_RETURN(const PageCursor cursor, OpenPage(request, arguments));
  // One more than a page, to know whether there is a next one.
  BIF_ASSIGN_OR_RETURN(const auto records,
                       catalog_.Scan<storage::pb::OperationRecord>(
                           TenantPrefix(storage::RecordKind::kOperation, request.tenant),
                           cursor.after, cursor.size + 1));
  Page<Operation> page;
  for (size_t i = 0; i < std::min(records.size(), cursor.size); ++i) {
    if (IsForeign(records[i].first)) continue;
    absl::StatusOr<Operation> operation = Lookup(records[i].second.id());
    if (absl::IsNotFound(operation.status())) continue;  // deleted meanwhile
    if (!operation.ok()) return operation.status();
    page.items.push_back(*std::move(operation));
  }
  if (records.size() > cursor.size)
    page.next_page_token = NextPageToken(arguments, records[cursor.size - 1].first);
  return page;
}

absl::Status OperationManager::Cancel(const std::string& name) {
  BIF_ASSIGN_OR_RETURN(const Operation operation, Get(name));
  if (operation.done) return absl::OkStatus();
  BIF_ASSIGN_OR_RETURN(const std::string id, IdOf(name));
  Calls calls;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = live_.find(id);
    if (found == live_.end() || found->second.finishing) return absl::OkStatus();
    Live& live = found->second;
    live.record.set_cancel_requested(true);
    live.record.set_sequence(live.record.sequence() + 1);
    // Stored before the job sees it and under the lock, so that no commit of the job's end can be
    // overtaken.
    storage::pb::OperationRecord record = live.record;
    record.set_progress(ToRecord(live.progress).SerializeAsString());
    storage::WriteSet writes;
    writes.Put(storage::OperationKey(id), record);
    BIF_RETURN_IF_ERROR(catalog_.Commit(writes));
    live.running->cancel_.Cancel();
    CollectCalls(id, ViewOf(live), calls);
  }
  for (auto& [callback, view] : calls) callback(view);
  return absl::OkStatus();
}

absl::Status OperationManager::Delete(const std::string& name) {
  BIF_ASSIGN_OR_RETURN(const Operation operation, Get(name));
  if (!operation.done) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " is still running; cancel it, wait until it is done, then delete it"));
  }
  BIF_ASSIGN_OR_RETURN(const std::string id, IdOf(name));
  absl::MutexLock storing(&storing_);
  storage::WriteSet writes;
  writes.Delete(storage::OperationKey(id));
  BIF_RETURN_IF_ERROR(catalog_.Commit(writes));
  absl::MutexLock lock(&mutex_);
  unstored_.erase(id);
  return absl::OkStatus();
}

absl::StatusOr<Operation> OperationManager::Wait(const std::string& name, absl::Time deadline) {
  BIF_ASSIGN_OR_RETURN(const std::string id, IdOf(name));
  {
    absl::MutexLock lock(&mutex_);
    const auto ended = [this, &id]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !live_.contains(id); };
    mutex_.AwaitWithDeadline(absl::Condition(&ended), deadline);
  }
  return Lookup(id);
}

absl::StatusOr<uint64_t> OperationManager::NotifyOnChange(
    const std::string& name, uint64_t after_sequence,
    std::function<void(const Operation&)> callback) {
  BIF_ASSIGN_OR_RETURN(const std::string id, IdOf(name));
  {
    absl::MutexLock lock(&mutex_);
    const auto found = live_.find(id);
    if (found != live_.end() && found->second.record.sequence() <= after_sequence) {
      watchers_[++last_watcher_] = Watcher{id, after_sequence, std::move(callback)};
      return last_watcher_;
    }
  }
  BIF_ASSIGN_OR_RETURN(const Operation operation, Lookup(id));
  callback(operation);
  return 0;
}

absl::Status OperationManager::Forget(absl::Time ended_before) {
  BIF_ASSIGN_OR_RETURN(const auto records,
                       catalog_.Scan<storage::pb::OperationRecord>(
                           storage::KindPrefix(storage::RecordKind::kOperation)));
  storage::WriteSet writes;
  for (const auto& [key, record] : records) {
    if (record.done() && absl::FromUnixMicros(record.end_time_unix_micros()) < ended_before)
      writes.Delete(storage::OperationKey(record.id()));
  }
  return writes.changes().empty() ? absl::OkStatus() : catalog_.Commit(writes);
}

bool OperationManager::StopNotifying(uint64_t notification) {
  absl::MutexLock lock(&mutex_);
  return watchers_.erase(notification) > 0;
}

void OperationManager::CollectCalls(const std::string& id, const Operation& view, Calls& calls) {
  for (auto watcher = watchers_.begin(); watcher != watchers_.end();) {
    const auto current = watcher++;
    if (current->second.id != id || (!view.done && view.sequence <= current->second.after_sequence))
      continue;
    calls.emplace_back(std::move(current->second.callback), view);
    watchers_.erase(current);
  }
}

}  // namespace bif::jobs
