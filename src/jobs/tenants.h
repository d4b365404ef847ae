// Who may use the daemon: tenants with their limits, tokens, and what a tenant shares with another.
//
// Everything is in the catalog, and a copy in memory answers each call. A change is committed
// before it counts, and counts from then on: a revoked token is refused at once. The default tenant
// is always there.
//
// Errors: a wrong id or limit INVALID_ARGUMENT with its field, an unknown one NOT_FOUND, a token
// that is unknown, revoked or expired UNAUTHENTICATED. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "src/base/clock.h"
#include "src/jobs/tenant.h"
#include "src/storage/catalog.h"

namespace bif::jobs {

// Each may do what those before it may. The numbers are stored on disk and equal those of bif.v1.
enum class Role : uint8_t { kRead = 1, kSubmit = 2, kAdmin = 3 };

// 0: no limit.
struct TenantLimits {
  double requests_per_second = 0;
  uint32_t running_operations = 0;  // queued ones too
  double device_seconds_per_day = 0;
  int64_t stored_bytes = 0;
  friend bool operator==(const TenantLimits&, const TenantLimits&) = default;
};

struct Tenant {
  std::string id;
  std::string display_name;
  double weight = 1;  // of device time
  TenantLimits limits;
  absl::Time create_time;
};

struct Token {
  std::string id;  // tells tokens apart; not secret
  std::string tenant;
  Role role = Role::kRead;
  std::string description;
  absl::Time create_time;
  std::optional<absl::Time> expire_time;
};
struct NewToken {
  Token token;
  std::string secret;  // told once
};

struct TokenSpec {
  std::string tenant;
  Role role = Role::kRead;
  std::string description;
  absl::Duration lifetime;  // zero: until it is revoked
};

struct Share {
  std::string name;  // with its owner, as the jobs know it
  std::string grantee;
};

class Tenants {
 public:
  // Both must outlive it.
  Tenants(storage::Catalog& catalog, Clock& clock) : catalog_(catalog), clock_(clock) {}
  // Reads the catalog; once, before anything else.
  absl::Status Recover();
  // Called with every tenant that there is or is made or changed. To be set before Recover.
  void OnChange(std::function<void(const Tenant&)> listener) { on_change_ = std::move(listener); }

  // Makes or changes it.
  absl::StatusOr<Tenant> Put(const Tenant& tenant);
  absl::StatusOr<Tenant> Get(const std::string& id) const;
  std::vector<Tenant> List() const;  // by id

  absl::StatusOr<NewToken> CreateToken(const TokenSpec& spec);
  std::vector<Token> ListTokens(const std::string& tenant) const;  // empty: of all
  absl::Status RevokeToken(const std::string& id);
  absl::StatusOr<Token> Authenticate(const std::string& secret) const;

  // `name`: a dataset or posterior, with its owner. Repeating either is harmless.
  absl::Status Grant(const std::string& name, const std::string& grantee);
  absl::Status Withdraw(const std::string& name, const std::string& grantee);
  bool IsShared(const std::string& name, const std::string& grantee) const;
  std::vector<Share> Shares(const std::string& tenant) const;  // of its own, and with it

 private:
  storage::Catalog& catalog_;
  Clock& clock_;
  std::function<void(const Tenant&)> on_change_;
  absl::Mutex writer_;         // one change at a time, its commit included
  mutable absl::Mutex mutex_;  // guards the copy
  absl::flat_hash_map<std::string, Tenant> tenants_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Token> tokens_ ABSL_GUARDED_BY(mutex_);  // by secret's SHA-256
  absl::flat_hash_set<std::pair<std::string, std::string>> shares_
      ABSL_GUARDED_BY(mutex_);  // grantee, name
};

}  // namespace bif::jobs
