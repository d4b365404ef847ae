// Datasets::Import: rows of files, batch by batch, under one commit.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/dataset_record.h"
#include "src/jobs/datasets.h"
#include "src/storage/import/row_source.h"

namespace bif::jobs {
namespace {

using storage::RowSource;
using storage::pb::DatasetRecord;

constexpr int64_t kRowsAtOnce = 8192;

// The request's field that holds the source: idx, cifar or safetensors.
constexpr const char* kSourceFields[] = {"idx", "cifar", "safetensors"};

template <typename Resolve>
absl::StatusOr<std::unique_ptr<RowSource>> Open(const Resolve& resolve, const ImportSpec& spec,
                                                const std::vector<TensorSpec>& columns) {
  if (const auto* idx = std::get_if<IdxFiles>(&spec.source)) {
    std::vector<storage::IdxColumnFile> files;
    for (size_t i = 0; i < idx->files.size(); ++i) {
      BIF_ASSIGN_OR_RETURN(std::string path,
                           resolve(idx->files[i].path, absl::StrCat("idx.columns[", i, "].path")));
      files.push_back({idx->files[i].column, std::move(path)});
    }
    return storage::OpenIdxFiles(files, columns);
  }
  if (const auto* cifar = std::get_if<CifarRecords>(&spec.source)) {
    std::vector<std::string> files;
    for (size_t i = 0; i < cifar->paths.size(); ++i) {
      BIF_ASSIGN_OR_RETURN(std::string path,
                           resolve(cifar->paths[i], absl::StrCat("cifar.paths[", i, "]")));
      files.push_back(std::move(path));
    }
    return storage::OpenCifarRecords(files, cifar->image_column, cifar->label_column, columns);
  }
  BIF_ASSIGN_OR_RETURN(const std::string path,
                       resolve(std::get<SafetensorsColumns>(spec.source).path, "safetensors.path"));
  return storage::OpenSafetensorsColumns(path, columns);
}

void UpdateBody(const ImportSpec& spec, Sha256& sha) {
  sha.UpdateField("import");
  sha.UpdateField(spec.dataset);
  sha.UpdateU64(spec.source.index());
  if (const auto* idx = std::get_if<IdxFiles>(&spec.source)) {
    for (const IdxFiles::File& file : idx->files) {
      sha.UpdateField(file.column);
      sha.UpdateField(file.path);
    }
  } else if (const auto* cifar = std::get_if<CifarRecords>(&spec.source)) {
    for (const std::string& path : cifar->paths) sha.UpdateField(path);
    sha.UpdateField(cifar->image_column);
    sha.UpdateField(cifar->label_column);
  } else {
    sha.UpdateField(std::get<SafetensorsColumns>(spec.source).path);
  }
  sha.UpdateField(spec.id_prefix);
  sha.UpdateU64(static_cast<uint64_t>(spec.first_id));
  sha.UpdateU64(static_cast<uint64_t>(spec.skip_rows));
  sha.UpdateU64(static_cast<uint64_t>(spec.max_rows));
}

// What a file gets wrong is a fault of the field that named it.
absl::Status SourceError(const absl::Status& status, const ImportSpec& spec) {
  if (!absl::IsInvalidArgument(status) || FieldPath(status)) return status;
  return FieldError(kSourceFields[spec.source.index()], std::string(status.message()));
}

int64_t BytesOf(const SampleBatch& batch) {
  int64_t bytes = 0;
  for (const Column& column : batch.columns) bytes += static_cast<int64_t>(column.data.size());
  return bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Upload>> Datasets::NewUpload() {
  return Upload::Start(store_, options_.max_file_bytes);
}

absl::StatusOr<AppendResult> Datasets::Import(const ImportSpec& spec) {
  Sha256 body;
  UpdateBody(spec, body);
  return ImportFrom(spec, body.Finish(), [this](const std::string& path, const std::string& field) {
    return paths_.Resolve(path, field);
  });
}

absl::StatusOr<AppendResult> Datasets::Import(const ImportSpec& spec,
                                              absl::Span<const NamedUpload> files) {
  Sha256 body;
  UpdateBody(spec, body);
  std::map<std::string, std::string> paths;  // by name
  for (const NamedUpload& file : files) {
    const std::string& path = file.upload->temporary_path();
    BIF_ASSIGN_OR_RETURN(const Digest content, DigestFile(path));
    body.UpdateField(ToHex(content));
    paths[file.name] = path;
  }
  const absl::StatusOr<AppendResult> result = ImportFrom(
      spec, body.Finish(),
      [&](const std::string& name, const std::string& field) -> absl::StatusOr<std::string> {
        const auto found = paths.find(name);
        if (found == paths.end())
          return FieldError(field, absl::StrCat("no file named ", name, " came"));
        return found->second;
      });
  return result.ok() ? result : WithFileNames(result.status(), files);
}

absl::StatusOr<AppendResult> Datasets::ImportFrom(const ImportSpec& spec, const Digest& body,
                                                  const ResolvePath& resolve) {
  BIF_ASSIGN_OR_RETURN(const DatasetRecord dataset, Record(spec.dataset, "dataset"));
  for (const auto& [value, field] : {std::pair<int64_t, const char*>{spec.first_id, "first_id"},
                                     {spec.skip_rows, "skip_rows"},
                                     {spec.max_rows, "max_rows"}}) {
    if (value < 0) return FieldError(field, absl::StrCat("must not be negative, is ", value));
  }
  if (spec.id_prefix.size() > 200) return FieldError("id_prefix", "must have at most 200 bytes");

  const auto write = [&](const DatasetRecord& record,
                         storage::WriteSet& writes) -> absl::StatusOr<Written> {
    absl::StatusOr<std::unique_ptr<RowSource>> source = Open(resolve, spec, ColumnsOf(record));
    if (!source.ok()) return SourceError(source.status(), spec);
    if (const absl::Status skipped = storage::SkipRows(**source, spec.skip_rows); !skipped.ok()) {
      return SourceError(skipped, spec);
    }
    // Rows of the file, from 0; ids count from there.
    int64_t row = std::min(spec.skip_rows, (*source)->rows());
    const int64_t end =
        spec.max_rows == 0 ? (*source)->rows() : std::min((*source)->rows(), row + spec.max_rows);
    Written imported;
    while (row < end) {
      absl::StatusOr<SampleBatch> batch = (*source)->Next(std::min(kRowsAtOnce, end - row));
      if (!batch.ok()) return SourceError(batch.status(), spec);
      if (batch->rows == 0) break;
      if (const absl::Status valid = ValidateBatch(*batch, ColumnsOf(record)); !valid.ok()) {
        return SourceError(Annotate(valid, absl::StrCat("rows from ", row, " on")), spec);
      }
      std::vector<std::string> ids;
      ids.reserve(batch->rows);
      for (int64_t r = 0; r < batch->rows; ++r)
        ids.push_back(absl::StrCat(spec.id_prefix, spec.first_id + row + r));
      BIF_RETURN_IF_ERROR(AdmitBytes(record.id(), imported.bytes + BytesOf(*batch)));
      BIF_RETURN_IF_ERROR(store_.HasSpaceFor(BytesOf(*batch)));
      BIF_RETURN_IF_ERROR(store_.samples().Write(record.number(), record.rows() + imported.rows,
                                                 *batch, ids, false, writes));
      imported.rows += batch->rows;
      imported.bytes += BytesOf(*batch);
      row += batch->rows;
    }
    return imported;
  };
  return Grow(spec.request, body, dataset.id(), write);
}

}  // namespace bif::jobs
