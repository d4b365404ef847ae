// Whether a tenant may do what it asks for: requests a second, operations, device time a day,
// bytes.
//
// Estimates are upper bounds and are reserved before the work starts, until it ends; what it really
// used counts from then on. A refusal is RESOURCE_EXHAUSTED with a reason, says limit and value,
// and when to ask again: from what the bucket refills, from how fast operations have ended lately,
// or at the end of the day.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "src/base/clock.h"
#include "src/jobs/cost_estimate.h"
#include "src/jobs/tenants.h"
#include "src/storage/catalog.h"

namespace bif::jobs {

struct TenantUsage {
  uint32_t running_operations = 0;
  absl::Duration device_time_today;     // used
  absl::Duration device_time_reserved;  // by operations that have not ended
  int64_t stored_bytes = 0;             // and reserved
};

class Admission {
 public:
  // What a tenant has on disk, in bytes; may read the catalog.
  using StoredBytes = std::function<absl::StatusOr<int64_t>(const std::string& tenant)>;
  Admission(const Tenants& tenants, storage::Catalog& catalog, Clock& clock,
            StoredBytes stored_bytes);

  // Reads today's device time from the catalog; once, before anything else.
  absl::Status Recover();

  // Takes a request out of the tenant's bucket. Reason REQUEST_RATE.
  absl::Status AdmitRequest(const std::string& tenant);

  // Held while an operation lives.
  class Reservation {
   public:
    Reservation(Admission& admission, std::string tenant, absl::Duration device_time,
                int64_t bytes);
    ~Reservation();
    Reservation(const Reservation&) = delete;
    Reservation& operator=(const Reservation&) = delete;

   private:
    Admission& admission_;
    const std::string tenant_;
    const absl::Duration device_time_;
    const int64_t bytes_;
  };
  // Reasons OPERATIONS, DEVICE_TIME, STORED_BYTES.
  absl::StatusOr<std::unique_ptr<Reservation>> AdmitOperation(const std::string& tenant,
                                                              const CostEstimate& estimate);
  // For an operation that goes on after a restart: not refused.
  std::unique_ptr<Reservation> Resume(const std::string& tenant);
  // For what is stored at once. Reason STORED_BYTES.
  absl::Status AdmitBytes(const std::string& tenant, int64_t bytes);

  // Device time that was spent. Never blocks; now and then it is due to be kept.
  void AddDeviceTime(const std::string& tenant, absl::Duration used);
  // Commits the device time of today. Called by who may block, every few seconds and at the end.
  absl::Status KeepUsage();

  absl::StatusOr<TenantUsage> Usage(const std::string& tenant);
  // Called with the tenant and the reason of each refusal. To be set before use.
  void OnRefusal(std::function<void(const std::string& tenant, const char* reason)> listener) {
    on_refusal_ = std::move(listener);
  }

 private:
  struct Account {
    double request_tokens = 0;
    absl::Time refilled = absl::InfinitePast();
    uint32_t operations = 0;
    absl::Duration reserved_device_time;
    int64_t reserved_bytes = 0;
    int64_t day = 0;
    absl::Duration used_today;
    bool unkept = false;
    std::deque<absl::Time> ends;  // of the last operations
  };

  Account& AccountOf(const std::string& tenant) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Refuse(const std::string& tenant, const char* reason, const std::string& what,
                      absl::Duration retry_after);

  const Tenants& tenants_;
  storage::Catalog& catalog_;
  Clock& clock_;
  const StoredBytes stored_bytes_;
  std::function<void(const std::string&, const char*)> on_refusal_;
  absl::Mutex mutex_;  // guards the accounts; not held while the catalog works
  absl::flat_hash_map<std::string, Account> accounts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace bif::jobs
