#include "src/jobs/tenants.h"

#include <sys/random.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "src/base/digest.h"
#include "src/base/status.h"

namespace bif::jobs {
namespace {

constexpr size_t kSecretBytes = 32;
constexpr size_t kTokenIdDigits = 12;     // of the secret's digest
constexpr char kSecretPrefix[] = "bif_";  // so that scanners for leaked secrets know one

absl::StatusOr<std::string> NewSecret() {
  std::string bytes(kSecretBytes, '\0');
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return absl::UnavailableError("the system gave no random numbers; try again");
  std::string text;
  absl::WebSafeBase64Escape(bytes, &text);
  return kSecretPrefix + text;
}

std::string DigestOf(const std::string& secret) {
  Sha256 sha;
  sha.Update(secret);
  return ToHex(sha.Finish());
}

Tenant FromRecord(const storage::pb::TenantRecord& record) {
  return {record.id(),
          record.display_name(),
          record.weight(),
          {record.requests_per_second(), record.running_operations(),
           record.device_seconds_per_day(), record.stored_bytes()},
          absl::FromUnixMicros(record.create_time_unix_micros())};
}

storage::pb::TenantRecord ToRecord(const Tenant& tenant) {
  storage::pb::TenantRecord record;
  record.set_id(tenant.id);
  record.set_display_name(tenant.display_name);
  record.set_weight(tenant.weight);
  record.set_requests_per_second(tenant.limits.requests_per_second);
  record.set_running_operations(tenant.limits.running_operations);
  record.set_device_seconds_per_day(tenant.limits.device_seconds_per_day);
  record.set_stored_bytes(tenant.limits.stored_bytes);
  record.set_create_time_unix_micros(absl::ToUnixMicros(tenant.create_time));
  return record;
}

Token FromRecord(const storage::pb::TokenRecord& record) {
  Token token{record.id(),
              record.tenant(),
              static_cast<Role>(record.role()),
              record.description(),
              absl::FromUnixMicros(record.create_time_unix_micros()),
              {}};
  if (record.expire_time_unix_micros() != 0)
    token.expire_time = absl::FromUnixMicros(record.expire_time_unix_micros());
  return token;
}

absl::Status CheckTenant(const Tenant& tenant) {
  if (!IsTenantId(tenant.id)) {
    return FieldError("tenant.id", "must be 1 to 31 of a-z, 0-9 and -, beginning with a letter");
  }
  if (!(tenant.weight > 0) || tenant.weight > 1000)
    return FieldError("tenant.weight", "must be above 0 and at most 1000");
  const auto is_limit = [](double limit) { return std::isfinite(limit) && limit >= 0; };
  if (!is_limit(tenant.limits.requests_per_second) ||
      !is_limit(tenant.limits.device_seconds_per_day) || tenant.limits.stored_bytes < 0)
    return FieldError("tenant.limits", "must not be negative; 0 means no limit");
  return absl::OkStatus();
}

absl::Status Unauthenticated(const char* text, const char* reason) {
  return WithReason(absl::UnauthenticatedError(text), reason);
}

}  // namespace

absl::Status Tenants::Recover() {
  using storage::KindPrefix, storage::RecordKind;
  BIF_ASSIGN_OR_RETURN(const auto tenants,
                       catalog_.Scan<storage::pb::TenantRecord>(KindPrefix(RecordKind::kTenant)));
  BIF_ASSIGN_OR_RETURN(const auto tokens,
                       catalog_.Scan<storage::pb::TokenRecord>(KindPrefix(RecordKind::kToken)));
  BIF_ASSIGN_OR_RETURN(const auto shares,
                       catalog_.Scan<storage::pb::ShareRecord>(KindPrefix(RecordKind::kShare)));
  {
    absl::MutexLock lock(&mutex_);
    Tenant& everybody = tenants_[kDefaultTenant];
    everybody.id = kDefaultTenant;
    everybody.create_time = absl::UnixEpoch();
    for (const auto& [key, record] : tenants) tenants_[record.id()] = FromRecord(record);
    for (const auto& [digest, record] : tokens) tokens_[digest] = FromRecord(record);
    for (const auto& [key, record] : shares) shares_.insert({record.grantee(), record.name()});
  }
  if (on_change_) {
    for (const Tenant& tenant : List()) on_change_(tenant);
  }
  return absl::OkStatus();
}

absl::StatusOr<Tenant> Tenants::Put(const Tenant& wanted) {
  BIF_RETURN_IF_ERROR(CheckTenant(wanted));
  absl::MutexLock change(&writer_);
  Tenant tenant = wanted;
  const absl::StatusOr<Tenant> known = Get(tenant.id);
  tenant.create_time = known.ok() ? known->create_time : clock_.Now();
  storage::WriteSet writes;
  writes.Put(storage::TenantKey(tenant.id), ToRecord(tenant));
  BIF_RETURN_IF_ERROR(catalog_.Commit(writes));
  {
    absl::MutexLock lock(&mutex_);
    tenants_[tenant.id] = tenant;
  }
  if (on_change_) on_change_(tenant);
  return tenant;
}

absl::StatusOr<Tenant> Tenants::Get(const std::string& id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = tenants_.find(id);
  if (found == tenants_.end())
    return absl::NotFoundError(absl::StrCat("there is no tenant \"", id, "\""));
  return found->second;
}

std::vector<Tenant> Tenants::List() const {
  std::vector<Tenant> all;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, tenant] : tenants_) all.push_back(tenant);
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return all;
}

