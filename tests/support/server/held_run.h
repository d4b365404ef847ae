// A posterior whose run stands still before its first sampling step: for tests of what happens
// while one is sampled.
//
// Confined to the test's thread.
#pragma once

#include <memory>
#include <string>

#include "absl/synchronization/notification.h"
#include "bif/v1/operations.pb.h"
#include "tests/support/server/linear_regression.h"

namespace bif::server::testing {

// The device waits before its first sampling step until Release, or until the object goes.
class HeldDevice {
 public:
  explicit HeldDevice(TestServer& server);
  ~HeldDevice() { Release(); }
  void AwaitArrival() { gate_->arrived.WaitForNotification(); }
  void Release();

 private:
  struct Gate {  // shared: the engine may ask after the test has ended
    absl::Notification arrived;
    absl::Notification release;
  };
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
};

// Starts one on 8 samples. Throws if the server refuses.
class HeldRun {
 public:
  explicit HeldRun(TestServer& server);
  const std::string& operation() const { return operation_; }
  // A WatchOperation call once the run has reached the device; `change` is what it told first.
  std::unique_ptr<Reading> Watch(v1::WatchOperationResponse& change);
  void AwaitArrival() { device_.AwaitArrival(); }
  void Release() { device_.Release(); }

 private:
  TestServer& server_;
  const v1::CreatePosteriorRequest
      request_;  // before device_: making its checkpoint needs no device
  HeldDevice device_;
  std::string operation_;
};

}  // namespace bif::server::testing
