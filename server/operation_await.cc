#include "server/operation_await.h"

namespace bif::server {

void OperationAwait::Start(const std::string& name, uint64_t after_sequence) {
  const absl::StatusOr<uint64_t> notification = operations_.NotifyOnChange(
      name, after_sequence,
      [self = shared_from_this()](const jobs::Operation& operation) { self->End(operation); });
  if (!notification.ok()) return End(notification.status());
  bool gave_up = false;
  {
    absl::MutexLock lock(&mutex_);
    notification_ = *notification;
    gave_up = gave_up_;
  }
  if (gave_up && *notification != 0) operations_.StopNotifying(*notification);
}

void OperationAwait::GiveUp(const absl::Status& why) {
  uint64_t notification = 0;
  {
    absl::MutexLock lock(&mutex_);
    gave_up_ = true;
    notification = notification_;
  }
  if (notification != 0) operations_.StopNotifying(notification);
  End(why);
}

void OperationAwait::End(const absl::StatusOr<jobs::Operation>& result) {
  if (over_.exchange(true)) return;
  const Then then = std::move(then_);  // it may hold the call that holds this object
  then(result);
}

}  // namespace bif::server