absl::StatusOr<NewToken> Tenants::CreateToken(const TokenSpec& spec) {
  BIF_RETURN_IF_ERROR(Get(spec.tenant).status());
  if (spec.role < Role::kRead || spec.role > Role::kAdmin)
    return FieldError("role", "must be READ, SUBMIT or ADMIN");
  if (spec.lifetime < absl::ZeroDuration()) return FieldError("lifetime", "must not be negative");
  NewToken made;
  BIF_ASSIGN_OR_RETURN(made.secret, NewSecret());
  const std::string digest = DigestOf(made.secret);
  storage::pb::TokenRecord record;
  record.set_id(digest.substr(0, kTokenIdDigits));
  record.set_tenant(spec.tenant);
  record.set_role(static_cast<uint32_t>(spec.role));
  record.set_description(spec.description);
  record.set_create_time_unix_micros(absl::ToUnixMicros(clock_.Now()));
  if (spec.lifetime > absl::ZeroDuration())
    record.set_expire_time_unix_micros(absl::ToUnixMicros(clock_.Now() + spec.lifetime));
  absl::MutexLock change(&writer_);
  storage::WriteSet writes;
  writes.Put(storage::TokenKey(digest), record);
  BIF_RETURN_IF_ERROR(catalog_.Commit(writes));
  made.token = FromRecord(record);
  absl::MutexLock lock(&mutex_);
  tokens_[digest] = made.token;
  return made;
}

std::vector<Token> Tenants::ListTokens(const std::string& tenant) const {
  std::vector<Token> all;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [digest, token] : tokens_) {
      if (tenant.empty() || token.tenant == tenant) all.push_back(token);
    }
  }
  std::sort(all.begin(), all.end(), [](const Token& a, const Token& b) {
    return std::pair(a.create_time, a.id) < std::pair(b.create_time, b.id);
  });
  return all;
}

absl::Status Tenants::RevokeToken(const std::string& id) {
  absl::MutexLock change(&writer_);
  std::string digest;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [known, token] : tokens_) {
      if (token.id == id) digest = known;
    }
  }
  if (digest.empty()) return absl::NotFoundError(absl::StrCat("there is no token \"", id, "\""));
  storage::WriteSet writes;
  writes.Delete(storage::TokenKey(digest));
  BIF_RETURN_IF_ERROR(catalog_.Commit(writes));
  absl::MutexLock lock(&mutex_);
  tokens_.erase(digest);
  return absl::OkStatus();
}

absl::StatusOr<Token> Tenants::Authenticate(const std::string& secret) const {
  // Looked up by digest: how long that takes tells nothing about a secret that is nearly right.
  const std::string digest = DigestOf(secret);
  absl::MutexLock lock(&mutex_);
  const auto found = tokens_.find(digest);
  if (found == tokens_.end()) {
    return Unauthenticated("the token is not known here, or was revoked; ask for a new one",
                           "TOKEN_UNKNOWN");
  }
  if (found->second.expire_time && *found->second.expire_time <= clock_.Now())
    return Unauthenticated("the token has expired; ask for a new one", "TOKEN_EXPIRED");
  return found->second;
}

absl::Status Tenants::Grant(const std::string& name, const std::string& grantee) {
  BIF_RETURN_IF_ERROR(Get(grantee).status());
  absl::MutexLock change(&writer_);
  if (IsShared(name, grantee)) return absl::OkStatus();
  storage::pb::ShareRecord record;
  record.set_name(name);
  record.set_grantee(grantee);
  record.set_create_time_unix_micros(absl::ToUnixMicros(clock_.Now()));
  storage::WriteSet writes;
  writes.Put(storage::ShareKey(grantee, name), record);
  BIF_RETURN_IF_ERROR(catalog_.Commit(writes));
  absl::MutexLock lock(&mutex_);
  shares_.insert({grantee, name});
  return absl::OkStatus();
}

absl::Status Tenants::Withdraw(const std::string& name, const std::string& grantee) {
  absl::MutexLock change(&writer_);
  storage::WriteSet writes;
  writes.Delete(storage::ShareKey(grantee, name));
  BIF_RETURN_IF_ERROR(catalog_.Commit(writes));
  absl::MutexLock lock(&mutex_);
  shares_.erase({grantee, name});
  return absl::OkStatus();
}

bool Tenants::IsShared(const std::string& name, const std::string& grantee) const {
  absl::MutexLock lock(&mutex_);
  return shares_.contains(std::pair(grantee, name));
}

std::vector<Share> Tenants::Shares(const std::string& tenant) const {
  std::vector<Share> shares;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [grantee, name] : shares_) {
      const std::string owner = TenantOf(name.substr(name.find('/') + 1));
      if (grantee == tenant || owner == tenant) shares.push_back({name, grantee});
    }
  }
  std::sort(shares.begin(), shares.end(), [](const Share& a, const Share& b) {
    return std::pair(a.name, a.grantee) < std::pair(b.name, b.grantee);
  });
  return shares;
}

}  // namespace bif::jobs
