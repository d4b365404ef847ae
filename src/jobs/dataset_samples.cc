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
// What a sample takes in a page beside its tensors: id, digest and names.
constexpr int64_t kOverheadBytes = 256;

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
                                                         int64_t max_tensor_bytes) {
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
  if (max_tensor_bytes > 0 && !ordinals.empty()) {
    BIF_ASSIGN_OR_RETURN(const size_t fitting,
                         ReadTensors(record.number(), ordinals, max_tensor_bytes, page.items));
    if (fitting < page.items.size()) {
      next = ordinals[fitting];
      page.items.resize(fitting);
    }
  }
  if (next < record.rows()) page.next_page_token = NextPageToken(arguments, absl::StrCat(next));
  return page;
}

absl::StatusOr<size_t> Datasets::ReadTensors(uint32_t dataset_number,
                                             const std::vector<uint32_t>& ordinals,
                                             int64_t max_bytes, std::vector<StoredSample>& items) {
  int64_t bytes = 0;
  // Samples may have any length, so a few are read at first, and then more and more.
  for (size_t done = 0, group = 1; done < items.size(); group *= 2) {
    const auto begin = ordinals.begin() + static_cast<int64_t>(done);
    const size_t count = std::min(group, items.size() - done);
    BIF_ASSIGN_OR_RETURN(const SampleBatch batch,
                         store_.samples().Read(dataset_number, {begin, begin + count}));
    for (int64_t row = 0; row < batch.rows; ++row, ++done) {
      Sample sample = SampleAt(batch, row, items[done].sample.id);
      for (const Column& tensor : sample.tensors) bytes += static_cast<int64_t>(tensor.data.size());
      bytes += kOverheadBytes;
      if (bytes > max_bytes && done > 0) return done;
      items[done].sample = std::move(sample);
    }
  }
  return items.size();
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
