#include "src/jobs/resource_names.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/tenant.h"

namespace bif::jobs {
namespace {

constexpr size_t kNameDigits = 12;
constexpr size_t kFewestDigits = 6;
constexpr size_t kDigestDigits = 64;

std::string Join(std::string_view collection, std::string_view id) {
  std::string name(collection);
  name += '/';
  name += id;
  return name;
}

// The digest's first digits, behind its tenant.
std::string_view Short(std::string_view digest) {
  return digest.substr(0, digest.size() - WithoutTenant(digest).size() + kNameDigits);
}

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::string ProgramName(std::string_view digest_hex) { return Join("programs", Short(digest_hex)); }
std::string CheckpointName(std::string_view digest_hex) {
  return Join("checkpoints", Short(digest_hex));
}
std::string DatasetName(std::string_view id) { return Join("datasets", id); }
std::string SampleName(std::string_view dataset_id, std::string_view sample_id) {
  return Join(Join(DatasetName(dataset_id), "samples"), sample_id);
}
std::string PosteriorName(std::string_view key_hex) { return Join("posteriors", Short(key_hex)); }
std::string OperationName(std::string_view id) { return Join("operations", id); }

absl::StatusOr<std::string> IdFromName(std::string_view collection, std::string_view name,
                                       std::string_view field) {
  if (name.empty()) return FieldError(field, "must not be empty");
  if (name.size() <= collection.size() + 1 || name.substr(0, collection.size()) != collection ||
      name[collection.size()] != '/') {
    return FieldError(field, absl::StrCat("must look like ", std::string(collection), "/..., is \"",
                                          std::string(name), "\""));
  }
  return std::string(name.substr(collection.size() + 1));
}

absl::StatusOr<std::pair<std::string, std::string>> ParseSampleName(std::string_view name,
                                                                    std::string_view field) {
  BIF_ASSIGN_OR_RETURN(const std::string rest, IdFromName("datasets", name, field));
  constexpr std::string_view kMiddle = "/samples/";
  const size_t middle = rest.find(kMiddle);
  if (middle == std::string::npos || middle == 0 || middle + kMiddle.size() == rest.size()) {
    return FieldError(field, "must look like datasets/.../samples/...");
  }
  return std::make_pair(rest.substr(0, middle), rest.substr(middle + kMiddle.size()));
}

absl::StatusOr<std::string> ResolveDigest(storage::Catalog& catalog, storage::RecordKind kind,
                                          std::string_view collection, std::string_view name,
                                          std::string_view field) {
  BIF_ASSIGN_OR_RETURN(const std::string id, IdFromName(collection, name, field));
  const std::string_view digits = WithoutTenant(id);
  if (digits.size() < kFewestDigits || digits.size() > kDigestDigits || !IsLowerHex(digits)) {
    return FieldError(
        field, absl::StrCat("must end in ", kFewestDigits, " to ", kDigestDigits,
                            " lower-case hexadecimal digits, is \"", std::string(name), "\""));
  }
  // Keys of these kinds are the kind, the tenant and the digest's digits, so what a name holds is
  // the beginning of a key.
  const storage::RecordKey prefix{storage::KindPrefix(kind).bytes + id};
  BIF_ASSIGN_OR_RETURN(const auto found, catalog.ScanBytes(prefix, "", 2));
  if (found.empty()) return absl::NotFoundError(absl::StrCat(std::string(name), " does not exist"));
  if (found.size() > 1)
    return FieldError(field, absl::StrCat(std::string(name), " is ambiguous; give more digits"));
  return id + found[0].first;
}

}  // namespace bif::jobs
