#include "src/storage/catalog_record_check.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "src/storage/catalog.h"
#include "src/storage/row_bitmap.h"

namespace bif::storage {
namespace {

template <typename Record>
bool Parses(std::string_view value) {
  return Record().ParseFromArray(value.data(), static_cast<int>(value.size()));
}

bool IsReadable(RecordKind kind, std::string_view value) {
  switch (kind) {
    case RecordKind::kProgram:
      return Parses<pb::ProgramRecord>(value);
    case RecordKind::kCheckpoint:
      return Parses<pb::CheckpointRecord>(value);
    case RecordKind::kDataset:
      return Parses<pb::DatasetRecord>(value);
    case RecordKind::kPosterior:
      return Parses<pb::PosteriorRecord>(value);
    case RecordKind::kDraw:
      return Parses<pb::DrawRecord>(value);
    case RecordKind::kTraceExtent:
      return Parses<pb::TraceExtent>(value);
    case RecordKind::kOperation:
      return Parses<pb::OperationRecord>(value);
    case RecordKind::kRequestId:
      return Parses<pb::RequestIdRecord>(value);
    case RecordKind::kCounter:
      return value.size() == sizeof(uint64_t);
    case RecordKind::kHeader:
      return Parses<pb::StoreHeader>(value);
    case RecordKind::kSampleIndex:
    case RecordKind::kSampleDigest:
    case RecordKind::kSampleExtent:
      return value.size() == sizeof(uint32_t);
    case RecordKind::kDeletedRows:
    case RecordKind::kErasedRows:
      return value.size() <= kBitmapRows / 8;
    case RecordKind::kTokenExtent:
      return Parses<pb::TokenExtent>(value);
    case RecordKind::kObservable:
      return Parses<pb::ObservableRecord>(value);
    case RecordKind::kTenant:
      return Parses<pb::TenantRecord>(value);
    case RecordKind::kToken:
      return Parses<pb::TokenRecord>(value);
    case RecordKind::kShare:
      return Parses<pb::ShareRecord>(value);
    case RecordKind::kUsage:
      return Parses<pb::UsageRecord>(value);
  }
  return false;
}

}  // namespace

absl::Status CheckCatalogRecord(std::string_view key, std::string_view value) {
  if (!key.empty() && IsReadable(static_cast<RecordKind>(key[0]), value)) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "catalog record ", absl::BytesToHexString(absl::string_view(key.data(), key.size())),
      " cannot be read"));
}

}  // namespace bif::storage
