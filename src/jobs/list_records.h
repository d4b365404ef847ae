// A page of catalog records of one kind, in key order. Used by the managers; pure but for the
// catalog.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "src/base/status.h"
#include "src/jobs/pagination.h"
#include "src/jobs/tenant.h"
#include "src/storage/catalog.h"

namespace bif::jobs {

// The keys of a tenant's resources of a kind whose keys are ids, and how a listing of them is bound
// to the tenant.
inline storage::RecordKey TenantPrefix(storage::RecordKind kind, const std::string& tenant) {
  return {storage::KindPrefix(kind).bytes + ScopedId(tenant, "")};
}
// The default tenant's prefix is everybody's.
inline bool IsForeign(const std::string& key_behind_prefix) {
  return key_behind_prefix.find(kTenantMark) != std::string::npos;
}

// All of a tenant's records of such a kind.
template <typename Record>
absl::StatusOr<std::vector<Record>> RecordsOf(storage::Catalog& catalog, storage::RecordKind kind,
                                              const std::string& tenant) {
  BIF_ASSIGN_OR_RETURN(auto found, catalog.Scan<Record>(TenantPrefix(kind, tenant)));
  std::vector<Record> records;
  for (auto& [key, record] : found) {
    if (!IsForeign(key)) records.push_back(std::move(record));
  }
  return records;
}

// `view` turns a record into an Item; `shown` leaves records out (pages may then be shorter than
// asked for).
template <typename Record, typename Item, typename View, typename Shown>
absl::StatusOr<Page<Item>> ListRecordsIf(storage::Catalog& catalog, storage::RecordKind kind,
                                         const std::string& listing, const PageRequest& request,
                                         const View& view, const Shown& shown) {
  const std::string arguments = ScopedId(request.tenant, listing);
  BIF_ASSIGN_OR_RETURN(const PageCursor cursor, OpenPage(request, arguments));
  // One more than a page, to know whether there is a next one.
  BIF_ASSIGN_OR_RETURN(const auto records, catalog.Scan<Record>(TenantPrefix(kind, request.tenant),
                                                                cursor.after, cursor.size + 1));
  Page<Item> page;
  for (size_t i = 0; i < std::min(records.size(), cursor.size); ++i) {
    if (!IsForeign(records[i].first) && shown(records[i].second))
      page.items.push_back(view(records[i].second));
  }
  if (records.size() > cursor.size)
    page.next_page_token = NextPageToken(arguments, records[cursor.size - 1].first);
  return page;
}

template <typename Record, typename Item, typename View>
absl::StatusOr<Page<Item>> ListRecords(storage::Catalog& catalog, storage::RecordKind kind,
                                       const std::string& listing, const PageRequest& request,
                                       const View& view) {
  return ListRecordsIf<Record, Item>(catalog, kind, listing, request, view,
                                     [](const Record&) { return true; });
}

}  // namespace bif::jobs
