#include "src/jobs/checkpoint_records.h"

#include "src/jobs/resource_names.h"
#include "src/jobs/tenant.h"

namespace bif::jobs {

Digest ProgramDigest(const ProgramSpec& spec, const std::string& blob) {
  Sha256 sha;
  sha.UpdateField("bif program 1");
  sha.UpdateField(blob);
  sha.UpdateU64(static_cast<uint64_t>(spec.loss));
  sha.UpdateField(spec.target_column);
  sha.UpdateU64(spec.inputs.size());
  const auto update_floats = [&sha](const std::vector<float>& values) {
    sha.UpdateField({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  };
  for (const engine::InputBinding& input : spec.inputs) {
    sha.UpdateField(input.input);
    sha.UpdateField(input.column);
    update_floats(input.scale);
    update_floats(input.shift);
  }
  if (spec.loss == engine::LossKind::kNextToken) {
    sha.UpdateU64(static_cast<uint64_t>(spec.sequence.reduction));
    sha.UpdateField(spec.sequence.mask_column);
    sha.UpdateU64(static_cast<uint64_t>(spec.sequence.max_tokens));
  }
  return sha.Finish();
}

Digest CheckpointDigest(const std::string& program_digest, const std::string& weights_digest) {
  Sha256 sha;
  sha.UpdateField("bif checkpoint 1");
  sha.UpdateField(program_digest);
  sha.UpdateField(weights_digest);
  return sha.Finish();
}

engine::ProgramSource SourceOf(const ProgramSpec& spec, const std::string& path) {
  return {path, spec.loss, spec.target_column, spec.inputs, spec.sequence};
}

engine::ProgramSource SourceOf(const storage::pb::ProgramRecord& record, const std::string& path) {
  engine::ProgramSource source;
  source.path = path;
  source.loss = static_cast<engine::LossKind>(record.loss());
  source.target_column = record.target_column();
  for (const auto& input : record.inputs()) {
    source.inputs.push_back({input.input(),
                             input.column(),
                             {input.scale().begin(), input.scale().end()},
                             {input.shift().begin(), input.shift().end()}});
  }
  if (record.has_sequence()) {
    source.sequence = {static_cast<engine::TokenReduction>(record.sequence().reduction()),
                       record.sequence().mask_column(), record.sequence().max_tokens()};
  }
  return source;
}

engine::ProgramInfo InfoOf(const storage::pb::ProgramRecord& record) {
  engine::ProgramInfo info;
  for (const auto& column : record.columns()) info.columns.push_back(FromRecord(column));
  for (const auto& parameter : record.parameters()) {
    info.parameters.push_back({parameter.name(),
                               {parameter.shape().begin(), parameter.shape().end()},
                               parameter.elements()});
  }
  info.classes = record.classes();
  info.sequences = static_cast<engine::LossKind>(record.loss()) == engine::LossKind::kNextToken;
  info.longest_sequence = record.longest_sequence();
  info.nodes = record.nodes();
  return info;
}

storage::pb::TensorSpec ToRecord(const TensorSpec& spec) {
  storage::pb::TensorSpec record;
  record.set_name(spec.name);
  record.set_dtype(static_cast<uint32_t>(spec.dtype));
  record.mutable_shape()->Assign(spec.shape.begin(), spec.shape.end());
  return record;
}

TensorSpec FromRecord(const storage::pb::TensorSpec& record) {
  return {record.name(),
          static_cast<DType>(record.dtype()),
          {record.shape().begin(), record.shape().end()}};
}

storage::pb::ProgramRecord ToRecord(const ProgramSpec& spec, const engine::ProgramInfo& info,
                                    const std::string& digest, const std::string& blob,
                                    absl::Time now) {
  storage::pb::ProgramRecord record;
  record.set_digest(digest);
  record.set_display_name(spec.display_name);
  record.set_blob(blob);
  record.set_loss(static_cast<uint32_t>(spec.loss));
  record.set_target_column(spec.target_column);
  for (const engine::InputBinding& input : spec.inputs) {
    auto* binding = record.add_inputs();
    binding->set_input(input.input);
    binding->set_column(input.column);
    binding->mutable_scale()->Assign(input.scale.begin(), input.scale.end());
    binding->mutable_shift()->Assign(input.shift.begin(), input.shift.end());
  }
  if (spec.loss == engine::LossKind::kNextToken) {
    record.mutable_sequence()->set_reduction(static_cast<uint32_t>(spec.sequence.reduction));
    record.mutable_sequence()->set_mask_column(spec.sequence.mask_column);
    record.mutable_sequence()->set_max_tokens(static_cast<uint32_t>(spec.sequence.max_tokens));
    record.set_longest_sequence(info.longest_sequence);
  }
  for (const TensorSpec& column : info.columns) *record.add_columns() = ToRecord(column);
  for (const engine::ParameterInfo& parameter : info.parameters) {
    auto* stored = record.add_parameters();
    stored->set_name(parameter.name);
    stored->mutable_shape()->Assign(parameter.shape.begin(), parameter.shape.end());
    stored->set_elements(parameter.elements);
  }
  record.set_classes(static_cast<uint32_t>(info.classes));
  record.set_nodes(static_cast<uint32_t>(info.nodes));
  record.set_create_time_unix_micros(absl::ToUnixMicros(now));
  return record;
}

Program FromRecord(const storage::pb::ProgramRecord& record) {
  Program program;
  engine::ProgramSource source = SourceOf(record, "");
  program.name = ProgramName(record.digest());
  program.digest = std::string(WithoutTenant(record.digest()));
  program.display_name = record.display_name();
  program.loss = source.loss;
  program.target_column = std::move(source.target_column);
  program.inputs = std::move(source.inputs);
  program.sequence = std::move(source.sequence);
  program.info = InfoOf(record);
  for (const engine::ParameterInfo& parameter : program.info.parameters)
    program.parameter_elements += parameter.elements;
  program.create_time = absl::FromUnixMicros(record.create_time_unix_micros());
  return program;
}

storage::pb::CheckpointRecord ToRecord(const CheckpointSpec& spec,
                                       const storage::pb::ProgramRecord& program,
                                       const std::string& digest,
                                       const std::vector<std::string>& blobs, absl::Time now) {
  storage::pb::CheckpointRecord record;
  record.set_digest(digest);
  record.set_display_name(spec.display_name);
  record.set_program(program.digest());
  record.mutable_blobs()->Assign(blobs.begin(), blobs.end());
  int64_t elements = 0;
  for (const auto& parameter : program.parameters()) elements += parameter.elements();
  record.set_parameters(elements);
  record.set_create_time_unix_micros(absl::ToUnixMicros(now));
  return record;
}

Checkpoint FromRecord(const storage::pb::CheckpointRecord& record) {
  Checkpoint checkpoint;
  checkpoint.name = CheckpointName(record.digest());
  checkpoint.digest = std::string(WithoutTenant(record.digest()));
  checkpoint.display_name = record.display_name();
  checkpoint.program = ProgramName(record.program());
  checkpoint.parameter_elements = record.parameters();
  checkpoint.create_time = absl::FromUnixMicros(record.create_time_unix_micros());
  return checkpoint;
}

}  // namespace bif::jobs
