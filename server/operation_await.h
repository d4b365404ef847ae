// One wait for an operation's next change, which can be given up. Holds no thread while it waits.
//
// `then` is called exactly once: with the operation, or with the error of looking it up, or with
// the status of GiveUp. It runs on whichever thread decides that (a job's, too) and must not block.
//
// Thread-safe. Shared by the waiting call and by the operation manager.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "src/jobs/operations.h"

namespace bif::server {

class OperationAwait : public std::enable_shared_from_this<OperationAwait> {
 public:
  using Then = std::function<void(const absl::StatusOr<jobs::Operation>&)>;

  static std::shared_ptr<OperationAwait> Make(jobs::OperationManager& operations, Then then) {
    return std::shared_ptr<OperationAwait>(new OperationAwait(operations, std::move(then)));
  }

  // Waits until the sequence is above `after_sequence`, or the operation is done. To be called
  // once. May block on storage.
  void Start(const std::string& name, uint64_t after_sequence);
  void GiveUp(const absl::Status& why);

 private:
  OperationAwait(jobs::OperationManager& operations, Then then)
      : operations_(operations), then_(std::move(then)) {}
  void End(const absl::StatusOr<jobs::Operation>& result);

  jobs::OperationManager& operations_;
  std::atomic<bool> over_{false};
  Then then_;          // touched by whoever sets over_, and by nobody else
  absl::Mutex mutex_;  // guards the hand-over of the notification's number between Start and GiveUp
  uint64_t notification_ ABSL_GUARDED_BY(mutex_) = 0;
  bool gave_up_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace bif::server
