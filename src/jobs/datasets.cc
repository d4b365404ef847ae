#include "src/jobs/datasets.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/checkpoint_records.h"
#include "src/jobs/list_records.h"
#include "src/jobs/resource_names.h"
#include "src/storage/big_endian.h"

namespace bif::jobs {
namespace {

using storage::RecordKind;
using storage::pb::DatasetRecord;

constexpr size_t kMaxIdBytes = 63;
constexpr size_t kMaxSampleIdBytes = 256;
constexpr int64_t kHeadersAtOnce = 4096;
constexpr int64_t kMaxRows = int64_t{1} << 31;  // ordinals are 32 bits

absl::Status CheckDatasetId(const std::string& id) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (id.empty() || id.size() > kMaxIdBytes || id[0] < 'a' || id[0] > 'z' ||
      !std::all_of(id.begin(), id.end(), allowed)) {
    return FieldError(
        "dataset_id",
        absl::StrCat("must be 1 to 63 of a-z, 0-9 and -, beginning with a letter; is \"", id,
                     "\""));
  }
  return absl::OkStatus();
}

absl::Status CheckSampleId(const std::string& id, const std::string& path) {
  if (id.empty()) return FieldError(path, "must not be empty");
  if (id.size() > kMaxSampleIdBytes)
    return FieldError(path, absl::StrCat("must have at most ", kMaxSampleIdBytes, " bytes"));
  for (const char c : id) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return FieldError(path, "must not hold control characters");
  }
  return absl::OkStatus();
}

std::vector<TensorSpec> ColumnsOf(const DatasetRecord& record) {
  std::vector<TensorSpec> columns;
  for (const auto& column : record.columns()) columns.push_back(FromRecord(column));
  return columns;
}

Digest BodyOf(const DatasetSpec& spec) {
  Sha256 sha;
  sha.UpdateField("dataset");
  sha.UpdateField(spec.id);
  sha.UpdateField(spec.display_name);
  for (const TensorSpec& column : spec.columns) sha.UpdateField(column.ToString());
  return sha.Finish();
}

Digest BodyOf(const std::string& dataset_id, const SampleBatch& rows,
              const std::vector<std::string>& ids) {
  Sha256 sha;
  sha.UpdateField("append");
  sha.UpdateField(dataset_id);
  for (const std::string& id : ids) sha.UpdateField(id);
  for (const Column& column : rows.columns) {
    sha.UpdateField(column.spec.ToString());
    sha.UpdateField({reinterpret_cast<const char*>(column.data.data()), column.data.size()});
  }
  return sha.Finish();
}

}  // namespace

Datasets::Datasets(storage::Store& store, const AllowedPaths& paths, Clock& clock,
                   absl::Mutex& reference_mutex, const Options& options)
    : store_(store),
      paths_(paths),
      clock_(clock),
      reference_mutex_(reference_mutex),
      options_(options),
      request_ids_(store.catalog()) {}

absl::Mutex& Datasets::LockOf(uint32_t dataset_number) {
  absl::MutexLock lock(&locks_mutex_);
  std::unique_ptr<absl::Mutex>& mutex = locks_[dataset_number];
  if (mutex == nullptr) mutex = std::make_unique<absl::Mutex>();
  return *mutex;
}

absl::StatusOr<DatasetRecord> Datasets::RecordById(const std::string& id) {
  auto record = store_.catalog().Get<DatasetRecord>(storage::DatasetKey(id));
  if (absl::IsNotFound(record.status()))
    return absl::NotFoundError(absl::StrCat(DatasetName(id), " does not exist"));
  return record;
}

absl::StatusOr<DatasetRecord> Datasets::Record(const std::string& name, std::string_view field) {
  BIF_ASSIGN_OR_RETURN(const std::string id, IdFromName("datasets", name, field));
  return RecordById(id);
}

absl::StatusOr<Dataset> Datasets::View(const DatasetRecord& record) {
  Dataset dataset;
  dataset.id = record.id();
  dataset.name = DatasetName(record.id());
  dataset.display_name = record.display_name();
  dataset.columns = ColumnsOf(record);
  dataset.samples = record.rows() - record.deleted();
  dataset.create_time = absl::FromUnixMicros(record.create_time_unix_micros());
  dataset.number = record.number();
  dataset.rows = record.rows();
  BIF_ASSIGN_OR_RETURN(dataset.digest, DigestOf(record));
  return dataset;
}

