#include "src/storage/owners.h"

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace bif::storage {
namespace {

constexpr size_t kKeyDigits = 64;
constexpr size_t kNameDigits = 12;

}  // namespace

std::string ResourceNameOf(const std::string& collection, const std::string& key) {
  // A key ends in a digest's digits; what stands before them, a tenant, stays.
  const size_t kept = key.size() < kKeyDigits ? key.size() : key.size() - kKeyDigits + kNameDigits;
  return absl::StrCat(collection, "/", key.substr(0, kept));
}

absl::StatusOr<Owners> Owners::Read(Catalog& catalog) {
  Owners owners;
  BIF_ASSIGN_OR_RETURN(const auto posteriors,
                       catalog.Scan<pb::PosteriorRecord>(KindPrefix(RecordKind::kPosterior)));
  for (const auto& [key, record] : posteriors)
    owners.posteriors_[record.number()] = ResourceNameOf("posteriors", key);
  BIF_ASSIGN_OR_RETURN(const auto datasets,
                       catalog.Scan<pb::DatasetRecord>(KindPrefix(RecordKind::kDataset)));
  for (const auto& [key, record] : datasets)
    owners.datasets_[record.number()] = ResourceNameOf("datasets", key);
  return owners;
}

std::string Owners::PosteriorName(uint64_t number) const {
  const auto found = posteriors_.find(number);
  return found == posteriors_.end() ? absl::StrCat("posterior number ", number) : found->second;
}

std::string Owners::DatasetName(uint32_t number) const {
  const auto found = datasets_.find(number);
  return found == datasets_.end() ? absl::StrCat("dataset number ", number) : found->second;
}

}  // namespace bif::storage
