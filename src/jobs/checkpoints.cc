#include "src/jobs/checkpoints.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "src/base/digest.h"
#include "src/base/status.h"
#include "src/jobs/checkpoint_records.h"
#include "src/jobs/field_paths.h"
#include "src/jobs/list_records.h"
#include "src/jobs/resource_names.h"

namespace bif::jobs {
namespace {

using storage::RecordKind;

absl::Status StillNeeded(const std::string& name, const std::string& by) {
  return WithReason(absl::FailedPreconditionError(
                        absl::StrCat(name, " is needed by ", by, "; delete that first")),
                    "STILL_NEEDED");
}

}  // namespace

Checkpoints::Checkpoints(storage::Store& store, engine::Engine& engine, const AllowedPaths& paths,
                         Clock& clock, const Options& options)
    : store_(store),
      engine_(engine),
      paths_(paths),
      clock_(clock),
      options_(options),
      request_ids_(store.catalog()) {}

absl::StatusOr<std::unique_ptr<Upload>> Checkpoints::NewUpload() {
  return Upload::Start(store_, options_.max_file_bytes);
}

absl::StatusOr<std::unique_ptr<Upload>> Checkpoints::CopyIn(const std::string& canonical_path,
                                                            const std::string& name) {
  BIF_ASSIGN_OR_RETURN(std::unique_ptr<Upload> upload, NewUpload());
  BIF_RETURN_IF_ERROR(upload->AppendFile(canonical_path, name, "path"));
  return upload;
}

absl::StatusOr<Program> Checkpoints::CreateProgram(const ProgramSpec& spec,
                                                   const std::string& path) {
  BIF_ASSIGN_OR_RETURN(const std::string canonical, paths_.Resolve(path, "path"));
  BIF_ASSIGN_OR_RETURN(std::unique_ptr<Upload> file, CopyIn(canonical, path));
  return CreateProgram(spec, {"", std::move(file)});
}

absl::StatusOr<Program> Checkpoints::CreateProgram(const ProgramSpec& spec, NamedUpload file) {
  const absl::StatusOr<engine::ProgramInfo> inspected =
      engine_.InspectProgram(SourceOf(spec, file.upload->temporary_path()));
  if (!inspected.ok()) return WithFileNames(inspected.status(), {&file, 1});
  const engine::ProgramInfo& info = *inspected;
  // Only now does the blob get its name; from here to the commit nobody may delete it.
  absl::MutexLock lock(&reference_mutex_);
  BIF_ASSIGN_OR_RETURN(const std::string blob, file.upload->Finish());
  const std::string digest = ScopedId(spec.request.tenant, ToHex(ProgramDigest(spec, blob)));
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
  return Register(spec, {});
}

absl::StatusOr<Checkpoint> Checkpoints::CreateCheckpoint(const CheckpointSpec& spec,
                                                         const std::string& path) {
  BIF_ASSIGN_OR_RETURN(const std::vector<FoundFile> found, FindWeightFiles(paths_, path, "path"));
  std::vector<NamedUpload> files;
  for (const FoundFile& file : found) {
    BIF_ASSIGN_OR_RETURN(std::unique_ptr<Upload> upload, CopyIn(file.path, file.name));
    files.push_back({file.name, std::move(upload)});
  }
  BIF_RETURN_IF_ERROR(CheckWeightFiles(files, "path"));
  return Register(spec, files);
}

absl::StatusOr<Checkpoint> Checkpoints::CreateCheckpoint(const CheckpointSpec& spec,
                                                         std::vector<NamedUpload> files) {
  BIF_RETURN_IF_ERROR(CheckWeightFiles(files, "file"));
  return Register(spec, files);
}

absl::StatusOr<Checkpoint> Checkpoints::Register(const CheckpointSpec& spec,
                                                 const std::vector<NamedUpload>& files) {
  storage::Catalog& catalog = store_.catalog();
  BIF_ASSIGN_OR_RETURN(
      const std::string program_digest,
      ResolveDigest(catalog, RecordKind::kProgram, "programs", spec.program, "program"));
  BIF_ASSIGN_OR_RETURN(const auto program, catalog.Get<storage::pb::ProgramRecord>(
                                               storage::ProgramKey(program_digest)));
  engine::WeightsSource weights;
  for (const NamedUpload& file : files)
    weights.safetensors_paths.push_back(file.upload->temporary_path());
  const absl::StatusOr<std::string> weights_digest =
      engine_.InspectWeights(SourceOf(program, store_.blobs().PathOf(program.blob())), weights);
  if (!weights_digest.ok()) return WithFileNames(weights_digest.status(), files);

  // From here to the commit the program stays, if it is there still.
  absl::MutexLock lock(&reference_mutex_);
  BIF_RETURN_IF_ERROR(
      catalog.Get<storage::pb::ProgramRecord>(storage::ProgramKey(program_digest)).status());
  const std::string digest =
      ScopedId(spec.request.tenant, ToHex(CheckpointDigest(program_digest, *weights_digest)));
  const Digest body = Sha256Of(absl::StrCat("checkpoint ", digest, " ", spec.display_name));
  BIF_ASSIGN_OR_RETURN(const auto before, request_ids_.Find(spec.request, body));
  auto known = catalog.Get<storage::pb::CheckpointRecord>(storage::CheckpointKey(digest));
  if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
  storage::WriteSet writes;
  std::vector<std::string> blobs;
  absl::Cleanup drop_blobs = [&] {  // start-up sweeps what is left
    for (const std::string& blob : blobs) (void)DeleteBlobIfUnused(blob);
  };
  if (!known.ok()) {
    for (const NamedUpload& file : files) {
      BIF_ASSIGN_OR_RETURN(blobs.emplace_back(), file.upload->Finish());
    }
    known = ToRecord(spec, program, digest, blobs, clock_.Now());
    writes.Put(storage::CheckpointKey(digest), *known);
  }
  if (!before) request_ids_.Remember(spec.request, body, digest, clock_.Now(), writes);
  if (!writes.changes().empty()) BIF_RETURN_IF_ERROR(catalog.Commit(writes));
  std::move(drop_blobs).Cancel();
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
  for (const std::string& blob : record.blobs()) BIF_RETURN_IF_ERROR(DeleteBlobIfUnused(blob));
  return absl::OkStatus();
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
  for (const std::string& blob : sources.checkpoint.blobs())
    sources.weights_source.safetensors_paths.push_back(store_.blobs().PathOf(blob));
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
    if (absl::c_linear_search(checkpoint.blobs(), blob)) return absl::OkStatus();
  }
  return store_.blobs().Delete(blob);
}

}  // namespace bif::jobs