absl::StatusOr<Dataset> Datasets::Create(const DatasetSpec& spec) {
  BIF_RETURN_IF_ERROR(CheckDatasetId(spec.id));
  if (const absl::Status valid = ValidateColumns(spec.columns); !valid.ok())
    return FieldError("columns", std::string(valid.message()));
  const Digest body = BodyOf(spec);
  DatasetRecord record;
  {
    absl::MutexLock lock(&reference_mutex_);
    BIF_ASSIGN_OR_RETURN(const auto before, request_ids_.Find(spec.request, body));
    auto known = RecordById(spec.id);
    if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
    if (known.ok()) {
      if (ColumnsOf(*known) != spec.columns || known->display_name() != spec.display_name) {
        return absl::AlreadyExistsError(absl::StrCat(
            DatasetName(spec.id), " exists with other columns or another display name"));
      }
      record = *std::move(known);
    } else {
      BIF_ASSIGN_OR_RETURN(const uint64_t number, store_.catalog().NextNumber("dataset"));
      record.set_id(spec.id);
      record.set_display_name(spec.display_name);
      for (const TensorSpec& column : spec.columns) *record.add_columns() = ToRecord(column);
      record.set_number(static_cast<uint32_t>(number));
      record.set_create_time_unix_micros(absl::ToUnixMicros(clock_.Now()));
      storage::WriteSet writes;
      writes.Put(storage::DatasetKey(spec.id), record);
      if (!before) request_ids_.Remember(spec.request, body, spec.id, clock_.Now(), writes);
      BIF_RETURN_IF_ERROR(store_.catalog().Commit(writes));
    }
  }
  return View(record);
}

absl::StatusOr<Dataset> Datasets::Get(const std::string& name) {
  BIF_ASSIGN_OR_RETURN(const DatasetRecord record, Record(name, "name"));
  return View(record);
}

absl::StatusOr<Page<Dataset>> Datasets::List(const PageRequest& request) {
  const auto keep = [](const DatasetRecord& record) { return record; };
  const auto shown = [](const DatasetRecord& record) { return !record.hidden(); };
  BIF_ASSIGN_OR_RETURN(const auto records, (ListRecordsIf<DatasetRecord, DatasetRecord>(
                                               store_.catalog(), RecordKind::kDataset, "datasets",
                                               request, keep, shown)));
  Page<Dataset> page;
  page.next_page_token = records.next_page_token;
  for (const DatasetRecord& record : records.items) {
    BIF_ASSIGN_OR_RETURN(Dataset dataset, View(record));
    page.items.push_back(std::move(dataset));
  }
  return page;
}

absl::Status Datasets::Delete(const std::string& name) {
  absl::MutexLock reference_lock(&reference_mutex_);
  BIF_ASSIGN_OR_RETURN(const DatasetRecord record, Record(name, "name"));
  storage::Catalog& catalog = store_.catalog();
  BIF_ASSIGN_OR_RETURN(const auto posteriors, catalog.Scan<storage::pb::PosteriorRecord>(
                                                  storage::KindPrefix(RecordKind::kPosterior)));
  storage::WriteSet writes;
  for (const auto& [key, posterior] : posteriors) {
    if (posterior.dataset() == record.id()) {
      return WithReason(absl::FailedPreconditionError(
                            absl::StrCat(name, " is the training data of ",
                                         PosteriorName(posterior.key()), "; delete that first")),
                        "STILL_NEEDED");
    }
    // Traces of its samples at this posterior: their extents go now, their tiles with the
    // posterior.
    const storage::RecordKey prefix = storage::TraceExtentPrefix(posterior.number());
    BIF_ASSIGN_OR_RETURN(const auto extents, catalog.ScanBytes(prefix, "", 0));
    for (const auto& [suffix, bytes] : extents) {
      // A key goes on with array and dataset, 32 bits each.
      if (storage::ReadBigEndian<uint32_t>(suffix, sizeof(uint32_t)) == record.number()) {
        writes.Delete({prefix.bytes + suffix});
      }
    }
  }
  absl::MutexLock lock(&LockOf(record.number()));
  writes.Delete(storage::DatasetKey(record.id()));
  BIF_RETURN_IF_ERROR(catalog.Commit(writes));
  return store_.samples().DeleteDataset(record.number());
}

absl::StatusOr<AppendResult> Datasets::Grow(const RequestId& request, const Digest& body,
                                            const std::string& id, const WriteRows& write) {
  BIF_ASSIGN_OR_RETURN(const DatasetRecord before, RecordById(id));
  AppendResult result;
  DatasetRecord record;
  {
    absl::MutexLock lock(&LockOf(before.number()));
    BIF_ASSIGN_OR_RETURN(record, RecordById(id));  // it may have grown, or gone
    BIF_ASSIGN_OR_RETURN(const auto known, request_ids_.Find(request, body));
    if (known) {
      result.appended = std::strtoll(known->c_str(), nullptr, 10);
    } else {
      storage::WriteSet writes;
      BIF_ASSIGN_OR_RETURN(result.appended, write(record, writes));
      if (result.appended > 0) {
        record.set_rows(record.rows() + result.appended);
        record.clear_digest();
        writes.Put(storage::DatasetKey(id), record);
      }
      request_ids_.Remember(request, body, absl::StrCat(result.appended), clock_.Now(), writes);
      if (!writes.changes().empty()) BIF_RETURN_IF_ERROR(store_.catalog().Commit(writes));
    }
  }
  BIF_ASSIGN_OR_RETURN(result.dataset, View(record));
  return result;
}

absl::StatusOr<std::unique_ptr<Datasets::Append>> Datasets::StartAppend(
    const RequestId& request, const std::string& dataset) {
  BIF_ASSIGN_OR_RETURN(const DatasetRecord record, Record(dataset, "dataset"));
  auto append = std::make_unique<Append>();
  append->datasets_ = this;
  append->request_ = request;
  append->dataset_id_ = record.id();
  append->columns_ = ColumnsOf(record);
  return append;
}

