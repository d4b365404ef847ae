// A flag that asks a job to stop at the next draw. Thread-safe; shared between who asks and who
// works.
#pragma once

#include <atomic>
#include <memory>

namespace bif {

class CancelToken {
 public:
  CancelToken() : cancelled_(std::make_shared<std::atomic<bool>>(false)) {}
  void Cancel() { cancelled_->store(true, std::memory_order_release); }
  bool cancelled() const { return cancelled_->load(std::memory_order_acquire); }
  // For libraries that look at a flag of their caller's; lives as long as any copy of the token.
  std::atomic<bool>* flag() const { return cancelled_.get(); }

 private:
  std::shared_ptr<std::atomic<bool>> cancelled_;  // copies speak of one flag
};

}  // namespace bif
