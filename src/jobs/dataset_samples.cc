// Samples of a dataset by id, in pages, deleted, and as ordinals; and the digest over all of them.
#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/dataset_record.h"
#include "src/jobs/datasets.h"
#include "src/jobs/resource_names.h"

namespace bif::jobs {
namespace {

using storage::pb::DatasetRecord;

constexpr int64_t kHeadersAtOnce = 4096;

}  // namespace

absl::StatusOr<StoredSample> Datasets::GetSample(const std::string& name) {
  BIF_ASSIGN_OR_RETURN(const auto ids, ParseSampleName(name, "name"));
  BIF_ASSIGN_OR_RETURN(const DatasetRecord record, RecordById(ids.first));
  BIF_ASSIGN_OR_RETURN(const auto ordinals, OrdinalsOf(record, {ids.second}));
  BIF_ASSIGN_OR_RETURN(const SampleBatch batch, store_.samples().Read(record.number(), ordinals));
  StoredSample stored;
  stored.name = name;
  stored.digest = ToHex(storage::SampleDigest(batch, 0));
  stored.sample = SampleAt(batch, 0, ids.second);
  return stored;
}

absl::StatusOr<Page<StoredSample>> Datasets::ListSamples(const std::string& dataset,
                                                         const PageRequest& request,
                                                         bool include_tensors) {
  BIF_ASSIGN_OR_RETURN(const DatasetRecord record, Record(dataset, "dataset"));
  const std::string arguments = absl::StrCat("samples of ", record.id());
  BIF_ASSIGN_OR_RETURN(const PageCursor cursor, OpenPage(request, arguments));
  Page<StoredSample> page;
  std::vector<uint32_t> ordinals;
  int64_t next = cursor.after.empty() ? 0 : std::strtoll(cursor.after.c_str(), nullptr, 10);
  while (next < record.rows() && ordinals.size() < cursor.size) {
    BIF_ASSIGN_OR_RETURN(const auto headers, store_.samples().ReadHeaders(
                                                 record.number(), next,
                                                 std::min(kHeadersAtOnce, record.rows() - next)));
    if (headers.empty()) break;
    for (size_t i = 0; i < headers.size() && ordinals.size() < cursor.size; ++i, ++next) {
      if (headers[i].deleted) continue;
      ordinals.push_back(static_cast<uint32_t>(next));
      StoredSample stored;
      stored.name = SampleName(record.id(), headers[i].id);
      stored.digest = ToHex(headers[i].digest);
      stored.sample.id = headers[i].id;
      page.items.push_back(std::move(stored));
    }
  }
  if (next < record.rows()) page.next_page_token = NextPageToken(arguments, absl::StrCat(next));
  if (include_tensors && !ordinals.empty()) {
    BIF_ASSIGN_OR_RETURN(const SampleBatch batch, store_.samples().Read(record.number(), ordinals));
    for (size_t i = 0; i < page.items.size(); ++i) {
      page.items[i].sample = SampleAt(batch, static_cast<int64_t>(i), page.items[i].sample.id);
    }
  }
  return page;
}

absl::StatusOr<int64_t> Datasets::DeleteSamples(const std::string& dataset,
                                                const std::vector<std::string>& sample_ids) {
  BIF_ASSIGN_OR_RETURN(const DatasetRecord before, Record(dataset, "dataset"));
  absl::MutexLock lock(&LockOf(before.number()));
  BIF_ASSIGN_OR_RETURN(DatasetRecord record, RecordById(before.id()));
  BIF_ASSIGN_OR_RETURN(std::vector<uint32_t> ordinals, OrdinalsOf(record, sample_ids));
  std::sort(ordinals.begin(), ordinals.end());
  ordinals.erase(std::unique(ordinals.begin(), ordinals.end()), ordinals.end());
  if (ordinals.empty()) return 0;
  storage::WriteSet writes;
  BIF_RETURN_IF_ERROR(store_.samples().MarkDeleted(record.number(), ordinals, writes));
  record.set_deleted(record.deleted() + static_cast<int64_t>(ordinals.size()));
  record.clear_digest();
  writes.Put(storage::DatasetKey(record.id()), record);
  BIF_RETURN_IF_ERROR(store_.catalog().Commit(writes));
  if (on_erasable_) on_erasable_(record.id());
  return static_cast<int64_t>(ordinals.size());
}

absl::StatusOr<std::vector<uint32_t>> Datasets::OrdinalsOf(
    const DatasetRecord& dataset, const std::vector<std::string>& sample_ids) {
  std::vector<storage::RecordKey> keys;
  keys.reserve(sample_ids.size());
  for (const std::string& id : sample_ids)
    keys.push_back(storage::SampleIndexKey(dataset.number(), id));
  BIF_ASSIGN_OR_RETURN(const auto found, store_.catalog().GetU32s(keys));
  std::vector<uint32_t> ordinals;
  ordinals.reserve(found.size());
  for (size_t i = 0; i < found.size(); ++i) {
    if (!found[i])
      return absl::NotFoundError(
          absl::StrCat(SampleName(dataset.id(), sample_ids[i]), " does not exist"));
    ordinals.push_back(*found[i]);
  }
  return ordinals;
}

absl::StatusOr<std::vector<uint32_t>> Datasets::LivingOrdinals(const DatasetRecord& dataset) {
  std::vector<uint32_t> ordinals;
  ordinals.reserve(dataset.rows() - dataset.deleted());
  for (int64_t first = 0; first < dataset.rows();) {
    BIF_ASSIGN_OR_RETURN(const auto headers, store_.samples().ReadHeaders(
                                                 dataset.number(), first,
                                                 std::min(kHeadersAtOnce, dataset.rows() - first)));
    if (headers.empty()) break;
    for (size_t i = 0; i < headers.size(); ++i) {
      if (!headers[i].deleted) ordinals.push_back(static_cast<uint32_t>(first + i));
    }
    first += static_cast<int64_t>(headers.size());
  }
  return ordinals;
}

absl::StatusOr<std::string> Datasets::DigestOf(const DatasetRecord& dataset) {
  if (!dataset.digest().empty()) return dataset.digest();
  Sha256 sha;
  sha.UpdateField("bif dataset 1");
  for (const auto& column : dataset.columns()) sha.UpdateField(FromRecord(column).ToString());
  for (int64_t first = 0; first < dataset.rows();) {
    BIF_ASSIGN_OR_RETURN(const auto headers, store_.samples().ReadHeaders(
                                                 dataset.number(), first,
                                                 std::min(kHeadersAtOnce, dataset.rows() - first)));
    if (headers.empty()) break;
    for (const storage::SampleHeader& header : headers) {
      if (header.deleted) continue;
      sha.UpdateField(header.id);
      sha.Update({reinterpret_cast<const char*>(header.digest.data()), header.digest.size()});
    }
    first += static_cast<int64_t>(headers.size());
  }
  const std::string digest = ToHex(sha.Finish());
  // Kept, unless the dataset has changed meanwhile.
  absl::MutexLock lock(&LockOf(dataset.number()));
  absl::StatusOr<DatasetRecord> now = RecordById(dataset.id());
  if (now.ok() && now->number() == dataset.number() && now->rows() == dataset.rows() &&
      now->deleted() == dataset.deleted()) {
    now->set_digest(digest);
    storage::WriteSet writes;
    writes.Put(storage::DatasetKey(dataset.id()), *now);
    BIF_RETURN_IF_ERROR(store_.catalog().Commit(writes));
  }
  return digest;
}

}  // namespace bif::jobs
