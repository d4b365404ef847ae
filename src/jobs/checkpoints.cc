#include "src/jobs/checkpoints.h"

#include <fstream>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "src/base/digest.h"
#include "src/base/status.h"
#include "src/jobs/checkpoint_records.h"
#include "src/jobs/field_paths.h"
#include "src/jobs/list_records.h"
#include "src/jobs/resource_names.h"

namespace bif::jobs {
namespace {

using storage::RecordKind;

constexpr int64_t kCopyChunkBytes = 1 << 20;
constexpr int64_t kDiskCheckBytes =
    64 << 20;  // how far a file may grow before the disk is asked again

absl::Status StillNeeded(const std::string& name, const std::string& by) {
  return WithReason(absl::FailedPreconditionError(
                        absl::StrCat(name, " is needed by ", by, "; delete that first")),
                    "STILL_NEEDED");
}

// The engine names the file it reads, which is the daemon's own temporary copy: a name that tells
// the caller nothing.
absl::Status WithoutPath(const absl::Status& status, const std::string& path) {
  absl::Status without(status.code(), absl::StrReplaceAll(status.message(), {{path, "the file"}}));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { without.SetPayload(url, payload); });
  return without;
}

}  // namespace

absl::Status Upload::Append(std::string_view bytes) {
  bytes_ += static_cast<int64_t>(bytes.size());
  if (bytes_ > max_bytes_) {
    return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                          "the file is larger than the limit of ", max_bytes_, " bytes")),
                      "FILE_TOO_LARGE");
  }
  if (bytes_ > checked_bytes_) {
    BIF_RETURN_IF_ERROR(store_->HasSpaceFor(kDiskCheckBytes));
    checked_bytes_ = bytes_ + kDiskCheckBytes;
  }
  return writer_->Append(bytes);
}

Checkpoints::Checkpoints(storage::Store& store, engine::Engine& engine, const AllowedPaths& paths,
                         Clock& clock, const Options& options)
    : store_(store),
      engine_(engine),
      paths_(paths),
      clock_(clock),
      options_(options),
      request_ids_(store.catalog()) {}

absl::StatusOr<std::unique_ptr<Upload>> Checkpoints::NewUpload() {
  auto upload = std::make_unique<Upload>();
  BIF_ASSIGN_OR_RETURN(upload->writer_, store_.blobs().NewBlob());
  upload->store_ = &store_;
  upload->max_bytes_ = options_.max_file_bytes;
  return upload;
}

absl::StatusOr<std::unique_ptr<Upload>> Checkpoints::CopyIn(const std::string& path,
                                                            std::string_view field) {
  BIF_ASSIGN_OR_RETURN(const std::string canonical, paths_.Resolve(path, field));
  std::ifstream file(canonical, std::ios::binary);
  if (!file) return FieldError(field, absl::StrCat(path, " cannot be opened"));
  BIF_ASSIGN_OR_RETURN(std::unique_ptr<Upload> upload, NewUpload());
  std::string chunk(kCopyChunkBytes, '\0');
  while (file.read(chunk.data(), kCopyChunkBytes) || file.gcount() > 0) {
    BIF_RETURN_IF_ERROR(upload->Append(std::string_view(chunk).substr(0, file.gcount())));
  }
  if (file.bad()) return absl::DataLossError(absl::StrCat(path, " cannot be read to its end"));
  return upload;
}

absl::StatusOr<Program> Checkpoints::CreateProgram(const ProgramSpec& spec,
                                                   const std::string& path) {
  BIF_ASSIGN_OR_RETURN(std::unique_ptr<Upload> file, CopyIn(path, "path"));
  return CreateProgram(spec, std::move(file));
}

absl::StatusOr<Program> Checkpoints::CreateProgram(const ProgramSpec& spec,
                                                   std::unique_ptr<Upload> file) {
  const std::string& file_path = file->writer_->temporary_path();
  absl::StatusOr<engine::ProgramInfo> inspected = engine_.InspectProgram(SourceOf(spec, file_path));
  if (!inspected.ok()) return WithoutPath(inspected.status(), file_path);
  const engine::ProgramInfo& info = *inspected;
  // Only now does the blob get its name; from here to the commit nobody may delete it.
  absl::MutexLock lock(&reference_mutex_);
  BIF_ASSIGN_OR_RETURN(const std::string blob, file->writer_->Finish());
  const std::string digest = ToHex(ProgramDigest(spec, blob));
  const Digest body = Sha256Of(absl::StrCat("program ", digest, " ", spec.display_name));
  absl::StatusOr<Program> program = [&]() -> absl::StatusOr<Program> {
    BIF_ASSIGN_OR_RETURN(const auto before, request_ids_.Find(spec.request, body));
    auto known = store_.catalog().Get<storage::pb::ProgramRecord>(storage::ProgramKey(digest));
    if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
    storage::WriteSet writes;
    if (!known.ok()) {
      known = ToRecord(spec, info, digest, blob, clock_.Now());
      writes.Put(storage::ProgramKey(digest), *known);
    }
    if (!before) request_ids_.Remember(spec.request, body, digest, clock_.Now(), writes);
    if (!writes.changes().empty()) BIF_RETURN_IF_ERROR(store_.catalog().Commit(writes));
    return FromRecord(*known);
  }();
  if (!program.ok()) (void)DeleteBlobIfUnused(blob);  // start-up sweeps what is left
  return program;
}

