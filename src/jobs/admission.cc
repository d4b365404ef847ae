#include "src/jobs/admission.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/retry_after.h"
#include "src/base/status.h"

namespace bif::jobs {
namespace {

constexpr double kBurstSeconds = 2;  // of requests that may come at once
constexpr size_t kRememberedEnds = 16;
constexpr absl::Duration kUnknownRate = absl::Seconds(30);
constexpr absl::Duration kShortestDelay = absl::Seconds(1);
constexpr absl::Duration kLongestDelay = absl::Minutes(10);
constexpr absl::Duration kDay = absl::Hours(24);

int64_t DayOf(absl::Time time) { return absl::ToUnixSeconds(time) / absl::ToInt64Seconds(kDay); }

std::string Seconds(absl::Duration duration) {
  return absl::StrCat(absl::ToInt64Seconds(duration), " s");
}

// Between the ends of operations, within what a caller should wait.
absl::Duration MeanInterval(const std::deque<absl::Time>& ends) {
  if (ends.size() < 2) return kUnknownRate;
  const absl::Duration mean = (ends.back() - ends.front()) / static_cast<int64_t>(ends.size() - 1);
  return std::clamp(mean, kShortestDelay, kLongestDelay);
}

}  // namespace

Admission::Admission(const Tenants& tenants, storage::Catalog& catalog, Clock& clock,
                     StoredBytes stored_bytes)
    : tenants_(tenants), catalog_(catalog), clock_(clock), stored_bytes_(std::move(stored_bytes)) {}

absl::Status Admission::Recover() {
  BIF_ASSIGN_OR_RETURN(const auto records, catalog_.Scan<storage::pb::UsageRecord>(
                                               storage::KindPrefix(storage::RecordKind::kUsage)));
  absl::MutexLock lock(&mutex_);
  for (const auto& [tenant, record] : records) {
    Account& account = accounts_[tenant];
    account.day = record.day();
    account.used_today = absl::Microseconds(record.device_micros());
  }
  return absl::OkStatus();
}

Admission::Account& Admission::AccountOf(const std::string& tenant) {
  Account& account = accounts_[tenant];
  if (const int64_t today = DayOf(clock_.Now()); account.day != today) {
    account.day = today;
    account.used_today = absl::ZeroDuration();
  }
  return account;
}

absl::Status Admission::Refuse(const std::string& tenant, const char* reason,
                               const std::string& what, absl::Duration retry_after) {
  if (on_refusal_) on_refusal_(tenant, reason);
  return WithRetryAfter(WithReason(absl::ResourceExhaustedError(what), reason), retry_after);
}

absl::Status Admission::AdmitRequest(const std::string& tenant) {
  const absl::StatusOr<Tenant> known = tenants_.Get(tenant);
  const double rate = known.ok() ? known->limits.requests_per_second : 0;
  if (rate <= 0) return absl::OkStatus();
  const double most = std::max(1.0, rate * kBurstSeconds);
  double lacking = 0;
  {
    absl::MutexLock lock(&mutex_);
    Account& account = AccountOf(tenant);
    const absl::Time now = clock_.Now();
    const double refill = std::min(most, rate * absl::ToDoubleSeconds(now - account.refilled));
    account.request_tokens = std::min(most, account.request_tokens + refill);
    account.refilled = now;
    if (account.request_tokens >= 1) {
      account.request_tokens -= 1;
      return absl::OkStatus();
    }
    lacking = 1 - account.request_tokens;
  }
  return Refuse(tenant, "REQUEST_RATE",
                absl::StrCat("more than ", rate, " requests a second; ask less often"),
                absl::Seconds(lacking / rate));
}

absl::StatusOr<std::unique_ptr<Admission::Reservation>> Admission::AdmitOperation(
    const std::string& tenant, const CostEstimate& estimate) {
  const absl::StatusOr<Tenant> known = tenants_.Get(tenant);
  const TenantLimits limits = known.ok() ? known->limits : TenantLimits{};
  const absl::Duration device_time = estimate.duration.value_or(absl::ZeroDuration());
  if (limits.stored_bytes > 0) BIF_RETURN_IF_ERROR(AdmitBytes(tenant, estimate.disk_bytes));
  const char* reason = nullptr;
  std::string what;
  absl::Duration retry_after;
  {
    absl::MutexLock lock(&mutex_);
    Account& account = AccountOf(tenant);
    const absl::Duration time_limit = absl::Seconds(limits.device_seconds_per_day);
    const absl::Duration time = account.used_today + account.reserved_device_time;
    if (limits.running_operations > 0 && account.operations >= limits.running_operations) {
      reason = "OPERATIONS";
      what = absl::StrCat(account.operations, " operations are running or queued, ",
                          limits.running_operations,
                          " are allowed; wait for one of them, or cancel one");
      retry_after = MeanInterval(account.ends);
    } else if (limits.device_seconds_per_day > 0 &&
               (time >= time_limit || time + device_time > time_limit)) {
      reason = device_time > time_limit ? "DEVICE_TIME_TOO_LARGE" : "DEVICE_TIME";
      what = absl::StrCat("needs up to ", Seconds(device_time), " of device time; of today's ",
                          Seconds(time_limit), ", ", Seconds(account.used_today), " are used and ",
                          Seconds(account.reserved_device_time),
                          " reserved; ask for fewer draws, or tomorrow (UTC)");
      retry_after = absl::UnixEpoch() + (account.day + 1) * kDay - clock_.Now();
    } else {
      ++account.operations;
      account.reserved_device_time += device_time;
      account.reserved_bytes += estimate.disk_bytes;
    }
  }
  if (reason != nullptr) return Refuse(tenant, reason, what, retry_after);
  return std::make_unique<Reservation>(*this, tenant, device_time, estimate.disk_bytes);
}

std::unique_ptr<Admission::Reservation> Admission::Resume(const std::string& tenant) {
  {
    absl::MutexLock lock(&mutex_);
    ++AccountOf(tenant).operations;
  }
  return std::make_unique<Reservation>(*this, tenant, absl::ZeroDuration(), 0);
}

Admission::Reservation::Reservation(Admission& admission, std::string tenant,
                                    absl::Duration device_time, int64_t bytes)
    : admission_(admission), tenant_(std::move(tenant)), device_time_(device_time), bytes_(bytes) {}

Admission::Reservation::~Reservation() {
  absl::MutexLock lock(&admission_.mutex_);
  Account& account = admission_.AccountOf(tenant_);
  --account.operations;
  account.reserved_device_time -= device_time_;
  account.reserved_bytes -= bytes_;
  account.ends.push_back(admission_.clock_.Now());
  if (account.ends.size() > kRememberedEnds) account.ends.pop_front();
}

absl::Status Admission::AdmitBytes(const std::string& tenant, int64_t bytes) {
  const absl::StatusOr<Tenant> known = tenants_.Get(tenant);
  const int64_t limit = known.ok() ? known->limits.stored_bytes : 0;
  if (limit <= 0) return absl::OkStatus();
  BIF_ASSIGN_OR_RETURN(int64_t stored, stored_bytes_(tenant));
  {
    absl::MutexLock lock(&mutex_);
    stored += AccountOf(tenant).reserved_bytes;
  }
  if (stored + bytes <= limit) return absl::OkStatus();
  return Refuse(tenant, bytes > limit ? "STORED_BYTES_TOO_LARGE" : "STORED_BYTES",
                absl::StrCat("needs up to ", bytes, " bytes; ", stored, " of ", limit,
                             " are taken; delete what is no longer needed"),
                kUnknownRate);
}

void Admission::AddDeviceTime(const std::string& tenant, absl::Duration used) {
  absl::MutexLock lock(&mutex_);
  Account& account = AccountOf(tenant);
  account.used_today += used;
  account.unkept = true;
}

absl::Status Admission::KeepUsage() {
  storage::WriteSet writes;
  std::vector<std::string> kept;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [tenant, account] : accounts_) {
      if (!account.unkept) continue;
      storage::pb::UsageRecord record;
      record.set_day(account.day);
      record.set_device_micros(absl::ToInt64Microseconds(account.used_today));
      writes.Put(storage::UsageKey(tenant), record);
      account.unkept = false;
      kept.push_back(tenant);
    }
  }
  if (kept.empty()) return absl::OkStatus();
  const absl::Status committed = catalog_.Commit(writes);
  if (committed.ok()) return committed;
  absl::MutexLock lock(&mutex_);
  for (const std::string& tenant : kept) accounts_[tenant].unkept = true;
  return committed;
}

absl::StatusOr<TenantUsage> Admission::Usage(const std::string& tenant) {
  TenantUsage usage;
  BIF_ASSIGN_OR_RETURN(usage.stored_bytes, stored_bytes_(tenant));
  absl::MutexLock lock(&mutex_);
  const Account& account = AccountOf(tenant);
  usage.running_operations = account.operations;
  usage.device_time_today = account.used_today;
  usage.device_time_reserved = account.reserved_device_time;
  usage.stored_bytes += account.reserved_bytes;
  return usage;
}

}  // namespace bif::jobs
