#include "src/jobs/datasets.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/checkpoint_records.h"
#include "src/jobs/dataset_record.h"
#include "src/jobs/list_records.h"
#include "src/jobs/resource_names.h"
#include "src/storage/big_endian.h"

namespace bif::jobs {
namespace {

using storage::RecordKind;
using storage::pb::DatasetRecord;

constexpr size_t kMaxIdBytes = 63;

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

Digest BodyOf(const DatasetSpec& spec) {
  Sha256 sha;
  sha.UpdateField("dataset");
  sha.UpdateField(spec.id);
  sha.UpdateField(spec.display_name);
  for (const TensorSpec& column : spec.columns) sha.UpdateField(column.ToString());
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
  BIF_RETURN_IF_ERROR(CheckDatasetId(std::string(WithoutTenant(spec.id))));
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

}  // namespace bif::jobs