absl::StatusOr<Program> Checkpoints::GetProgram(const std::string& name) {
  BIF_ASSIGN_OR_RETURN(
      const std::string digest,
      ResolveDigest(store_.catalog(), RecordKind::kProgram, "programs", name, "name"));
  BIF_ASSIGN_OR_RETURN(const auto record, store_.catalog().Get<storage::pb::ProgramRecord>(
                                              storage::ProgramKey(digest)));
  return FromRecord(record);
}

absl::StatusOr<Page<Program>> Checkpoints::ListPrograms(const PageRequest& request) {
  return ListRecords<storage::pb::ProgramRecord, Program>(
      store_.catalog(), RecordKind::kProgram, "programs", request,
      [](const auto& record) { return FromRecord(record); });
}

absl::Status Checkpoints::DeleteProgram(const std::string& name) {
  absl::MutexLock lock(&reference_mutex_);
  BIF_ASSIGN_OR_RETURN(
      const std::string digest,
      ResolveDigest(store_.catalog(), RecordKind::kProgram, "programs", name, "name"));
  BIF_ASSIGN_OR_RETURN(const auto checkpoints, store_.catalog().Scan<storage::pb::CheckpointRecord>(
                                                   storage::KindPrefix(RecordKind::kCheckpoint)));
  for (const auto& [key, checkpoint] : checkpoints) {
    if (checkpoint.program() == digest)
      return StillNeeded(name, CheckpointName(checkpoint.digest()));
  }
  BIF_ASSIGN_OR_RETURN(const auto record, store_.catalog().Get<storage::pb::ProgramRecord>(
                                              storage::ProgramKey(digest)));
  storage::WriteSet writes;
  writes.Delete(storage::ProgramKey(digest));
  BIF_RETURN_IF_ERROR(store_.catalog().Commit(writes));
  return DeleteBlobIfUnused(record.blob());
}

absl::StatusOr<Checkpoint> Checkpoints::CreateCheckpoint(const CheckpointSpec& spec) {
  return Register(spec, nullptr);
}

absl::StatusOr<Checkpoint> Checkpoints::CreateCheckpoint(const CheckpointSpec& spec,
                                                         const std::string& path) {
  BIF_ASSIGN_OR_RETURN(std::unique_ptr<Upload> file, CopyIn(path, "path"));
  return Register(spec, std::move(file));
}

absl::StatusOr<Checkpoint> Checkpoints::CreateCheckpoint(const CheckpointSpec& spec,
                                                         std::unique_ptr<Upload> file) {
  return Register(spec, std::move(file));
}

absl::StatusOr<Checkpoint> Checkpoints::Register(const CheckpointSpec& spec,
                                                 std::unique_ptr<Upload> file) {
  storage::Catalog& catalog = store_.catalog();
  BIF_ASSIGN_OR_RETURN(
      const std::string program_digest,
      ResolveDigest(catalog, RecordKind::kProgram, "programs", spec.program, "program"));
  BIF_ASSIGN_OR_RETURN(const auto program, catalog.Get<storage::pb::ProgramRecord>(
                                               storage::ProgramKey(program_digest)));
  engine::WeightsSource weights;
  if (file != nullptr) weights.safetensors_paths.push_back(file->writer_->temporary_path());
  const absl::StatusOr<std::string> weights_digest =
      engine_.InspectWeights(SourceOf(program, store_.blobs().PathOf(program.blob())), weights);
  if (!weights_digest.ok()) {
    return file == nullptr ? weights_digest.status()
                           : WithoutPath(weights_digest.status(), file->writer_->temporary_path());
  }

  // From here to the commit the program stays, if it is there still.
  absl::MutexLock lock(&reference_mutex_);
  BIF_RETURN_IF_ERROR(
      catalog.Get<storage::pb::ProgramRecord>(storage::ProgramKey(program_digest)).status());
  const std::string digest = ToHex(CheckpointDigest(program_digest, *weights_digest));
  const Digest body = Sha256Of(absl::StrCat("checkpoint ", digest, " ", spec.display_name));
  BIF_ASSIGN_OR_RETURN(const auto before, request_ids_.Find(spec.request, body));
  auto known = catalog.Get<storage::pb::CheckpointRecord>(storage::CheckpointKey(digest));
  if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
  storage::WriteSet writes;
  std::string blob;
  if (!known.ok()) {
    if (file != nullptr) {
      BIF_ASSIGN_OR_RETURN(blob, file->writer_->Finish());
    }
    known = ToRecord(spec, program, digest, blob, clock_.Now());
    writes.Put(storage::CheckpointKey(digest), *known);
  }
  if (!before) request_ids_.Remember(spec.request, body, digest, clock_.Now(), writes);
  if (!writes.changes().empty()) {
    const absl::Status committed = catalog.Commit(writes);
    if (!committed.ok()) {
      if (!blob.empty()) (void)DeleteBlobIfUnused(blob);  // start-up sweeps what is left
      return committed;
    }
  }
  return FromRecord(*known);
}

