// How rows come into a dataset: append sessions, and the one commit that they and imports share.
#include <cstdlib>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/dataset_record.h"
#include "src/jobs/datasets.h"

namespace bif::jobs {
namespace {

using storage::pb::DatasetRecord;

constexpr size_t kMaxSampleIdBytes = 256;
constexpr int64_t kMaxRows = int64_t{1} << 31;  // ordinals are 32 bits

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

Digest BodyOf(const std::string& dataset_id, const SampleBatch& rows,
              const std::vector<std::string>& ids) {
  Sha256 sha;
  sha.UpdateField("append");
  sha.UpdateField(dataset_id);
  for (const std::string& id : ids) sha.UpdateField(id);
  for (const Column& column : rows.columns) {
    sha.UpdateField(column.spec.ToString());
    sha.UpdateField({reinterpret_cast<const char*>(column.data.data()), column.data.size()});
    for (const uint64_t end : column.row_ends) sha.UpdateU64(end);
  }
  return sha.Finish();
}

}  // namespace

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
      BIF_ASSIGN_OR_RETURN(const Written written, write(record, writes));
      result.appended = written.rows;
      if (result.appended > 0) {
        record.set_rows(record.rows() + written.rows);
        record.set_bytes(record.bytes() + written.bytes);
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
      request_, request_.id.empty() ? Digest{} : BodyOf(dataset_id_, rows_, ids_), dataset_id_,
      [this](const DatasetRecord& record, storage::WriteSet& writes) -> absl::StatusOr<Written> {
        if (rows_.rows == 0) return Written{};
        if (record.rows() + rows_.rows > kMaxRows)
          return absl::ResourceExhaustedError("a dataset holds at most 2^31 rows");
        BIF_RETURN_IF_ERROR(datasets_->AdmitBytes(dataset_id_, bytes_));
        BIF_RETURN_IF_ERROR(datasets_->store_.HasSpaceFor(bytes_));
        BIF_RETURN_IF_ERROR(datasets_->store_.samples().Write(record.number(), record.rows(), rows_,
                                                              ids_, false, writes));
        return Written{rows_.rows, bytes_};
      });
}

absl::Status Datasets::AdmitBytes(const std::string& id, int64_t bytes) const {
  return options_.admit_bytes ? options_.admit_bytes(TenantOf(id), bytes) : absl::OkStatus();
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
  BIF_RETURN_IF_ERROR(AdmitBytes(id, bytes));
  BIF_RETURN_IF_ERROR(store_.HasSpaceFor(bytes));
  const auto first = static_cast<uint32_t>(record.rows());
  storage::WriteSet writes;
  BIF_RETURN_IF_ERROR(store_.samples().Write(record.number(), first, rows, ids, true, writes));
  record.set_rows(record.rows() + rows.rows);
  record.set_bytes(record.bytes() + bytes);
  record.clear_digest();
  writes.Put(storage::DatasetKey(id), record);
  BIF_RETURN_IF_ERROR(store_.catalog().Commit(writes));
  return first;
}

}  // namespace bif::jobs