absl::Status Datasets::Append::Add(absl::Span<const Sample> samples) {
  if (!dead_.ok()) return dead_;
  absl::StatusOr<SampleBatch> batch = BatchOf(samples, columns_, "samples");
  if (!batch.ok()) return dead_ = batch.status();
  std::vector<std::string> ids;
  for (const Sample& sample : samples) ids.push_back(sample.id);
  return Add(*std::move(batch), std::move(ids));
}

absl::Status Datasets::Append::Add(SampleBatch batch, std::vector<std::string> ids) {
  if (!dead_.ok()) return dead_;
  dead_ = [&]() -> absl::Status {
    if (static_cast<int64_t>(ids.size()) != batch.rows) {
      return FieldError("samples",
                        absl::StrCat("there are ", ids.size(), " ids for ", batch.rows, " rows"));
    }
    if (const absl::Status valid = ValidateBatch(batch, columns_); !valid.ok()) {
      return FieldError("samples", std::string(valid.message()));
    }
    for (size_t i = 0; i < ids.size(); ++i) {
      const std::string path = absl::StrCat("samples[", i, "].id");
      BIF_RETURN_IF_ERROR(CheckSampleId(ids[i], path));
      if (!known_ids_.insert(ids[i]).second) {
        return FieldError(path, absl::StrCat("\"", ids[i], "\" comes twice in this append"));
      }
    }
    for (const Column& column : batch.columns) bytes_ += static_cast<int64_t>(column.data.size());
    if (bytes_ > datasets_->options_.max_append_bytes) {
      return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                            "one append holds at most ", datasets_->options_.max_append_bytes,
                            " bytes; split it into several, or import the samples from files")),
                        "APPEND_TOO_LARGE");
    }
    return absl::OkStatus();
  }();
  if (!dead_.ok()) return dead_;
  AppendRows(batch, rows_);
  ids_.insert(ids_.end(), std::make_move_iterator(ids.begin()), std::make_move_iterator(ids.end()));
  return absl::OkStatus();
}

absl::StatusOr<AppendResult> Datasets::Append::Commit() {
  if (!dead_.ok()) return dead_;
  dead_ = absl::FailedPreconditionError("this append has been committed already");
  return datasets_->Grow(
      request_, BodyOf(dataset_id_, rows_, ids_), dataset_id_,
      [this](const DatasetRecord& record, storage::WriteSet& writes) -> absl::StatusOr<int64_t> {
        if (rows_.rows == 0) return 0;
        if (record.rows() + rows_.rows > kMaxRows)
          return absl::ResourceExhaustedError("a dataset holds at most 2^31 rows");
        BIF_RETURN_IF_ERROR(datasets_->store_.HasSpaceFor(bytes_));
        BIF_RETURN_IF_ERROR(datasets_->store_.samples().Write(record.number(), record.rows(), rows_,
                                                              ids_, false, writes));
        return rows_.rows;
      });
}

absl::StatusOr<DatasetRecord> Datasets::EnsureHidden(const std::string& id,
                                                     const std::vector<TensorSpec>& columns) {
  absl::MutexLock lock(&reference_mutex_);
  auto known = RecordById(id);
  if (known.ok() || !absl::IsNotFound(known.status())) return known;
  BIF_ASSIGN_OR_RETURN(const uint64_t number, store_.catalog().NextNumber("dataset"));
  DatasetRecord record;
  record.set_id(id);
  for (const TensorSpec& column : columns) *record.add_columns() = ToRecord(column);
  record.set_number(static_cast<uint32_t>(number));
  record.set_create_time_unix_micros(absl::ToUnixMicros(clock_.Now()));
  record.set_hidden(true);
  storage::WriteSet writes;
  writes.Put(storage::DatasetKey(id), record);
  BIF_RETURN_IF_ERROR(store_.catalog().Commit(writes));
  return record;
}

absl::StatusOr<uint32_t> Datasets::AppendHidden(const std::string& id, const SampleBatch& rows,
                                                const std::vector<std::string>& ids) {
  BIF_ASSIGN_OR_RETURN(const DatasetRecord before, RecordById(id));
  absl::MutexLock lock(&LockOf(before.number()));
  BIF_ASSIGN_OR_RETURN(DatasetRecord record, RecordById(id));
  int64_t bytes = 0;
  for (const Column& column : rows.columns) bytes += static_cast<int64_t>(column.data.size());
  BIF_RETURN_IF_ERROR(store_.HasSpaceFor(bytes));
  const auto first = static_cast<uint32_t>(record.rows());
  storage::WriteSet writes;
  BIF_RETURN_IF_ERROR(store_.samples().Write(record.number(), first, rows, ids, true, writes));
  record.set_rows(record.rows() + rows.rows);
  record.clear_digest();
  writes.Put(storage::DatasetKey(id), record);
  BIF_RETURN_IF_ERROR(store_.catalog().Commit(writes));
  return first;
}

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