absl::StatusOr<std::string> Checkpoints::ResolveCheckpoint(const std::string& name,
                                                           std::string_view field) {
  return ResolveDigest(store_.catalog(), RecordKind::kCheckpoint, "checkpoints", name, field);
}

absl::StatusOr<Checkpoint> Checkpoints::GetCheckpoint(const std::string& name) {
  BIF_ASSIGN_OR_RETURN(const std::string digest, ResolveCheckpoint(name, "name"));
  BIF_ASSIGN_OR_RETURN(const auto record, store_.catalog().Get<storage::pb::CheckpointRecord>(
                                              storage::CheckpointKey(digest)));
  return FromRecord(record);
}

absl::StatusOr<Page<Checkpoint>> Checkpoints::ListCheckpoints(const PageRequest& request) {
  return ListRecords<storage::pb::CheckpointRecord, Checkpoint>(
      store_.catalog(), RecordKind::kCheckpoint, "checkpoints", request,
      [](const auto& record) { return FromRecord(record); });
}

absl::Status Checkpoints::DeleteCheckpoint(const std::string& name) {
  absl::MutexLock lock(&reference_mutex_);
  BIF_ASSIGN_OR_RETURN(const std::string digest, ResolveCheckpoint(name, "name"));
  BIF_ASSIGN_OR_RETURN(const auto posteriors, store_.catalog().Scan<storage::pb::PosteriorRecord>(
                                                  storage::KindPrefix(RecordKind::kPosterior)));
  for (const auto& [key, posterior] : posteriors) {
    if (posterior.checkpoint() == digest) return StillNeeded(name, PosteriorName(posterior.key()));
  }
  BIF_ASSIGN_OR_RETURN(const auto record, store_.catalog().Get<storage::pb::CheckpointRecord>(
                                              storage::CheckpointKey(digest)));
  storage::WriteSet writes;
  writes.Delete(storage::CheckpointKey(digest));
  BIF_RETURN_IF_ERROR(store_.catalog().Commit(writes));
  return record.blob().empty() ? absl::OkStatus() : DeleteBlobIfUnused(record.blob());
}

absl::StatusOr<ParameterSelection> Checkpoints::ListParameters(
    const std::string& checkpoint, const engine::ParameterFilter& filter) {
  BIF_ASSIGN_OR_RETURN(const std::string digest, ResolveCheckpoint(checkpoint, "checkpoint"));
  BIF_ASSIGN_OR_RETURN(const Sources sources, GetSources(digest));
  ParameterSelection selection;
  for (const engine::ParameterInfo& info : sources.info.parameters) {
    selection.parameters.push_back({info, false});
    selection.total_elements += info.elements;
  }
  const absl::StatusOr<engine::MovingSet> moving =
      engine::SelectParameters(sources.info.parameters, filter);
  if (!moving.ok()) return RenameField(moving.status(), "parameters", "filter");
  for (const engine::MovingRange& range : moving->ranges)
    selection.parameters[range.parameter].moves = true;
  selection.moving_elements = moving->elements;
  return selection;
}

absl::StatusOr<Checkpoints::Sources> Checkpoints::GetSources(const std::string& checkpoint_digest) {
  Sources sources;
  storage::Catalog& catalog = store_.catalog();
  BIF_ASSIGN_OR_RETURN(sources.checkpoint, catalog.Get<storage::pb::CheckpointRecord>(
                                               storage::CheckpointKey(checkpoint_digest)));
  BIF_ASSIGN_OR_RETURN(sources.program, catalog.Get<storage::pb::ProgramRecord>(
                                            storage::ProgramKey(sources.checkpoint.program())));
  sources.program_source = SourceOf(sources.program, store_.blobs().PathOf(sources.program.blob()));
  if (!sources.checkpoint.blob().empty()) {
    sources.weights_source.safetensors_paths.push_back(
        store_.blobs().PathOf(sources.checkpoint.blob()));
  }
  sources.info = InfoOf(sources.program);
  return sources;
}

absl::Status Checkpoints::DeleteBlobIfUnused(const std::string& blob) {
  storage::Catalog& catalog = store_.catalog();
  BIF_ASSIGN_OR_RETURN(const auto programs, catalog.Scan<storage::pb::ProgramRecord>(
                                                storage::KindPrefix(RecordKind::kProgram)));
  for (const auto& [key, program] : programs) {
    if (program.blob() == blob) return absl::OkStatus();
  }
  BIF_ASSIGN_OR_RETURN(const auto checkpoints, catalog.Scan<storage::pb::CheckpointRecord>(
                                                   storage::KindPrefix(RecordKind::kCheckpoint)));
  for (const auto& [key, checkpoint] : checkpoints) {
    if (checkpoint.blob() == blob) return absl::OkStatus();
  }
  return store_.blobs().Delete(blob);
}

}  // namespace bif::jobs
